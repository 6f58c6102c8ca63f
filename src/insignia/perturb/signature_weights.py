"""A signature as weights over the genes that a screen measured."""

from collections.abc import Sequence

import numpy as np

from insignia.genes import GeneVocabulary, Signature, covered_match, unit_weights

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
    match = covered_match(
        signature,
        GeneVocabulary(np.array(genes, dtype=object)),
        min_coverage,
        among="what the screen measured",
        remedy=f"lower it to {purpose} all the same, or keep more genes of the screen",
    )
    weights = np.zeros(len(genes))
    np.add.at(weights, match.index[match.found], unit_weights(signature, match))
    return weights, match.coverage
