"""A signature as weights over the genes that a screen measured."""

from collections.abc import Sequence

import numpy as np

from insignia.core.errors import GeneMatchError
from insignia.genes import GeneVocabulary, Signature, control_genes, covered_match, unit_weights

__all__ = ["against_controls", "signature_weights"]


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


def against_controls(weights: np.ndarray, level: np.ndarray, n_controls: int) -> np.ndarray:
    """Take from each gene of a signature the mean of the genes outside of it that come closest in level.

    Parameters
    ----------
    weights
        (genes,), of `signature_weights`.
    level
        (genes,) mean log expression in control cells.
    n_controls
        Genes for each; 0 leaves the weights as they are.

    Raises
    ------
    GeneMatchError
        There is no gene beside the signature.
    """
    if not n_controls:
        return weights
    genes = np.flatnonzero(weights)
    controls = control_genes(genes, level, n_controls)
    if not controls.size:
        raise GeneMatchError(f"All {len(weights):,} genes are in the signature: there is none to compare with.")
    held = weights.copy()
    np.add.at(held, controls, -weights[genes][:, None] / controls.shape[1])
    return held
