"""Features of what surrounds a spot: averages over the spots around it."""

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

__all__ = ["averaged_around"]

_REACH = 3.0


def averaged_around(features: np.ndarray, points_um: np.ndarray, sigma_um: float) -> np.ndarray:
    """Average the features of the spots of one section, weighted by a Gaussian of their distance.

    Parameters
    ----------
    features
        (spots, features).
    points_um
        (spots, 2).
    sigma_um
        Width of the Gaussian, which is cut at three times that.

    Returns
    -------
    (spots, features) float32; a spot counts among those around it.
    """
    if not len(features):
        return features.astype(np.float32)
    pairs = cKDTree(points_um).query_pairs(_REACH * sigma_um, output_type="ndarray")
    rows, columns = np.concatenate([pairs, pairs[:, ::-1], np.repeat(np.arange(len(points_um)), 2).reshape(-1, 2)]).T
    distance = np.linalg.norm(points_um[rows] - points_um[columns], axis=1)
    shape = (len(points_um), len(points_um))
    weights = sparse.csr_matrix((np.exp(-0.5 * (distance / sigma_um) ** 2), (rows, columns)), shape=shape)
    total = np.asarray(weights.sum(axis=1))
    return np.asarray(weights @ features.astype(np.float64) / total, dtype=np.float32)
