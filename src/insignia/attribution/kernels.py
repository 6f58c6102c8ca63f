"""Compiled loops that follow a path through a piecewise-linear activation; see `piecewise`."""

import numpy as np

from insignia.core.compiled import compiled

__all__ = ["walk", "walk_back"]


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
