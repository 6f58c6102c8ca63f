"""Which genes of attributed cells have a score, and whether enough of a signature is among them."""

import warnings

import numpy as np
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import CoverageWarning
from insignia.genes import GeneMatch, GeneVocabulary, Signature, covered_match

__all__ = ["match_or_warn", "scorable_genes"]


def scorable_genes(
    adata: AnnData, layer: str | None, *, gene_symbols: str | None = None, gene_ids: str | None = None
) -> GeneVocabulary:
    """Genes of the columns; those that the attributed model does not know have no name, as they have no value."""
    genes = GeneVocabulary.from_var(adata.var, gene_symbols=gene_symbols, gene_ids=gene_ids)
    index = None if layer is None else adata.var.get(keys.gene_index(layer))
    if index is None:
        return genes
    known = index.to_numpy() >= 0
    ids = None if genes.ids is None else np.where(known, genes.ids, "")
    return GeneVocabulary(np.where(known, genes.symbols, ""), ids, genes.organism)


def match_or_warn(signature: Signature, genes: GeneVocabulary, min_coverage: float, *, stacklevel: int) -> GeneMatch:
    """Find a signature's genes, refuse it where too few are there, and warn where some are not."""
    match = covered_match(signature, genes, min_coverage)
    if match.n_found < len(match.query):
        warnings.warn(f"{match.summary(signature.name)}.", CoverageWarning, stacklevel=stacklevel + 1)
    return match
