"""K-means with clusters of bounded size."""

from typing import Any

import numpy as np
from sklearn.cluster import KMeans

from insignia.core.errors import InputError
from insignia.perturb.programs.contract import Found, SourceOptions
from insignia.perturb.programs.transport import balanced_assignment

__all__ = ["balanced_kmeans", "kmeans_labels", "spread_labels", "unit_rows"]

_STARTS = 10
_MOST_ROUNDS = 100


def unit_rows(points: np.ndarray) -> np.ndarray:
    """Scale rows to unit length; rows of zeros stay."""
    length = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.where(length > 0, length, 1))


def kmeans_labels(points: np.ndarray, options: SourceOptions) -> np.ndarray:
    """Cluster without bounds on sizes: the best of ten starts."""
    if len(points) < options.n_programs:
        raise InputError(
            f"{options.n_programs} programs need as many genes that the source knows, found {len(points)}. "
            "Lower n_programs."
        )
    clustering = KMeans(options.n_programs, n_init=_STARTS, random_state=options.seed)
    return np.asarray(clustering.fit_predict(points))


def balanced_kmeans(points: np.ndarray, known: np.ndarray, options: SourceOptions) -> Found:
    """Cluster the unit rows of known genes, and assign them exactly until nothing changes.

    Parameters
    ----------
    points
        (genes, dimensions).
    known
        (genes,) which of them count; the others get -1.
    options
        Number and sizes.

    Returns
    -------
    Labels, with the sum of squared distances to the centroids after each round, which never rises.
    """
    rows = unit_rows(points[known])
    labels = kmeans_labels(rows, options)
    bounds = options.bounds(len(rows))
    objective: list[float] = []
    while True:
        centres = np.array([rows[labels == k].mean(axis=0) for k in range(options.n_programs)])
        cost = (rows**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * rows @ centres.T
        new = balanced_assignment(cost, *bounds)
        objective.append(float(cost[np.arange(len(rows)), new].sum()))
        is_done = np.array_equal(new, labels)
        labels = new
        if is_done or len(objective) == _MOST_ROUNDS:
            break
    facts: dict[str, Any] = {"objective": objective, "rounds": len(objective), "converged": bool(is_done)}
    return Found(spread_labels(labels, known), facts)


def spread_labels(labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Put labels of known genes among all genes, with -1 elsewhere."""
    spread = np.full(len(known), -1, dtype=np.int64)
    spread[known] = labels
    return spread
