"""What programs are induced from: training cells, and what is known about the measured genes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from insignia.core.errors import GeneMatchError, InputError
from insignia.data.gene_priors import GeneEmbedding, GeneNetwork, GenePriors
from insignia.data.perturbation import PerturbationData

__all__ = ["Evidence"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that a source may read, over one list of genes.

    Parameters
    ----------
    genes
        Measured genes in alphabetical order, so that the order of the file cannot matter.
    data
        Training cells; `None` where only priors are looked at.
    embedding
        Vectors of measured genes.
    network
        Interactions of measured genes.
    """

    genes: tuple[str, ...]
    data: PerturbationData | None = None
    embedding: GeneEmbedding | None = None
    network: GeneNetwork | None = None

    @classmethod
    def make(cls, data: PerturbationData, priors: GenePriors | None) -> "Evidence":
        """Collect what a screen and priors offer; a gene embedding for measured genes goes before the general one."""
        embedding = None if priors is None else priors.gene_embedding or priors.embedding
        return cls(tuple(sorted(data.genes)), data, embedding, None if priors is None else priors.network)

    @cached_property
    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of the genes at unit length, (genes, dimensions), 0 where unknown; and (genes,) whether known.

        Raises
        ------
        InputError
            There is no embedding.
        GeneMatchError
            It knows fewer than two of the genes.
        """
        if self.embedding is None:
            raise InputError(
                "This source of programs needs an embedding of the measured genes: pass priors with gene_embedding. "
                "Without one, source='expression' reads programs from the cells."
            )
        values, known = self.embedding.rows(self.genes)
        length = np.linalg.norm(values, axis=1)
        known = known & (length > 0)
        if known.sum() < 2:
            raise GeneMatchError(
                f"The embedding ({self.embedding.source or 'without a source'}) knows {known.sum()} of "
                f"{len(self.genes):,} measured genes, e.g. not {self.genes[:5]}. Does it use the same gene names?"
            )
        unit = np.zeros(values.shape, dtype=np.float64)
        unit[known] = values[known] / length[known, None]
        return unit, known

    @cached_property
    def adjacency(self) -> csr_matrix:
        """(genes, genes) interactions, 0 for genes that the network does not know.

        Raises
        ------
        InputError
            There is no network.
        """
        if self.network is None:
            raise InputError("This source of programs needs interactions of the measured genes: pass priors.network.")
        place = {gene: i for i, gene in enumerate(self.network.genes)}
        found = np.array([place.get(gene, -1) for gene in self.genes], dtype=np.int64)
        rows = np.flatnonzero(found >= 0)
        pick = csr_matrix((np.ones(len(rows)), (rows, found[rows])), shape=(len(found), len(place)))
        return (pick @ self.network.adjacency @ pick.T).tocsr()

    def subsample(self, share: float, rng: np.random.Generator) -> "Evidence":
        """Keep a share of the cells of each group, of the embedding's dimensions and of the interactions."""
        return replace(
            self,
            data=None if self.data is None else _fewer_cells(self.data, share, rng),
            embedding=None if self.embedding is None else _fewer_dimensions(self.embedding, share, rng),
            network=None if self.network is None else _fewer_edges(self.network, share, rng),
        )

    def coverage(self) -> dict[str, int]:
        """Genes that each kind of evidence knows something about."""
        found = {"genes": len(self.genes)}
        if self.data is not None:
            found["expressed"] = int((self.data.expression.getnnz(axis=0) > 0).sum())
        if self.embedding is not None:
            found["embedding"] = int(self.vectors[1].sum())
        if self.network is not None:
            found["interactions"] = int((self.adjacency.getnnz(axis=1) > 0).sum())
        return found

    def columns(self) -> np.ndarray:
        """Positions in the screen of the genes, which stand here in alphabetical order."""
        assert self.data is not None
        return _places(self.data.genes, self.genes)


def _places(names: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[name] for name in wanted], dtype=np.int64)


def _fewer_cells(data: PerturbationData, share: float, rng: np.random.Generator) -> PerturbationData:
    kept = [rows[rng.random(len(rows)) < share] for rows in (data.rows(*group) for group in data.groups)]
    return data.take(np.sort(np.concatenate(kept)))


def _fewer_dimensions(embedding: GeneEmbedding, share: float, rng: np.random.Generator) -> GeneEmbedding:
    n = embedding.matrix.shape[1]
    chosen = np.sort(rng.permutation(n)[: max(1, round(share * n))])
    return replace(embedding, matrix=embedding.matrix[:, chosen])


def _fewer_edges(network: GeneNetwork, share: float, rng: np.random.Generator) -> GeneNetwork:
    upper = network.adjacency.tocoo()
    kept = (upper.row < upper.col) & (rng.random(upper.nnz) < share)
    half = csr_matrix((upper.data[kept], (upper.row[kept], upper.col[kept])), shape=upper.shape)
    return replace(network, adjacency=(half + half.T).tocsr())
