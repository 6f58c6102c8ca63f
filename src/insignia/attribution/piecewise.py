"""Mean gradients through a piecewise-linear activation, without a pass through the next layer for every node.

Along the path a unit before a ReLU, LeakyReLU or PReLU moves on a straight line ``u + a s`` and changes its slope at
most once, at ``a = -u / s``. What the next layer gives at all nodes is therefore a running sum of two vectors plus the
columns of the units that flipped since the last node; and the gradient with respect to a unit needs one product with
the sum of the nodes' gradients up to its flip and one with their total. These are the numbers of following the path
node by node, for a few passes over the next layer per cell in place of two for each node.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from insignia.attribution import kernels

__all__ = ["PiecewiseLayer", "piecewise_layer"]

_LINEAR_PIECES = (nn.ReLU, nn.LeakyReLU, nn.PReLU)


@dataclass(frozen=True)
class PiecewiseLayer:
    """An activation of two slopes, the affine layer after it, and the modules after that.

    Parameters
    ----------
    below
        (hidden,) slope below zero; above it is 1.
    by_unit
        (hidden, next) weight of the affine layer, unit by unit.
    bias
        (next,).
    rest
        What follows.
    """

    below: np.ndarray
    by_unit: np.ndarray
    bias: Tensor
    rest: Sequence[nn.Module]

    def after(self, points: Tensor) -> Tensor:
        """Apply what follows: (rows, next) -> (rows, latent)."""
        for module in self.rest:
            points = module(points)
        return points

    def walk(self, start: Tensor, end: Tensor, nodes: np.ndarray) -> tuple[Tensor, "Flips"]:
        """Return what the affine layer gives at each node, (cells, nodes, next), and the flips on the way."""
        u, s = start.numpy(), (end - start).numpy()
        flips = _flips(u, s, nodes)
        weight = torch.from_numpy(self.by_unit)
        states = torch.from_numpy(np.where(flips.starts_above, np.float32(1), self.below[None, :]))
        constant = (self.bias + (states * start) @ weight).numpy()
        slope = ((states * (end - start)) @ weight).numpy()
        out = np.empty((len(u), len(nodes), self.by_unit.shape[1]), dtype=np.float32)
        steps = nodes.astype(np.float32)
        kernels.walk(u, s, self.below, self.by_unit, flips.order, flips.bounds, constant, slope, steps, out)
        return torch.from_numpy(out), flips

    def walk_back(self, gradient: Tensor, weights: np.ndarray, way: Tensor, flips: "Flips") -> Tensor:
        """Return the weighted mean gradient with respect to what stands before the activation: (cells, hidden)."""
        node_weights = weights.astype(np.float32)
        summed = torch.einsum("k,ckn->cn", torch.from_numpy(node_weights), gradient)
        total = (summed @ torch.from_numpy(self.by_unit).T).numpy()
        states = np.where(flips.starts_above, np.float32(1), self.below[None, :])
        out = total * states
        kernels.walk_back(
            gradient.numpy(), node_weights, way.numpy(), self.below, self.by_unit, flips.order, flips.bounds, total, out
        )
        return torch.from_numpy(out)


@dataclass(frozen=True)
class Flips:
    """Which units change their slope before which node.

    Parameters
    ----------
    starts_above
        (cells, hidden) whether the unit is above zero just after the start.
    order
        (cells, hidden) units in the order of their flips.
    bounds
        (cells, nodes + 1) where in it the flips between the node before and each node begin; flips after the last node
        are left out.
    """

    starts_above: np.ndarray
    order: np.ndarray
    bounds: np.ndarray


def piecewise_layer(layers: Sequence[nn.Module]) -> PiecewiseLayer | None:
    """Read what follows a first affine layer as an activation of two slopes and an affine layer, if it is that."""
    kept = [layer for layer in layers if not isinstance(layer, nn.Dropout | nn.Identity)]
    if len(kept) < 2:
        return None
    activation, affine = kept[0], kept[1]
    if not isinstance(activation, _LINEAR_PIECES) or not isinstance(affine, nn.Linear):
        return None
    below = torch.zeros(())
    if isinstance(activation, nn.LeakyReLU):
        below = torch.tensor(activation.negative_slope)
    elif isinstance(activation, nn.PReLU):
        below = activation.weight
    weight = affine.weight
    bias = affine.bias if affine.bias is not None else torch.zeros(weight.shape[0])
    slopes = below.float().expand(weight.shape[1]) if below.numel() == 1 else below.float()
    return PiecewiseLayer(
        np.ascontiguousarray(slopes.numpy()), np.ascontiguousarray(weight.numpy().T), bias, tuple(kept[2:])
    )


def _flips(u: np.ndarray, s: np.ndarray, nodes: np.ndarray) -> Flips:
    starts_above = (u > 0) | ((u == 0) & (s > 0))
    ends_above = u + np.float32(nodes[-1]) * s > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        where = np.where(starts_above != ends_above, -u / s, np.inf)
    # the first node at or after the flip is the first that sees the new slope
    node_of = np.searchsorted(nodes, where.ravel()).reshape(u.shape)
    order = np.argsort(node_of, axis=1, kind="stable").astype(np.int32)
    counts = np.stack([np.bincount(row, minlength=len(nodes) + 1)[: len(nodes)] for row in node_of])
    bounds = np.zeros((len(u), len(nodes) + 1), dtype=np.int32)
    np.cumsum(counts, axis=1, out=bounds[:, 1:])
    return Flips(starts_above, order, bounds)
