"""Exact tests of paired differences, for the few sections or donors that there are."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, rankdata

from insignia.core.errors import InputError

__all__ = ["PairedTest", "paired_test"]


@dataclass(frozen=True)
class PairedTest:
    """What paired differences say; all p-values are exact and two-sided.

    Parameters
    ----------
    better, worse, equal
        Number of differences above, below and at zero.
    p_sign
        Of the sign test.
    p_rank
        Of Wilcoxon's signed rank test, from all signs of the ranks that were found; equal ranks share their mean.
    smallest_p
        The smallest p-value that this many differences can reach: with too few, nothing can be shown.
    """

    better: int
    worse: int
    equal: int
    p_sign: float
    p_rank: float
    smallest_p: float

    @property
    def pairs(self) -> int:
        """Number of differences."""
        return self.better + self.worse + self.equal


def paired_test(differences: np.ndarray, *, tolerance: float = 0.0) -> PairedTest:
    """Test whether differences lie around zero.

    Parameters
    ----------
    differences
        One a pair, e.g. skill of one method less that of another on each section.
    tolerance
        Differences no larger than this count as equal, and take no part in the tests.

    Raises
    ------
    InputError
        There is no difference, or one is not finite.

    References
    ----------
    Wilcoxon, doi:10.2307/3001968.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise InputError(f"A paired test needs finite differences, one a pair; found {values.tolist()}.")
    moved = values[np.abs(values) > tolerance]
    better = int((moved > 0).sum())
    if not moved.size:
        return PairedTest(0, 0, values.size, 1.0, 1.0, min(1.0, 2.0 ** (1 - values.size)))
    return PairedTest(
        better=better,
        worse=moved.size - better,
        equal=values.size - moved.size,
        p_sign=float(binomtest(better, moved.size).pvalue),
        p_rank=_signed_rank(moved),
        smallest_p=min(1.0, 2.0 ** (1 - values.size)),
    )


def _signed_rank(values: np.ndarray) -> float:
    # twice the ranks, so that shared ranks stay whole and sums can be counted
    ranks = np.round(2 * rankdata(np.abs(values))).astype(int)
    ways = np.ones(1)
    for rank in ranks:
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    positive = int(ranks[values > 0].sum())
    lower, upper = ways[: positive + 1].sum(), ways[positive:].sum()
    return float(min(1.0, 2 * min(lower, upper) / ways.sum()))
