"""Area averages: what an ideal coarser camera would have seen."""

from typing import Final

import numpy as np
from scipy import sparse

from insignia.data.pixels.contract import Pixels

__all__ = ["area_weights", "average_box", "average_level"]

_BAND: Final = 8 * 2**20


def area_weights(n_out: int, start: float, factor: float, first: int, n_in: int) -> np.ndarray:
    """Weights that average pixels along one side.

    Parameters
    ----------
    n_out
        Coarse pixels; pixel k covers ``[start + k * factor, start + (k + 1) * factor)`` in fine pixels.
    first, n_in
        The fine pixels at hand, ``first <= i < first + n_in``.

    Returns
    -------
    (n_out, n_in) float32; rows sum to 1 where the fine pixels cover the coarse one.
    """
    edges = start + factor * np.arange(n_out + 1)
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(first, first + n_in)[None]
    shared: np.ndarray = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None) / factor
    return shared.astype(np.float32)


def average_box(pixels: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Average (height, width, 3) with weights for the columns and rows, to (rows, columns, 3) uint8."""
    height, width, channels = pixels.shape
    rows = (down @ pixels.reshape(height, width * channels).astype(np.float32)).reshape(-1, width, channels)
    # columns first, so that the second product is one large one as well
    turned = rows.transpose(1, 0, 2).reshape(width, -1)
    return to_bytes((across @ turned).reshape(len(across), -1, channels).transpose(1, 0, 2))


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Round to uint8."""
    rounded: np.ndarray = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


def average_level(source: Pixels, level: int, factor: float) -> np.ndarray:
    """Average a whole level, read in bands, to pixels of `factor` of its pixels; what lies beyond it is white."""
    wide, high = source.levels[level].width, source.levels[level].height
    columns, rows = output_side(wide, factor), output_side(high, factor)
    across = _sparse_weights(columns, factor, 0, wide)
    total = np.zeros((rows, columns, 3), dtype=np.float32)
    step = max(1, _BAND // (3 * wide))
    for top in range(0, high, step):
        band = source.read(level, 0, top, wide, min(step, high - top))
        from_row, to_row = int(top / factor), min(rows, int(np.ceil((top + len(band)) / factor)))
        down = _sparse_weights(to_row - from_row, factor, top - from_row * factor, len(band))
        lines = (down @ band.reshape(len(band), wide * 3).astype(np.float32)).reshape(-1, wide, 3)
        for channel in range(3):
            total[from_row:to_row, :, channel] += (across @ lines[:, :, channel].T).T
    covered = np.minimum(1, np.asarray(across.sum(axis=1)).reshape(1, -1, 1))
    covered = covered * np.minimum(1, _covered(rows, factor, high).reshape(-1, 1, 1))
    return to_bytes(total + 255 * (1 - covered))


def output_side(side: int, factor: float) -> int:
    """Coarse pixels that cover `side` fine ones; a rounding error makes no further pixel."""
    return max(1, int(np.ceil(side / factor - 1e-6)))


def _covered(n_out: int, factor: float, n_in: int) -> np.ndarray:
    edges = factor * np.arange(n_out + 1)
    covered: np.ndarray = np.diff(np.minimum(edges, n_in)) / factor
    return covered


def _sparse_weights(n_out: int, factor: float, first: float, n_in: int) -> sparse.csr_matrix:
    """Weights of fine pixels `first + i`, as `area_weights` gives them, without the zeros."""
    edges = np.unique(np.concatenate([first + np.arange(n_in + 1), factor * np.arange(n_out + 1)]))
    edges = edges[(edges >= first) & (edges <= min(first + n_in, factor * n_out))]
    middle = (edges[:-1] + edges[1:]) / 2
    row = np.minimum((middle / factor).astype(np.int64), n_out - 1)
    column = np.clip((middle - first).astype(np.int64), 0, n_in - 1)
    weight = (np.diff(edges) / factor).astype(np.float32)
    return sparse.csr_matrix((weight, (row, column)), shape=(n_out, n_in))
