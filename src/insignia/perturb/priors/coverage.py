"""Which genes of a screen the priors know, under which names, and which they do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from insignia.data.gene_priors import GeneEmbedding, GeneNetwork, GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.genes import GeneMatch, GeneVocabulary, Renames, match_genes

__all__ = ["MatchedPriors", "match_priors"]

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class MatchedPriors:
    """Priors under the names of a screen, and what they cover of it.

    Parameters
    ----------
    priors
        With the genes of the screen by the screen's names; other genes stay as they are.
    matches
        ``embedding`` of the perturbed genes; ``gene_embedding``, ``network`` and ``gene_sets`` of the measured ones.
    """

    priors: GenePriors
    matches: Mapping[str, GeneMatch]

    @property
    def table(self) -> pd.DataFrame:
        """One row a prior: genes ``asked``, ``found``, ``renamed``, ``ambiguous``, ``missing``, ``coverage``."""
        rows = {
            name: {
                "asked": len(match.query),
                "found": match.n_found,
                "renamed": len(match.renamed),
                "ambiguous": len(match.ambiguous),
                "missing": len(match.missing),
                "coverage": match.coverage,
                "not_found": ", ".join((*match.missing, *match.ambiguous)[:_SHOWN]),
            }
            for name, match in self.matches.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("prior")

    def __str__(self) -> str:
        return "\n".join(match.summary(name) for name, match in self.matches.items()) or "no priors"


def match_priors(priors: GenePriors, data: PerturbationData, *, renames: Renames | None = None) -> MatchedPriors:
    """Find the genes of a screen in priors, under older and newer symbols or Ensembl ids too.

    Parameters
    ----------
    priors
        As read.
    data
        The screen; its perturbed genes are looked for in the embedding, its measured genes in the rest.
    renames
        Renamed symbols and ids of symbols; `None` uses the bundled table, `load_renames` reads HGNC or GENCODE.

    Returns
    -------
    Priors with the screen's names, and a report. Nothing is dropped: a gene that is not found stays missing.
    """
    perturbed = sorted({gene for condition in data.conditions for gene in condition.genes})
    found: dict[str, GeneMatch] = {}

    def names(what: str, asked: Sequence[str], there: Sequence[str]) -> dict[str, str]:
        """Names there -> names of the screen."""
        match = match_genes(list(asked), GeneVocabulary.from_names(there), renames=renames)
        found[what] = match
        return {there[place]: gene for gene, place in zip(match.query, match.index, strict=True) if place >= 0}

    changed: dict[str, object] = {}
    if priors.embedding is not None:
        changed["embedding"] = _embedding(priors.embedding, names("embedding", perturbed, priors.embedding.genes))
    if priors.gene_embedding is not None:
        theirs = priors.gene_embedding
        changed["gene_embedding"] = _embedding(theirs, names("gene_embedding", data.genes, theirs.genes))
    if priors.network is not None:
        changed["network"] = _network(priors.network, names("network", data.genes, priors.network.genes))
    if priors.gene_sets:
        there = sorted({gene for members in priors.gene_sets.values() for gene in members})
        new = names("gene_sets", data.genes, there)
        changed["gene_sets"] = {
            name: tuple(new.get(gene, gene) for gene in members) for name, members in priors.gene_sets.items()
        }
    return MatchedPriors(replace(priors, **changed), found)  # type: ignore[arg-type]


def _renamed(genes: Sequence[str], new: Mapping[str, str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Names as the screen has them, and which genes stay: one whose name a renamed gene takes is given up."""
    names = [new.get(gene, gene) for gene in genes]
    taken = {name for gene, name in new.items() if name != gene}
    kept = np.array([gene in new or name not in taken for gene, name in zip(genes, names, strict=True)], dtype=bool)
    return tuple(name for name, is_kept in zip(names, kept, strict=True) if is_kept), kept


def _embedding(embedding: GeneEmbedding, new: Mapping[str, str]) -> GeneEmbedding:
    names, kept = _renamed(embedding.genes, new)
    return replace(embedding, genes=names, matrix=embedding.matrix[kept])


def _network(network: GeneNetwork, new: Mapping[str, str]) -> GeneNetwork:
    names, kept = _renamed(network.genes, new)
    rows = np.flatnonzero(kept)
    return replace(network, genes=names, adjacency=csr_matrix(network.adjacency[rows][:, rows]))
