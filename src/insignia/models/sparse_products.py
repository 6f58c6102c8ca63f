"""Products of sparse cells with a dense first layer, blocked so that a block of the layer stays in cache.

The layer is held gene by gene, (genes, hidden). Cells are walked block of genes by block of genes, so each row of the
layer is fetched from memory once per batch of cells and not once per cell.
"""

import numpy as np
from scipy.sparse import csr_matrix

from insignia.core.compiled import compiled

__all__ = ["project", "sample_back"]

_GENES_PER_BLOCK = 256


def project(data: np.ndarray, support: csr_matrix, layer: np.ndarray) -> np.ndarray:
    """Multiply cells whose values `data`, (non-zeros,), stand at the places of `support`, (cells, genes), by a layer.

    Returns
    -------
    (cells, hidden), float32, for a layer of (genes, hidden).
    """
    out = np.zeros((support.shape[0], layer.shape[1]), dtype=np.float32)
    _project(data, support.indices, support.indptr, layer, out)
    return out


def sample_back(gradient: np.ndarray, layer: np.ndarray, support: csr_matrix) -> np.ndarray:
    """Return ``gradient @ layer.T`` at the stored places of `support`, one value each: (non-zeros,), float32."""
    out = np.empty(support.nnz, dtype=np.float32)
    _sample_back(gradient, layer, support.indices, support.indptr, out)
    return out


@compiled(fastmath=True)
def _project(data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, layer: np.ndarray, out: np.ndarray) -> None:
    position = indptr[:-1].copy()
    for stop in range(_GENES_PER_BLOCK, layer.shape[0] + _GENES_PER_BLOCK, _GENES_PER_BLOCK):
        for cell in range(out.shape[0]):
            p, target = position[cell], out[cell]
            end = _end_of_block(indices, p, indptr[cell + 1], stop)
            # four genes at a time, so that the cell is loaded and stored once for four rows of the layer
            while p + 4 <= end:
                a, b, c, d = data[p], data[p + 1], data[p + 2], data[p + 3]
                row_a, row_b = layer[indices[p]], layer[indices[p + 1]]
                row_c, row_d = layer[indices[p + 2]], layer[indices[p + 3]]
                for j in range(target.shape[0]):
                    target[j] += a * row_a[j] + b * row_b[j] + c * row_c[j] + d * row_d[j]
                p += 4
            while p < end:
                value, row = data[p], layer[indices[p]]
                for j in range(target.shape[0]):
                    target[j] += value * row[j]
                p += 1
            position[cell] = p


@compiled(fastmath=True)
def _sample_back(
    gradient: np.ndarray, layer: np.ndarray, indices: np.ndarray, indptr: np.ndarray, out: np.ndarray
) -> None:
    position = indptr[:-1].copy()
    for stop in range(_GENES_PER_BLOCK, layer.shape[0] + _GENES_PER_BLOCK, _GENES_PER_BLOCK):
        for cell in range(gradient.shape[0]):
            p, source = position[cell], gradient[cell]
            end = _end_of_block(indices, p, indptr[cell + 1], stop)
            while p + 4 <= end:
                row_a, row_b = layer[indices[p]], layer[indices[p + 1]]
                row_c, row_d = layer[indices[p + 2]], layer[indices[p + 3]]
                a, b, c, d = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                for j in range(source.shape[0]):
                    a += source[j] * row_a[j]
                    b += source[j] * row_b[j]
                    c += source[j] * row_c[j]
                    d += source[j] * row_d[j]
                out[p], out[p + 1], out[p + 2], out[p + 3] = a, b, c, d
                p += 4
            while p < end:
                row = layer[indices[p]]
                total = np.float32(0)
                for j in range(source.shape[0]):
                    total += source[j] * row[j]
                out[p] = total
                p += 1
            position[cell] = p


@compiled()
def _end_of_block(indices: np.ndarray, start: int, end: int, stop: int) -> int:
    """Return the place after the last gene of a cell that is below `stop`."""
    p = start
    while p < end and indices[p] < stop:
        p += 1
    return p
