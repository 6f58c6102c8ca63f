"""What is known about genes beforehand: embeddings, interactions and gene sets, always by name, missing said aloud."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from insignia.core.errors import DuplicateNames, InputError

__all__ = ["GeneEmbedding", "GeneNetwork", "GenePriors"]


@dataclass(frozen=True, eq=False)
class GeneEmbedding:
    """A vector for each of some genes.

    Parameters
    ----------
    genes
        Unique names.
    matrix
        (genes, dimensions) float32, finite.
    source
        Where it comes from.
    """

    genes: tuple[str, ...]
    matrix: np.ndarray
    source: str = ""

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or len(self.matrix) != len(self.genes) or not np.isfinite(self.matrix).all():
            raise InputError(f"An embedding of {len(self.genes):,} genes must be finite, found {self.matrix.shape}.")
        if len(set(self.genes)) < len(self.genes):
            raise DuplicateNames("An embedding must name each gene once.")

    def rows(self, genes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Look genes up: (genes, dimensions) with NaN where a gene is missing, and (genes,) whether it is there."""
        found = np.array([self._place.get(gene, -1) for gene in genes], dtype=np.int64)
        values = np.full((len(found), self.matrix.shape[1]), np.nan, dtype=np.float32)
        values[found >= 0] = self.matrix[found[found >= 0]]
        return values, found >= 0

    @cached_property
    def _place(self) -> dict[str, int]:
        return {gene: i for i, gene in enumerate(self.genes)}


@dataclass(frozen=True, eq=False)
class GeneNetwork:
    """Interactions between genes.

    Parameters
    ----------
    genes
        Unique names.
    adjacency
        (genes, genes) symmetric, no self-interactions; the weight is the confidence from 0 to 1.
    source
        Where it comes from.
    """

    genes: tuple[str, ...]
    adjacency: csr_matrix
    source: str = ""


@dataclass(frozen=True, eq=False)
class GenePriors:
    """All that a predictor may know about genes besides the screen.

    Parameters
    ----------
    embedding
        Of genes that are perturbed.
    gene_embedding
        Of genes that are measured, where it is another one.
    network
        Interactions of measured genes.
    gene_sets
        Pathways: name -> genes.
    """

    embedding: GeneEmbedding | None = None
    gene_embedding: GeneEmbedding | None = None
    network: GeneNetwork | None = None
    gene_sets: Mapping[str, Sequence[str]] = field(default_factory=dict)
