"""Distances between two samples of points, each under the name of its convention."""

import numpy as np
from scipy.spatial.distance import cdist, pdist

from insignia.core.errors import InputError

__all__ = ["energy_distance", "energy_distance_sq", "mmd_rbf"]


def energy_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Energy distance ``2 E|x - y| - E|x - x'| - E|y - y'|`` with plain Euclidean distances.

    Pairs of a point with itself are left out (the unbiased form), so that two samples of one distribution give about 0,
    and may give less.

    Parameters
    ----------
    first, second
        (points, dimensions), at least two points each.

    Raises
    ------
    InputError
        Shapes disagree, or a sample has fewer than two points.

    References
    ----------
    Szekely & Rizzo 2013, doi:10.1016/j.jspi.2013.03.018.
    """
    first, second = _checked(first, second)
    return float(2 * cdist(first, second).mean() - pdist(first).mean() - pdist(second).mean())


def energy_distance_sq(first: np.ndarray, second: np.ndarray) -> float:
    """Take the same with squared Euclidean distances, in the unbiased form.

    It is twice the squared distance of the two means, corrected for their noise, and sees nothing else of the
    distributions; some tools call it E-distance.
    """
    first, second = _checked(first, second)
    squared = 2 * ((first.mean(0) - second.mean(0)) ** 2).sum()
    return float(squared - 2 * first.var(0, ddof=1).sum() / len(first) - 2 * second.var(0, ddof=1).sum() / len(second))


def mmd_rbf(first: np.ndarray, second: np.ndarray, *, bandwidth: float | None = None) -> float:
    """Squared maximum mean discrepancy with a Gaussian kernel, in the unbiased form.

    Parameters
    ----------
    first, second
        (points, dimensions).
    bandwidth
        Of ``exp(-d^2 / (2 bandwidth^2))``; `None` takes the median distance of all points.

    References
    ----------
    Gretton et al. 2012, JMLR 13:723, eq. 3.
    """
    first, second = _checked(first, second)
    if bandwidth is None:
        bandwidth = float(np.median(pdist(np.concatenate([first, second])))) or 1.0
    within_first, within_second, between = (
        np.exp(-distances / (2 * bandwidth**2))
        for distances in (
            pdist(first, "sqeuclidean"),
            pdist(second, "sqeuclidean"),
            cdist(first, second, "sqeuclidean"),
        )
    )
    return float(within_first.mean() + within_second.mean() - 2 * between.mean())


def _checked(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise InputError(
            f"Two samples of at least two points in one space are compared, found {first.shape} and {second.shape}."
        )
    return first, second
