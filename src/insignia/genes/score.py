"""Score a signature on any matrix of cells and genes."""

from typing import Any, Final

import numpy as np
from scipy import sparse

from insignia.core.errors import GeneMatchError, SignatureError
from insignia.genes.match import GeneMatch

__all__ = ["AGGREGATIONS", "normaliser", "score"]

AGGREGATIONS: Final = ("mean", "sum", "weighted_mean")
_CANCELLED: Final = 1e-6


def normaliser(weights_found: np.ndarray, agg: str = "mean") -> float:
    r"""Return what the weighted sum over the found genes is divided by.

    Parameters
    ----------
    weights_found
        (found genes,) weights.
    agg
        ``"mean"``: :math:`\sum |w|`; ``"sum"``: 1; ``"weighted_mean"``: :math:`\sum w`.

    Raises
    ------
    SignatureError
        `agg` is unknown, or the divisor is 0 by these weights.
    """
    if agg not in AGGREGATIONS:
        raise SignatureError(f"agg must be one of {', '.join(AGGREGATIONS)}, not {agg!r}.")
    weights = np.asarray(weights_found, dtype=np.float64)
    size = float(np.abs(weights).sum())
    if size == 0.0:
        raise SignatureError("All genes that were found have weight 0, so there is nothing to score.")
    if agg == "sum":
        return 1.0
    if agg == "mean":
        return size
    total = float(weights.sum())
    if abs(total) <= _CANCELLED * size:
        raise SignatureError(
            f"The weights of the {len(weights):,} genes that were found add up to 0, so agg='weighted_mean' has no "
            "value. Use agg='mean', which divides by the absolute weights."
        )
    return total


def score(matrix: Any, match: GeneMatch, weights: np.ndarray, *, agg: str = "mean") -> np.ndarray:
    r"""Score every cell: the weighted sum over the signature's genes that were found, normalised by `agg`.

    Parameters
    ----------
    matrix
        (cells, genes) values, sparse or dense, with the genes of the vocabulary that `match` was made on.
    match
        Where the signature's genes are; those that were not found are left out of numerator and divisor.
    weights
        (signature genes,) weights, e.g. `Signature.weight_array`.
    agg
        ``"mean"``: :math:`\sum w a / \sum |w|`; ``"sum"``: :math:`\sum w a`;
        ``"weighted_mean"``: :math:`\sum w a / \sum w`.

    Returns
    -------
    (cells,) float32.

    Raises
    ------
    GeneMatchError
        No gene was found, or the matrix has fewer genes than the vocabulary.
    SignatureError
        The weights are not one a gene, or `normaliser` has no value.
    """
    if len(weights) != len(match.query):
        raise SignatureError(f"{len(match.query):,} genes were matched and {len(weights):,} weights given.")
    positions = match.index[match.found]
    if not len(positions):
        raise GeneMatchError(f"None of the {len(match.query):,} genes was found: {match.summary()}.")
    if positions.max() >= matrix.shape[1]:
        raise GeneMatchError(
            f"The matrix has {matrix.shape[1]:,} genes, and one was matched at position {int(positions.max()):,}: "
            "match the signature on the genes of this matrix."
        )
    found = np.asarray(weights, dtype=np.float64)[match.found]
    is_slow = sparse.issparse(matrix) and getattr(matrix, "format", "") not in {"csr", "csc"}
    columns = sparse.csr_matrix(matrix) if is_slow else matrix
    total = np.asarray(columns[:, positions] @ found, dtype=np.float64).ravel()
    return (total / normaliser(found, agg)).astype(np.float32)
