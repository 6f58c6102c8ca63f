"""Nearest neighbours in an embedding, and what they vote for."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

__all__ = ["LabelledCells", "LabelledEmbedding", "Neighbours", "nearest", "vote"]

_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest reference cells of each cell, nearest first.

    Parameters
    ----------
    indices
        (cells, neighbours), rows of the reference.
    distances
        (cells, neighbours), cosine distances: 0 for equal directions, 2 for opposite ones.
    """

    indices: np.ndarray
    distances: np.ndarray


class LabelledCells(Protocol):
    """Reference cells that have labels and can be searched."""

    @property
    def labels(self) -> np.ndarray:
        """Label of each cell, (cells,), str."""

    @property
    def latent(self) -> int:
        """Length of their embedding."""

    @property
    def n_searchable(self) -> int:
        """How many cells a search can find."""

    @property
    def sha256(self) -> str:
        """Hash of embeddings and labels."""

    def search(self, embedding: np.ndarray, n_neighbors: int) -> Neighbours:
        """Find the nearest cells of each row of `embedding`, (cells, latent)."""


@dataclass(frozen=True, eq=False)
class LabelledEmbedding:
    """Reference cells in memory, searched exactly: `embedding`, (cells, latent), and `labels`, (cells,), str."""

    embedding: np.ndarray
    labels: np.ndarray
    sha256: str

    @property
    def latent(self) -> int:
        """Length of the embedding."""
        return int(self.embedding.shape[1])

    @property
    def n_searchable(self) -> int:
        """All cells."""
        return len(self.labels)

    def search(self, embedding: np.ndarray, n_neighbors: int) -> Neighbours:
        """Find the nearest cells of each row of `embedding`, (cells, latent)."""
        return nearest(embedding, self.embedding, n_neighbors)


def nearest(query: np.ndarray, reference: np.ndarray, n_neighbors: int) -> Neighbours:
    """Find the nearest rows of `reference` by cosine distance, exactly.

    Parameters
    ----------
    query
        (cells, latent).
    reference
        (reference cells, latent).
    n_neighbors
        Between 1 and the number of reference cells.
    """
    from sklearn.neighbors import NearestNeighbors

    # in float32, 1 - cos of near cells is mostly rounding and depends on the batch
    search = NearestNeighbors(n_neighbors=n_neighbors, metric="cosine", algorithm="brute")
    search.fit(np.asarray(reference, dtype=np.float64))
    distances, indices = search.kneighbors(np.asarray(query, dtype=np.float64))
    return Neighbours(indices, distances)


def vote(codes: np.ndarray, distances: np.ndarray, n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Give each cell the label that most of its neighbours have.

    Among equally frequent labels the one of the nearest neighbour wins, and among equally near ones the lowest code, so
    that the order of the neighbours does not matter.

    Parameters
    ----------
    codes
        (cells, neighbours), labels as integers below `n_labels`.
    distances
        (cells, neighbours).
    n_labels
        Number of labels.

    Returns
    -------
    The winning codes, (cells,), and their share of the votes, (cells,), between 0 and 1.
    """
    winners = np.empty(len(codes), dtype=np.int64)
    shares = np.empty(len(codes))
    for start in range(0, len(codes), _BLOCK):
        here = slice(start, start + _BLOCK)
        winners[here], shares[here] = _vote(codes[here], distances[here], n_labels)
    return winners, shares


def _vote(codes: np.ndarray, distances: np.ndarray, n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    n_cells, n_neighbors = codes.shape
    places = (np.repeat(np.arange(n_cells), n_neighbors), codes.ravel())
    counts = np.zeros((n_cells, n_labels), dtype=np.int64)
    np.add.at(counts, places, 1)
    closest = np.full((n_cells, n_labels), np.inf)
    np.minimum.at(closest, places, distances.ravel())
    most = counts.max(axis=1, keepdims=True)
    winners = np.where(counts == most, closest, np.inf).argmin(axis=1)
    return winners, most[:, 0] / n_neighbors
