"""scBIG: the flow over gene programs, from gene-relation clustering, with losses on programs and pathways."""

from typing import Any

from insignia.perturb.contract import predictors
from insignia.perturb.predictors.flow import Flow

__all__ = ["PIECES", "ScBIG"]

PIECES: dict[str, dict[str, Any]] = {
    "module latent": {"latent": "module", "programs": "grc"},
    "program losses": {"program_energy": 0.3, "program_correlation": 0.3, "programs": "grc"},
    "pathway loss": {"pathway_energy": 0.3},
}
"""What scBIG adds to the flow, piece by piece, as options of the flow."""


class ScBIG(Flow):
    """The flow with all pieces of scBIG: its programs, its space and its alignment losses.

    A re-implementation of the ideas with corrections, not of the code: programs by exact transport, weights for each
    program, a space that starts as principal components, and losses that are least at the truth. It needs priors with
    an embedding and interactions of the measured genes, and gene sets.

    Parameters
    ----------
    options
        Fields of `FlowOptions`, in place of those of the pieces.

    References
    ----------
    arXiv:2602.04901.
    """

    def __init__(self, **options: Any) -> None:
        pieces = {name: value for piece in PIECES.values() for name, value in piece.items()}
        super().__init__(**(pieces | options))


predictors.add("scbig", source="arXiv:2602.04901, with corrections")(ScBIG)
