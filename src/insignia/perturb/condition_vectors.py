"""Vectors of conditions from embeddings of the perturbed genes; a gene without one is an error or said aloud."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from insignia.core.errors import GeneMatchError, InputError
from insignia.data.condition import Condition
from insignia.data.gene_priors import GeneEmbedding, GenePriors

__all__ = ["ConditionVectors", "check_on_missing", "embedding_of"]

_MOST_DIMENSIONS: Final = 64
_BLOCK: Final = 4096


def check_on_missing(on_missing: str) -> None:
    """Refuse what is not ``"error"`` or ``"mean"``."""
    if on_missing not in ("error", "mean"):
        raise InputError(f"on_missing takes 'error' or 'mean', found {on_missing!r}.")


def embedding_of(priors: GenePriors | None, name: str) -> GeneEmbedding:
    """Take the embedding of the perturbed genes from the priors, or say how to make one."""
    if priors is None or priors.embedding is None:
        raise InputError(
            f"{name} needs an embedding of the perturbed genes. Read one with perturb.read_embedding, or make one from "
            "gene sets with perturb.from_gene_sets."
        )
    return priors.embedding


@dataclass(frozen=True, eq=False)
class ConditionVectors:
    """Embeddings of genes, standardised on the genes of the training conditions and turned onto their main axes.

    What was learned from the training genes can only be asked along these axes, so a vector of thousands of numbers
    becomes one of at most 64, and fewer than there are training genes. All genes of the embedding stay: any of them may
    be perturbed next.

    Parameters
    ----------
    turned
        A vector for every gene that the embedding knows, (genes, kept).
    trained
        (trained genes, kept) those of the training genes, from which distances are measured.
    """

    turned: GeneEmbedding
    trained: np.ndarray

    @classmethod
    def fit(cls, embedding: GeneEmbedding, genes: Sequence[str]) -> "ConditionVectors":
        """Learn centre, scale and axes from the training genes that the embedding knows.

        Raises
        ------
        GeneMatchError
            It knows fewer than two of them.
        """
        perturbed = sorted(set(genes))
        values, known = embedding.rows(perturbed)
        if known.sum() < 2:
            raise GeneMatchError(
                f"The embedding ({embedding.source or 'without a source'}) knows {known.sum()} of {len(known)} "
                f"perturbed genes, and two are the least; e.g. not {perturbed[:5]}. Does it use the same gene names?"
            )
        values = values[known].astype(np.float64)
        centre = values.mean(axis=0)
        _, size, axes = np.linalg.svd(values - centre, full_matrices=False)
        kept = min(_MOST_DIMENSIONS, int((size > 1e-6 * size[0]).sum()))
        scale = np.sqrt(np.mean(size[:kept] ** 2) / len(values))
        matrix = _turned(embedding.matrix, centre, axes[:kept].T / scale)
        turned = GeneEmbedding(embedding.genes, matrix, embedding.source)
        return cls(turned, turned.rows(perturbed)[0][known])

    @property
    def size(self) -> int:
        """Length of a vector."""
        return int(self.trained.shape[1])

    def genes(self, genes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of genes, (genes, kept) with NaN rows where unknown, and (genes,) whether each is known."""
        values, known = self.turned.rows(genes)
        return values.astype(np.float64), known

    def missing(self, condition: Condition) -> tuple[str, ...]:
        """Perturbed genes that the embedding does not know."""
        _, known = self.turned.rows(condition.genes)
        return tuple(gene for gene, is_known in zip(condition.genes, known, strict=True) if not is_known)

    def distance(self, condition: Condition) -> float:
        """Distance of its perturbed genes to the nearest training genes, the largest of them; NaN where unknown."""
        values, _ = self.genes(condition.genes)
        if not len(values):
            return 0.0
        nearest = np.sqrt(((values[:, None] - self.trained[None]) ** 2).sum(axis=2)).min(axis=1)
        return float(nearest.max())

    def require(self, condition: Condition) -> None:
        """Refuse a condition with a gene that has no vector.

        Raises
        ------
        GeneMatchError
            With the genes by name; a missing vector never stands for no perturbation.
        """
        if missing := self.missing(condition):
            raise GeneMatchError(
                f"The embedding has no vector for {', '.join(missing)}, perturbed in {condition}. Give another one, "
                "or pass on_missing='mean' to predict the mean of all perturbations there, flagged as a fall-back."
            )


def _turned(matrix: np.ndarray, centre: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Project block by block, since a table may have many more columns than are kept."""
    blocks = (matrix[start : start + _BLOCK] for start in range(0, len(matrix), _BLOCK))
    return np.concatenate([((block - centre) @ axes).astype(np.float32) for block in blocks])
