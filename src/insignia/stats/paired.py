"""Exact tests of paired differences, for the few sections or donors that there are."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import binomtest, rankdata

from insignia.core.errors import InputError

__all__ = ["PairedTest", "PairedTests", "paired_test", "paired_tests"]


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


@dataclass(frozen=True, eq=False)
class PairedTests:
    """Wilcoxon's test of many columns of paired differences: `p_rank` and `smallest_p`, (columns,) each."""

    p_rank: np.ndarray
    smallest_p: np.ndarray


def paired_tests(differences: np.ndarray) -> PairedTests:
    """Test every column as `paired_test` does; columns without ties share what chance gives.

    Parameters
    ----------
    differences
        (pairs, columns).

    Raises
    ------
    InputError
        There is no pair, or a difference is not finite.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 2 or not len(values) or not np.isfinite(values).all():
        raise InputError(f"Paired tests need finite differences, pairs x columns; found {values.shape}.")
    n, n_columns = values.shape
    # zeros rank below all others, and take no part
    ranks = rankdata(np.abs(values), axis=0)
    moved = values != 0
    zeros = n - moved.sum(axis=0)
    positive = np.where(values > 0, ranks - zeros, 0).sum(axis=0)
    p = np.ones(n_columns)
    for k in range(n_columns):
        kept = moved[:, k]
        if not kept.any():
            continue
        own = ranks[kept, k] - zeros[k]
        # as text of bytes, so that columns with the same ranks are counted once
        p[k] = _at_least(np.sort(np.round(2 * own).astype(np.int64)).tobytes(), round(2 * positive[k]))
    return PairedTests(p, np.full(n_columns, min(1.0, 2.0 ** (1 - n))))


def _signed_rank(values: np.ndarray) -> float:
    # twice the ranks, so that shared ranks stay whole and sums can be counted
    ranks = np.round(2 * rankdata(np.abs(values))).astype(np.int64)
    return _at_least(np.sort(ranks).tobytes(), int(ranks[values > 0].sum()))


def _at_least(ranks: bytes, positive: int) -> float:
    """Two-sided share of all signs of some doubled ranks whose positive ones add up to as much."""
    lower, upper, total = _tails(ranks)
    return float(min(1.0, 2 * min(lower[positive], upper[positive]) / total))


@lru_cache(maxsize=256)
def _tails(ranks: bytes) -> tuple[np.ndarray, np.ndarray, float]:
    ways = np.ones(1)
    for rank in np.frombuffer(ranks, dtype=np.int64).tolist():
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    return np.cumsum(ways), np.cumsum(ways[::-1])[::-1], float(ways.sum())
