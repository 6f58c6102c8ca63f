"""Wilcoxon's rank sum test of two groups, within strata or over all; exact with ties where that can be counted."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import norm, rankdata

from insignia.core.errors import InputError
from insignia.stats.arms import Arms, arms_of

__all__ = ["RankTest", "RankTests", "rank_test", "rank_tests"]

_LARGEST: Final = 60
"""Units of a stratum up to which arrangements are counted."""

_SUPPORT: Final = 200_000
"""Different values of the statistic up to which strata are combined exactly."""


@dataclass(frozen=True)
class RankTest:
    """Result of a rank sum test, two-sided.

    Parameters
    ----------
    z
        Deviation of the statistic from what chance gives, in standard deviations; positive where cases are higher.
    p
        Share of all arrangements of the labels, each stratum within itself, that deviate at least as much.
    smallest_p
        The smallest p-value that these sizes and ties can reach.
    strata
        Strata with both groups, which are the only ones that count.
    is_exact
        Whether all arrangements were counted; else the normal approximation was taken.
    """

    z: float
    p: float
    smallest_p: float
    strata: int
    is_exact: bool


def rank_test(values: np.ndarray, is_case: np.ndarray, strata: np.ndarray | None = None) -> RankTest:
    """Test whether cases rank higher or lower than the others of their stratum.

    With one stratum this is the test of Wilcoxon, Mann and Whitney; with several, van Elteren's: rank sums are weighted
    by 1 / (size + 1), so that a difference between strata, such as one between studies, cannot pass for an effect.

    Parameters
    ----------
    values
        (units,), e.g. the fraction of hits of each donor.
    is_case
        (units,) bool.
    strata
        (units,) labels, e.g. studies; `None` for one stratum. Strata without both groups say nothing and are left out.

    Returns
    -------
    The test; p is 1 where nothing varies or no stratum has both groups.

    Raises
    ------
    InputError
        Lengths differ, or a value is not finite.

    References
    ----------
    Mann and Whitney, doi:10.1214/aoms/1177730491; van Elteren, Bulletin of the International Statistical Institute 37
    (1960) 351-361.
    """
    both = [_Stratum.of(arms) for arms in arms_of(values, is_case, strata) if arms.has_both]
    variance = sum(one.weight**2 * one.variance for one in both)
    if not variance:
        return RankTest(0.0, 1.0, 1.0, len(both), True)
    deviation = sum(one.weight * one.deviation for one in both)
    z = float(deviation / variance**0.5)
    null = _null(both)
    if null is None:
        extreme = max(sum(one.weight * end for one, end in zip(both, ends, strict=True)) for ends in _extremes(both))
        return RankTest(z, _two_sided(z), _two_sided(extreme / variance**0.5), len(both), False)
    distances, chances = np.abs(null[0]), null[1]
    at_least = distances >= abs(deviation) - 1e-9
    most = distances >= distances.max() - 1e-9
    return RankTest(z, min(1.0, float(chances[at_least].sum())), float(chances[most].sum()), len(both), True)


@dataclass(frozen=True, eq=False)
class RankTests:
    """Results of many rank sum tests of the same units, (columns,) each; see `RankTest`."""

    z: np.ndarray
    p: np.ndarray
    smallest_p: np.ndarray
    strata: int
    is_exact: np.ndarray


def rank_tests(values: np.ndarray, is_case: np.ndarray, strata: np.ndarray | None = None) -> RankTests:
    """Test every column as `rank_test` does; what all columns without ties share is worked out once.

    Parameters
    ----------
    values
        (units, columns).
    is_case, strata
        As for `rank_test`.

    Raises
    ------
    InputError
        Lengths differ, or a value is not finite.
    """
    values, is_case = np.asarray(values, dtype=np.float64), np.asarray(is_case, dtype=bool)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise InputError(
            f"Many tests take finite values, units x columns; found {values.shape}, or what is not finite."
        )
    arms = arms_of(np.arange(len(values), dtype=np.float64), is_case, strata)
    rows = [np.concatenate([one.cases, one.others]).astype(np.int64) for one in arms if one.has_both]
    model = [_Stratum.of(one) for one in arms if one.has_both]
    n_columns = values.shape[1]
    if not model:
        return RankTests(np.zeros(n_columns), np.ones(n_columns), np.ones(n_columns), 0, np.ones(n_columns, dtype=bool))
    ranks = [rankdata(values[here], axis=0) for here in rows]
    deviation = sum(
        one.weight * (ranked[: one.n_cases].sum(axis=0) - one.expected)
        for one, ranked in zip(model, ranks, strict=True)
    )
    # without ties the ranks of every column are those of the numbers 1, 2, 3, ..., and so is all that chance gives
    untied = np.all([(np.diff(np.sort(ranked, axis=0), axis=0) > 0).all(axis=0) for ranked in ranks], axis=0)
    found = _untied(model, np.asarray(deviation))
    for k in np.flatnonzero(~untied).tolist():
        one = rank_test(values[:, k], is_case, strata)
        found.z[k], found.p[k], found.smallest_p[k], found.is_exact[k] = one.z, one.p, one.smallest_p, one.is_exact
    return found


def _untied(strata: "list[_Stratum]", deviation: np.ndarray) -> RankTests:
    """Read many deviations off the one distribution that strata without ties have."""
    spread = sum(one.weight**2 * one.variance for one in strata) ** 0.5
    z = deviation / spread
    null = _null(strata)
    if null is None:
        extreme = max(
            sum(one.weight * end for one, end in zip(strata, ends, strict=True)) for ends in _extremes(strata)
        )
        smallest = np.full(z.shape, _two_sided(extreme / spread))
        return RankTests(z, 2 * norm.sf(np.abs(z)), smallest, len(strata), np.zeros(z.shape, dtype=bool))
    order = np.argsort(-np.abs(null[0]), kind="stable")
    distances, shares = np.abs(null[0])[order], np.cumsum(null[1][order])
    at_least = np.searchsorted(-distances, -(np.abs(deviation) - 1e-9), side="right")
    most = np.searchsorted(-distances, -(distances[0] - 1e-9), side="right")
    p = np.minimum(1.0, shares[at_least - 1])
    return RankTests(z, p, np.full(z.shape, shares[most - 1]), len(strata), np.ones(z.shape, dtype=bool))


@dataclass(frozen=True, eq=False)
class _Stratum:
    """Ranks within one stratum, shared by ties, and how many of them are cases'."""

    ranks: np.ndarray
    n_cases: int
    rank_sum: float

    @classmethod
    def of(cls, arms: Arms) -> "_Stratum":
        ranks, n_cases = rankdata(np.concatenate([arms.cases, arms.others])), arms.cases.size
        return cls(ranks, n_cases, float(ranks[:n_cases].sum()))

    @property
    def weight(self) -> float:
        return 1.0 / (len(self.ranks) + 1)

    @property
    def expected(self) -> float:
        return self.n_cases * (len(self.ranks) + 1) / 2

    @property
    def deviation(self) -> float:
        return self.rank_sum - self.expected

    @property
    def variance(self) -> float:
        n = len(self.ranks)
        return self.n_cases * (n - self.n_cases) / n * float(self.ranks.var(ddof=1))

    def null(self) -> tuple[np.ndarray, np.ndarray]:
        """Deviations that the labels could give, and how often each does."""
        # twice the ranks, so that shared ranks stay whole and sums can be counted
        doubled = np.sort(np.round(2 * self.ranks).astype(int))
        top = int(doubled[-self.n_cases :].sum())
        ways = np.zeros((self.n_cases + 1, top + 1))
        ways[0, 0] = 1
        for rank in doubled:
            ways[1:, rank:] += ways[:-1, : top + 1 - rank].copy()
        sums = np.flatnonzero(ways[-1])
        chances = ways[-1, sums]
        return sums / 2 - self.expected, chances / chances.sum()


def _null(strata: list[_Stratum]) -> tuple[np.ndarray, np.ndarray] | None:
    """Distribution of the statistic under the null hypothesis; `None` where it is too much to count."""
    if any(len(one.ranks) > _LARGEST for one in strata):
        return None
    total: np.ndarray = np.zeros(1)
    chances: np.ndarray = np.ones(1)
    for one in strata:
        values, weights = one.null()
        if total.size * values.size > 50 * _SUPPORT:
            return None
        sums = np.round(np.add.outer(total, one.weight * values).ravel(), 10)
        total, place = np.unique(sums, return_inverse=True)
        chances = np.bincount(place, weights=np.multiply.outer(chances, weights).ravel())
        if total.size > _SUPPORT:
            return None
    return total, chances


def _extremes(strata: list[_Stratum]) -> tuple[list[float], list[float]]:
    """Largest deviations, upwards and downwards, as positive numbers."""
    ordered = [np.sort(one.ranks) for one in strata]
    up = [float(ranks[-one.n_cases :].sum()) - one.expected for ranks, one in zip(ordered, strata, strict=True)]
    down = [one.expected - float(ranks[: one.n_cases].sum()) for ranks, one in zip(ordered, strata, strict=True)]
    return up, down


def _two_sided(z: float) -> float:
    return float(2 * norm.sf(abs(z)))
