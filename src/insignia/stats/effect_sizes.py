"""How large a difference between two groups is, within strata, and how sure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from insignia.core.errors import InputError
from insignia.stats.arms import arms_of

__all__ = ["Effect", "group_effect"]

_LEVEL: Final = 0.95


@dataclass(frozen=True)
class Effect:
    """Difference between cases and others of the same stratum.

    Parameters
    ----------
    shift
        Hodges-Lehmann estimate: the median of all differences between a case and another of its stratum.
    low, high
        Bootstrap interval of 95 %.
    cliffs_delta
        How often a case is higher less how often it is lower, from -1 to 1.
    pairs
        Number of differences.
    """

    shift: float
    low: float
    high: float
    cliffs_delta: float
    pairs: int


def group_effect(
    values: np.ndarray,
    is_case: np.ndarray,
    strata: np.ndarray | None = None,
    *,
    n_boot: int = 999,
    rng: int | np.random.Generator = 0,
) -> Effect:
    """Measure the difference between cases and the others of their stratum.

    Parameters
    ----------
    values, is_case, strata
        As for `rank_test`.
    n_boot
        Bootstrap samples: strata with replacement, as whole clusters, and the units of each group within them.
    rng
        Of the bootstrap.

    Returns
    -------
    The effect, all NaN where no stratum has both groups.

    Raises
    ------
    InputError
        Lengths differ, a value is not finite, or `n_boot` is below 1.

    References
    ----------
    Hodges and Lehmann, doi:10.1214/aoms/1177704172; Cliff, doi:10.1037/0033-2909.114.3.494.
    """
    if n_boot < 1:
        raise InputError(f"n_boot must be at least 1, not {n_boot}.")
    arms = [(one.cases, one.others) for one in arms_of(values, is_case, strata) if one.has_both]
    if not arms:
        nan = float("nan")
        return Effect(nan, nan, nan, nan, 0)
    differences = _differences(arms)
    generator = np.random.default_rng(rng)
    again = [np.median(_differences(_resampled(arms, generator))) for _ in range(n_boot)]
    low, high = np.quantile(again, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Effect(
        float(np.median(differences)), float(low), float(high), float(np.sign(differences).mean()), differences.size
    )


def _differences(arms: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    return np.concatenate([np.subtract.outer(cases, others).ravel() for cases, others in arms])


def _resampled(
    arms: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    chosen = rng.integers(len(arms), size=len(arms))
    return [(rng.choice(arms[k][0], arms[k][0].size), rng.choice(arms[k][1], arms[k][1].size)) for k in chosen]
