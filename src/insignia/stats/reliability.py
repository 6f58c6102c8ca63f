"""How much of what was counted can be predicted at all: reliability by splitting the counts."""

from collections.abc import Callable

import numpy as np

from insignia.core.errors import InputError
from insignia.stats.accuracy import column_correlation

__all__ = ["spearman_brown", "thinning_reliability"]


def spearman_brown(correlation: np.ndarray, *, times: float = 2.0) -> np.ndarray:
    """Reliability of a measurement `times` as long as the two whose correlation is known, ``t r / (1 + (t - 1) r)``.

    References
    ----------
    Spearman, doi:10.1111/j.2044-8295.1910.tb00206.x; Brown, doi:10.1111/j.2044-8295.1910.tb00207.x.
    """
    correlation = np.asarray(correlation, dtype=np.float64)
    return np.asarray(times * correlation / (1 + (times - 1) * correlation))


def thinning_reliability(
    counts: np.ndarray,
    normalise: Callable[[np.ndarray], np.ndarray],
    *,
    rng: int | np.random.Generator,
    repeats: int = 5,
) -> np.ndarray:
    """Reliability of counted values over the rows of each column.

    Each count is split at random into two halves, as if the same library had been sequenced twice half as deep. Their
    correlation is brought back to full depth by the formula of Spearman and Brown. Its square root is the correlation
    that a prediction without any error would reach with what was counted, in as far as counting is the only noise.

    Parameters
    ----------
    counts
        (rows, columns) whole numbers.
    normalise
        Carries counts, (rows, columns), to the scale on which predictions are made.
    rng
        Seed or generator.
    repeats
        Splits whose correlations are averaged.

    Returns
    -------
    (columns,) float64, within 0 and 1; NaN where a half never varies.
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or (counts < 0).any() or (counts != np.round(counts)).any():
        raise InputError("Only whole counts, (rows, columns), can be split; found others. Give raw counts.")
    if repeats < 1:
        raise InputError(f"At least one split is needed; repeats is {repeats}.")
    generator = np.random.default_rng(rng)
    whole = counts.astype(np.int64)
    correlations = []
    for _ in range(repeats):
        half = generator.binomial(whole, 0.5)
        correlations.append(column_correlation(normalise(half), normalise(whole - half)))
    return np.asarray(spearman_brown(np.clip(np.mean(correlations, axis=0), 0.0, 1.0)))
