"""What a matrix holds: counts, log1p of counts scaled to 10,000, or something that models cannot take."""

from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from scipy import sparse

from insignia.core.errors import InputSpaceError

__all__ = ["LOG1P_MAX", "InputSpace", "Names", "check_space", "detect_space"]

InputSpace = Literal["counts", "log1p"]

Names = tuple[pd.Index, pd.Index]
"""Names of the cells and of the genes of a matrix, for messages."""

LOG1P_MAX: Final = float(np.log1p(1e4))
"""Largest value of log1p CP10k: a cell whose counts all fall on one gene."""

_TOLERANCE = 1e-3
_CULPRITS = 3
_WHOLE_FLOAT32: Final = 2.0**24
"""From here on float32 holds whole numbers only, whatever is meant."""


def detect_space(matrix: Any, *, what: str = "the matrix", names: Names | None = None) -> InputSpace:
    """Tell whether a matrix holds counts or log1p CP10k.

    Counts are non-negative whole numbers. log1p CP10k is non-negative, has fractions, and cannot exceed
    log1p(10,000) = 9.21.

    Parameters
    ----------
    matrix
        (cells, genes), dense or sparse, of any number type.
    what
        How messages call the matrix, e.g. ``"layer 'counts'"``.
    names
        Names of its cells and of its genes, for messages.

    Raises
    ------
    InputSpaceError
        Values are not numbers, not finite, negative, or neither counts nor log1p CP10k.
    """
    values = _values(matrix)
    _refuse_unusable(matrix, values, what, names)
    if _is_whole(values):
        return "counts"
    _refuse_large(values, what)
    return "log1p"


def check_space(
    matrix: Any,
    space: InputSpace,
    *,
    declared: bool = True,
    what: str = "the matrix",
    names: Names | None = None,
) -> None:
    """Check a block of rows against the space of the whole matrix.

    Parameters
    ----------
    matrix
        (cells, genes), dense or sparse, of any number type.
    space
        What the matrix is said to hold.
    declared
        The caller said so, and it was not detected. Declared log1p may exceed log1p(10,000), as logs of counts
        scaled to another total do: expm1 of them is still proportional to the counts. Whole numbers above it are
        refused as counts.
    what, names
        See `detect_space`.

    Raises
    ------
    InputSpaceError
        Values are not numbers, not finite, negative, or not of this space.
    """
    if space not in ("counts", "log1p"):
        raise InputSpaceError(f"input_space must be 'counts' or 'log1p', not {space!r}.")
    values = _values(matrix)
    _refuse_unusable(matrix, values, what, names)
    if space == "counts" and not _is_whole(values):
        raise InputSpaceError(
            f"{what} holds non-integers (max {values.max():.4g}) but is taken as counts: already log-normalised? "
            "Pass a layer that holds counts, or input_space='log1p' if it is natural log1p of scaled counts."
        )
    if space == "log1p":
        (_refuse_counts if declared else _refuse_large)(values, what)


def _values(matrix: Any) -> np.ndarray:
    values = matrix.data if sparse.issparse(matrix) else np.ravel(np.asarray(matrix))
    return np.asarray(values)


def _is_whole(values: np.ndarray) -> bool:
    return values.dtype.kind in "biu" or bool((values == np.rint(values)).all())


def _refuse_unusable(matrix: Any, values: np.ndarray, what: str, names: Names | None) -> None:
    if values.dtype.kind not in "biuf":
        raise InputSpaceError(f"{what} must hold numbers and holds {values.dtype}. Convert it to float32.")
    if not values.size or values.dtype.kind in "bu":
        return
    low = values.min()
    if not np.isfinite([low, values.max()]).all():
        finite = np.isfinite(values)
        raise InputSpaceError(
            f"{what} holds {values.size - int(finite.sum()):,} values that are NaN or infinite, "
            f"e.g. {_culprits(matrix, finite, names)}. Fix or remove these cells or genes first."
        )
    if low < 0:
        raise InputSpaceError(
            f"{what} holds negative values (min {low:.4g}, e.g. {_culprits(matrix, values >= 0, names)}): "
            "scaled or centred? Counts or log1p of counts per 10,000 are needed."
        )


def _refuse_counts(values: np.ndarray, what: str) -> None:
    high = float(values.max()) if values.size else 0.0
    if LOG1P_MAX + _TOLERANCE < high < _WHOLE_FLOAT32 and _is_whole(values):
        raise InputSpaceError(
            f"{what} holds whole numbers only, up to {high:,.0f}, and is taken as log1p: these look like counts. "
            "Pass input_space='counts', or leave it out and it is found."
        )


def _refuse_large(values: np.ndarray, what: str) -> None:
    high = float(values.max()) if values.size else 0.0
    if high > LOG1P_MAX + _TOLERANCE:
        fractions = np.mean(values != np.rint(values))
        raise InputSpaceError(
            f"{what} holds neither counts ({fractions:.0%} of its values are not whole) nor log1p of counts per 10,000 "
            f"(max {high:.4g}, possible {LOG1P_MAX:.2f}): TPM, CPM, log2? Pass a layer with counts. If it is the "
            "natural log1p of counts scaled to another total, say so with input_space='log1p'."
        )


def _culprits(matrix: Any, good: np.ndarray, names: Names | None) -> str:
    """Name the first few (cell, gene) entries that are not good."""
    first = np.flatnonzero(~good)[:_CULPRITS]
    if sparse.issparse(matrix):
        entries = matrix.tocoo()
        cells, genes = entries.row[first], entries.col[first]
    else:
        cells, genes = np.unravel_index(first, np.shape(matrix))
    if names is None:
        return ", ".join(f"cell {cell} gene {gene}" for cell, gene in zip(cells, genes, strict=True))
    return ", ".join(f"cell {names[0][c]!r} gene {names[1][g]!r}" for c, g in zip(cells, genes, strict=True))
