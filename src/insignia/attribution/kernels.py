"""Products of sparse cells with a dense first layer, blocked so that a block of the layer stays in cache.

The layer is held gene by gene, (genes, hidden). Cells are walked block of genes by block of genes, so each row of the
layer is fetched from memory once per batch of cells and not once per cell.
"""

import numpy as np
from scipy.sparse import csr_matrix

from insignia.core.compiled import compiled

__all__ = ["project", "sample_back", "walk", "walk_back"]

_GENES_PER_BLOCK = 256


def project(values: csr_matrix, layer: np.ndarray) -> np.ndarray:
    """Return ``values @ layer``: (cells, genes) CSR and (genes, hidden) -> (cells, hidden), float32."""
    out = np.zeros((values.shape[0], layer.shape[1]), dtype=np.float32)
    _project(values.data, values.indices, values.indptr, layer, out)
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


@compiled(fastmath=True)
def walk(
    start: np.ndarray,
    way: np.ndarray,
    below: np.ndarray,
    layer: np.ndarray,
    order: np.ndarray,
    bounds: np.ndarray,
    constant: np.ndarray,
    slope: np.ndarray,
    nodes: np.ndarray,
    out: np.ndarray,
) -> None:
    """Follow ``W act(start + a way) + b`` over the nodes a; see `piecewise`.

    Parameters
    ----------
    start, way
        (cells, hidden), what stands before the activation at a = 0, and how it moves.
    below
        (hidden,) slope of each activation below zero; above it is 1.
    layer
        (hidden, next), the next layer unit by unit.
    order, bounds
        (cells, hidden) units in the order of their flips; (cells, nodes + 1) where in it those before each node begin.
    constant, slope
        (cells, next), the two sums at a = 0; changed on the way.
    nodes
        (nodes,).
    out
        (cells, nodes, next), written.
    """
    for cell in range(out.shape[0]):
        fixed, moving = constant[cell], slope[cell]
        for k in range(nodes.shape[0]):
            for p in range(bounds[cell, k], bounds[cell, k + 1]):
                j = order[cell, p]
                change = 1 - below[j] if way[cell, j] > 0 else below[j] - 1
                by_start, by_way = change * start[cell, j], change * way[cell, j]
                row = layer[j]
                for i in range(row.shape[0]):
                    fixed[i] += by_start * row[i]
                    moving[i] += by_way * row[i]
            target = out[cell, k]
            for i in range(target.shape[0]):
                target[i] = fixed[i] + nodes[k] * moving[i]


@compiled(fastmath=True)
def walk_back(
    gradient: np.ndarray,
    weights: np.ndarray,
    way: np.ndarray,
    below: np.ndarray,
    layer: np.ndarray,
    order: np.ndarray,
    bounds: np.ndarray,
    total: np.ndarray,
    out: np.ndarray,
) -> None:
    """Bring weighted gradients at the nodes back through the activation of each flipping unit; see `piecewise`.

    Parameters
    ----------
    gradient
        (cells, nodes, next), with respect to what `walk` gives.
    weights
        (nodes,).
    total
        (cells, hidden), weighted sum of the gradients times the layer.
    out
        (cells, hidden), written at the units that flip.
    """
    prefix = np.empty(gradient.shape[2], dtype=np.float32)
    for cell in range(out.shape[0]):
        prefix[:] = 0
        for k in range(weights.shape[0]):
            for p in range(bounds[cell, k], bounds[cell, k + 1]):
                j = order[cell, p]
                before = np.float32(0)
                row = layer[j]
                for i in range(row.shape[0]):
                    before += row[i] * prefix[i]
                after = total[cell, j] - before
                rises = way[cell, j] > 0
                out[cell, j] = (below[j] * before + after) if rises else (before + below[j] * after)
            here = gradient[cell, k]
            for i in range(here.shape[0]):
                prefix[i] += weights[k] * here[i]
