"""Genes of a signature where there are enough of them, and what each weighs in its score."""

import numpy as np

from insignia.core.errors import GeneMatchError
from insignia.genes.match import GeneMatch
from insignia.genes.score import normaliser
from insignia.genes.signature import Signature
from insignia.genes.vocabulary import GeneVocabulary

__all__ = ["covered_match", "unit_weights"]


def covered_match(
    signature: Signature,
    genes: GeneVocabulary,
    min_coverage: float,
    *,
    among: str = "",
    remedy: str = "lower it to score all the same",
) -> GeneMatch:
    """Find a signature's genes, and refuse it where too few are there.

    Parameters
    ----------
    signature, genes
        What is looked for, and where.
    min_coverage
        Share of its genes below which it is refused.
    among, remedy
        For the error: what the genes are, and what can be done.

    Raises
    ------
    GeneMatchError
        Less than `min_coverage` of the genes are there, or none.
    """
    match = signature.match(genes)
    if match.coverage < min_coverage or not match.n_found:
        among = f" of {among}" if among else ""
        raise GeneMatchError(
            f"{match.summary(signature.name)}. That is below min_coverage={min_coverage:.0%}{among}; {remedy}."
        )
    return match


def unit_weights(signature: Signature, match: GeneMatch) -> np.ndarray:
    """Weights of the genes that were found, which add up to 1 in magnitude: (found genes,)."""
    found = signature.weight_array[match.found]
    return np.asarray(found / normaliser(found))
