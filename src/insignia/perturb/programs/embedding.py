"""Programs from what is known about genes: their embedding, also smoothed over their interactions."""

from typing import Final

import numpy as np

from insignia.perturb.programs.balanced_kmeans import balanced_kmeans
from insignia.perturb.programs.contract import Found, SourceOptions, program_sources
from insignia.perturb.programs.evidence import Evidence

__all__ = ["main_axes", "smoothed_vectors"]

_STEPS: Final = 2
_WEIGHT: Final = 0.5
_MORE_AXES: Final = 8


@program_sources.add("embedding", source="balanced k-means on the main axes of gene embeddings")
def embedding(evidence: Evidence, options: SourceOptions) -> Found:
    """Cluster the embedding alone."""
    vectors, known = evidence.vectors
    return balanced_kmeans(main_axes(vectors, known, options.n_programs), known, options)


@program_sources.add("smoothed", source="the same, each gene's vector averaged with those of its interaction partners")
def smoothed(evidence: Evidence, options: SourceOptions) -> Found:
    """Cluster the embedding smoothed over interactions."""
    vectors, known = smoothed_vectors(evidence)
    return balanced_kmeans(main_axes(vectors, known, options.n_programs), known, options)


def smoothed_vectors(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Average each gene's vector with those of its partners, twice, half and half.

    A gene without a vector of its own gets what its partners have; one without partners keeps its own.

    Returns
    -------
    (genes, dimensions), and (genes,) whether a gene has a vector or a partner with one.
    """
    vectors, known = evidence.vectors
    graph = evidence.adjacency
    found, has = vectors, known.astype(np.float64)
    for _ in range(_STEPS):
        total = graph @ has
        near = (graph @ (found * has[:, None])) / np.where(total > 0, total, 1)[:, None]
        share = np.where(total > 0, np.where(known, _WEIGHT, 1.0), 0.0)[:, None]
        found = (1 - share) * vectors + share * near
        has = np.maximum(has, (total > 0).astype(np.float64))
    return found, has > 0


def main_axes(vectors: np.ndarray, known: np.ndarray, n_programs: int) -> np.ndarray:
    """Turn vectors onto a few more main axes than there are programs; rows of unknown genes are 0."""
    rows = vectors[known] - vectors[known].mean(axis=0)
    left, size, _ = np.linalg.svd(rows, full_matrices=False)
    kept = min(n_programs + _MORE_AXES, len(size))
    axes = np.zeros((len(vectors), kept))
    axes[known] = left[:, :kept] * size[:kept]
    return axes
