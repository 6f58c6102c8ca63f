"""Thousands of signatures in the gene table of an atlas: every gene is looked up once, whatever it occurs in."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from insignia.genes import GeneVocabulary, Signature, match_genes
from insignia.genes.names import parse_names

__all__ = ["positions_of"]


def positions_of(signatures: Sequence[Signature], vocabulary: GeneVocabulary) -> list[np.ndarray]:
    """Find the genes of each signature, as `Signature.match` does.

    Returns
    -------
    For each signature, position of each of its genes in the vocabulary, -1 where it was not found.

    Raises
    ------
    OrganismMismatch
        A signature is of another organism.
    """
    plain = [one.id_type == "symbol" and one.organism == vocabulary.organism for one in signatures]
    names = {gene for one, is_plain in zip(signatures, plain, strict=True) if is_plain for gene in one.genes}
    places, odd = _looked_up(tuple(sorted(names)), vocabulary)
    found = []
    for one, is_plain in zip(signatures, plain, strict=True):
        # whether a renamed or ambiguous gene counts depends on the others of its signature
        if is_plain and odd.isdisjoint(one.genes):
            found.append(np.array([places[gene] for gene in one.genes], dtype=np.int64))
        else:
            found.append(one.match(vocabulary).index)
    return found


@lru_cache(maxsize=4)
def _looked_up(names: tuple[str, ...], vocabulary: GeneVocabulary) -> tuple[dict[str, int], frozenset[str]]:
    """Position of each gene that is plainly there or plainly missing, and the genes that are neither."""
    if not names:
        return {}, frozenset()
    _, ids = parse_names(names)
    with_id = {gene for gene, identifier in zip(names, ids, strict=True) if identifier}
    symbols = [gene for gene in names if gene not in with_id]
    if not symbols:
        return {}, frozenset(with_id)
    match = match_genes(GeneVocabulary.from_names(symbols, organism=vocabulary.organism), vocabulary)
    unsure = {*match.renamed, *match.ambiguous}
    odd = {gene for gene, label in zip(symbols, match.query, strict=True) if label in unsure}
    return dict(zip(symbols, match.index.tolist(), strict=True)), frozenset(odd | with_id)
