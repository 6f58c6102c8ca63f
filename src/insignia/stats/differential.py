"""Which columns differ between two groups of rows: moments, and Welch's test from them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.stats import t as student

from insignia.core.errors import InputError

__all__ = ["Moments", "moments", "welch_test"]


@dataclass(frozen=True, eq=False)
class Moments:
    """Number of rows, and mean and unbiased variance of each column, float64."""

    n: int
    mean: np.ndarray
    variance: np.ndarray


def moments(rows: Any) -> Moments:
    """Take the moments of the columns of a dense or sparse matrix, (rows, columns).

    Raises
    ------
    InputError
        There are fewer than two rows.
    """
    n = rows.shape[0]
    if n < 2:
        raise InputError(f"A variance needs at least two rows, found {n}.")
    mean = np.asarray(rows.sum(axis=0, dtype=np.float64)).ravel() / n
    if not issparse(rows):
        return Moments(n, mean, np.asarray(rows).var(axis=0, ddof=1, dtype=np.float64))
    squares = np.asarray(rows.multiply(rows).sum(axis=0, dtype=np.float64)).ravel()
    within = squares - n * mean**2
    # what rounding leaves of a constant column is no variance
    return Moments(n, mean, np.where(within > 1e-12 * squares, within, 0.0) / (n - 1))


def welch_test(first: Moments, second: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Test each column for a difference of means, without assuming equal variances.

    Returns
    -------
    Statistic, positive where the first mean is higher, and two-sided p-value, (columns,) each; 0 and 1 where both
    groups are constant and equal.

    References
    ----------
    Welch, doi:10.1093/biomet/34.1-2.28.
    """
    parts = first.variance / first.n, second.variance / second.n
    total, difference = parts[0] + parts[1], first.mean - second.mean
    flat = total <= 0
    safe = np.where(flat, 1.0, total)
    statistic = np.where(flat, np.where(difference == 0, 0.0, np.copysign(np.inf, difference)), difference / safe**0.5)
    shares = parts[0] ** 2 / (first.n - 1) + parts[1] ** 2 / (second.n - 1)
    freedom = np.where(flat, 1.0, safe**2 / np.where(flat, 1.0, shares))
    return statistic, 2 * student.sf(np.abs(statistic), freedom)
