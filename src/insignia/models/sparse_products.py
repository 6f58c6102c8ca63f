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
            p = position[cell]
            while p < indptr[cell + 1] and indices[p] < stop:
                value = data[p]
                row = layer[indices[p]]
                target = out[cell]
                for j in range(row.shape[0]):
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
            p = position[cell]
            source = gradient[cell]
            while p < indptr[cell + 1] and indices[p] < stop:
                row = layer[indices[p]]
                total = np.float32(0)
                for j in range(row.shape[0]):
                    total += source[j] * row[j]
                out[p] = total
                p += 1
            position[cell] = p
