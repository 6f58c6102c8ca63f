"""Agreement over columns of which some count more, and ranks of a prediction among what was measured."""

import numpy as np
from scipy.spatial.distance import cdist

from insignia.core.errors import InputError

__all__ = ["share_farther", "squared_score_weights", "weighted_mse", "weighted_skill"]


def squared_score_weights(scores: np.ndarray) -> np.ndarray:
    """Weights of columns from test statistics: absolute values, scaled to 0..1, squared, with a sum of 1.

    Equal where all scores are equal; an infinite score counts as the largest finite one.

    References
    ----------
    arXiv:2506.22641, there from t-scores as well.
    """
    size = np.abs(np.asarray(scores, dtype=np.float64))
    finite = np.isfinite(size)
    size = np.where(finite, size, size[finite].max() if finite.any() else 1.0)
    span = np.ptp(size)
    weights = ((size - size.min()) / span) ** 2 if span > 0 else np.ones_like(size)
    return np.asarray(weights / weights.sum())


def weighted_mse(predicted: np.ndarray, measured: np.ndarray, weights: np.ndarray) -> float:
    """Mean of squared differences, (columns,), each with its weight."""
    return float(np.average((np.asarray(predicted) - np.asarray(measured)) ** 2, weights=weights))


def weighted_skill(predicted: np.ndarray, measured: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> float:
    """Share of the weighted squared error of a reference that a prediction removes; NaN if that makes no error."""
    yardstick = weighted_mse(reference, measured, weights)
    return 1 - weighted_mse(predicted, measured, weights) / yardstick if yardstick > 0 else float("nan")


def share_farther(
    predicted: np.ndarray, measured: np.ndarray, others: np.ndarray | None = None, *, metric: str = "euclidean"
) -> np.ndarray:
    """Share of other measured rows that lie farther from each prediction than its own; ties count half.

    Parameters
    ----------
    predicted, measured
        (rows, columns), row for row.
    others
        (more rows, columns) that are never the right one, to stand beside the other rows of `measured`.
    metric
        Of `scipy.spatial.distance.cdist`.

    Returns
    -------
    (rows,): 1 if the own row is nearest, 0.5 by chance; NaN where there is no other.
    """
    predicted, measured = np.atleast_2d(predicted), np.atleast_2d(measured)
    if predicted.shape != measured.shape:
        raise InputError(f"Predicted and measured rows must match, found {predicted.shape} and {measured.shape}.")
    among = measured if others is None else np.vstack([measured, others])
    distances = cdist(predicted, among, metric)
    own = np.diagonal(distances)[:, None].copy()
    np.fill_diagonal(distances, np.nan)
    n_others = among.shape[0] - 1
    if not n_others:
        return np.full(len(predicted), np.nan)
    return np.asarray(((distances > own).sum(axis=1) + 0.5 * (distances == own).sum(axis=1)) / n_others)
