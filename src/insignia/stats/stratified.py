"""A difference of means within strata, from moments: Welch's test where there are several strata."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from insignia.core.errors import InputError
from insignia.stats.differential import Moments

__all__ = ["StratifiedDifference", "stratified_difference"]


@dataclass(frozen=True, eq=False)
class StratifiedDifference:
    """Differences of many columns, (columns,) each.

    Parameters
    ----------
    difference
        Mean over strata of the mean of cases less that of the others.
    statistic
        The difference in standard errors; 0 where nothing varies and nothing differs.
    p
        Two-sided.
    """

    difference: np.ndarray
    statistic: np.ndarray
    p: np.ndarray


def stratified_difference(arms: Sequence[tuple[Moments, Moments]]) -> StratifiedDifference:
    """Compare cases with the others of their stratum, without assuming equal variances.

    Strata count by the harmonic mean of their two sizes, which is the best weight where variances are equal. Of one
    stratum this is `welch_test`.

    Parameters
    ----------
    arms
        Moments of the cases and of the others, one pair a stratum.

    Raises
    ------
    InputError
        There is no stratum.

    References
    ----------
    Welch, doi:10.1093/biomet/34.1-2.28; degrees of freedom by Satterthwaite, doi:10.2307/3002019.
    """
    if not arms:
        raise InputError("A difference within strata needs at least one stratum with both groups.")
    weights = np.array([1 / (1 / one.n + 1 / other.n) for one, other in arms])
    weights /= weights.sum()
    difference = sum(w * (one.mean - other.mean) for w, (one, other) in zip(weights, arms, strict=True))
    parts = [w**2 * arm.variance / arm.n for w, pair in zip(weights, arms, strict=True) for arm in pair]
    freedom = [arm.n - 1 for pair in arms for arm in pair]
    total: np.ndarray = np.sum(parts, axis=0)
    flat = total <= 0
    safe = np.where(flat, 1.0, total)
    still = np.where(difference == 0, 0.0, np.copysign(np.inf, difference))
    statistic = np.where(flat, still, difference / safe**0.5)
    spread: np.ndarray = np.sum([part**2 / df for part, df in zip(parts, freedom, strict=True)], axis=0)
    # very small variances, squared, underflow: then all degrees of freedom count
    known = spread > 0
    df = np.where(known, safe**2 / np.where(known, spread, 1.0), sum(freedom))
    return StratifiedDifference(np.asarray(difference), statistic, 2 * student.sf(np.abs(statistic), df))
