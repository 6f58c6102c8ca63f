"""A signature as weights over the genes that a screen measured."""

from collections.abc import Sequence

import numpy as np

from insignia.core.errors import GeneMatchError
from insignia.genes import GeneVocabulary, Signature, normaliser

__all__ = ["signature_weights"]


def signature_weights(
    signature: Signature, genes: Sequence[str], *, min_coverage: float, purpose: str
) -> tuple[np.ndarray, float]:
    """Give the weights of all measured genes, which add up to 1 in magnitude, and the share of the signature measured.

    Raises
    ------
    GeneMatchError
        Less than `min_coverage` of the signature's genes was measured; `purpose` says what lowering it would allow.
    """
    match = signature.match(GeneVocabulary(np.array(genes, dtype=object)))
    if match.coverage < min_coverage or not match.n_found:
        raise GeneMatchError(
            f"{match.summary(signature.name)}. That is below min_coverage={min_coverage:.0%} of what the screen "
            f"measured; lower it to {purpose} all the same, or keep more genes of the screen."
        )
    found = signature.weight_array[match.found]
    weights = np.zeros(len(genes))
    np.add.at(weights, match.index[match.found], found / normaliser(found))
    return weights, match.coverage
