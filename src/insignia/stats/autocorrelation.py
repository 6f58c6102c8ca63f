"""Spatial autocorrelation over a sparse graph of neighbours."""

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from insignia.core.errors import InputError
from insignia.stats.accuracy import is_flat

__all__ = ["morans_i", "neighbour_weights"]


def neighbour_weights(points: np.ndarray, *, k: int = 8) -> sparse.csr_matrix:
    """Weights of each point's nearest others, each row adding up to one.

    Parameters
    ----------
    points
        (points, dimensions).
    k
        Number of neighbours; fewer where there are no more points. Of points at equal distance the ones that come
        first are not favoured: all at the distance of the k-th are taken.

    Returns
    -------
    (points, points) CSR float64 with an empty diagonal.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or not np.isfinite(points).all():
        raise InputError(f"Points must be finite and (points, dimensions), found {points.shape}.")
    if k < 1:
        raise InputError(f"A point needs at least one neighbour; k is {k}.")
    n_points = len(points)
    if n_points < 2:
        return sparse.csr_matrix((n_points, n_points))
    tree = cKDTree(points)
    reach = tree.query(points, k=min(k + 1, n_points))[0][:, -1]
    near = tree.query_ball_point(points, reach * (1 + 1e-9), return_sorted=True)
    pairs = [(row, column) for row, columns in enumerate(near) for column in columns if column != row]
    rows, columns = np.array(pairs).T
    weights = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n_points, n_points))
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(weights.sum(axis=1).A1, 1)) @ weights)


def morans_i(values: np.ndarray, weights: sparse.csr_matrix) -> np.ndarray:
    """Moran's I of each column.

    Parameters
    ----------
    values
        (points, columns), finite.
    weights
        (points, points), w_ij.

    Returns
    -------
    (columns,) float64, ``n / sum(w) * sum_ij w_ij z_i z_j / sum_i z_i^2`` with z the values less their mean; NaN where
    values do not vary or no two points are neighbours.

    References
    ----------
    Moran, doi:10.2307/2332142.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or weights.shape != (len(values), len(values)):
        raise InputError(f"Weights {weights.shape} must be square over the rows of the values, {values.shape}.")
    total = weights.sum()
    if not total:
        return np.full(values.shape[1], np.nan)
    centred = values - values.mean(axis=0)
    flat = is_flat(values)
    spread = np.where(flat, 1.0, (centred**2).sum(axis=0))
    moran = len(values) / total * (centred * (weights @ centred)).sum(axis=0) / spread
    return np.where(flat, np.nan, moran)
