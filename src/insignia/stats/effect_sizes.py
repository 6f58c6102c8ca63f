"""How large a difference between two groups is, within strata, and how sure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from insignia.core.errors import InputError
from insignia.stats.arms import arms_of

__all__ = ["Effect", "Effects", "group_effect", "group_effects"]

_LEVEL: Final = 0.95
_PAIRS_AT_ONCE: Final = 5_000_000


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


@dataclass(frozen=True, eq=False)
class Effects:
    """Differences of many columns, (columns,) each, all NaN where no stratum has both groups.

    Parameters
    ----------
    shift, cliffs_delta
        As in `Effect`.
    standardised
        The shift in standard deviations of units within their group and stratum; NaN where these do not vary.
    """

    shift: np.ndarray
    cliffs_delta: np.ndarray
    standardised: np.ndarray


def group_effects(values: np.ndarray, is_case: np.ndarray, strata: np.ndarray | None = None) -> Effects:
    """Measure every column as `group_effect` does, without intervals.

    Parameters
    ----------
    values
        (units, columns).
    is_case, strata
        As for `group_effect`.
    """
    values = np.asarray(values, dtype=np.float64)
    arms = arms_of(np.arange(len(values), dtype=np.float64), is_case, strata)
    rows = [(one.cases.astype(np.int64), one.others.astype(np.int64)) for one in arms if one.has_both]
    shift, delta, deviation = (np.full(values.shape[1], np.nan) for _ in range(3))
    if not rows:
        return Effects(shift, delta, deviation)
    pairs = sum(cases.size * others.size for cases, others in rows)
    step = max(1, _PAIRS_AT_ONCE // pairs)
    for start in range(0, values.shape[1], step):
        part = values[:, start : start + step]
        differences = np.concatenate(
            [(part[cases][:, None] - part[others][None]).reshape(-1, part.shape[1]) for cases, others in rows]
        )
        shift[start : start + step] = np.median(differences, axis=0)
        delta[start : start + step] = np.sign(differences).mean(axis=0)
    both = [arm for pair in rows for arm in pair]
    within = sum(((values[arm] - values[arm].mean(axis=0)) ** 2).sum(axis=0) for arm in both)
    freedom = sum(arm.size - 1 for arm in both)
    if freedom:
        deviation = np.sqrt(within / freedom)
    with np.errstate(divide="ignore", invalid="ignore"):
        standardised = np.where(deviation > 0, shift / deviation, np.nan)
    return Effects(shift, delta, standardised)


def _differences(arms: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    return np.concatenate([np.subtract.outer(cases, others).ravel() for cases, others in arms])


def _resampled(
    arms: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    chosen = rng.integers(len(arms), size=len(arms))
    return [(rng.choice(arms[k][0], arms[k][0].size), rng.choice(arms[k][1], arms[k][1].size)) for k in chosen]
