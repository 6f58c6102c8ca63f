"""Mean gradients along straight paths, in passes of bounded size."""

from typing import Any

import torch
from torch import Tensor

from insignia.attribution.piecewise import PiecewiseLayer
from insignia.attribution.scored import Rule, Scored
from insignia.models import StraightPath

__all__ = ["Integral", "PiecewiseIntegral"]


class Integral:
    """The weighted sum of a target's gradients at the nodes of straight paths.

    Parameters
    ----------
    scored
        What is differentiated.
    path
        The paths, (cells, ...), on the device of the network.
    rule
        Nodes and weights.
    """

    def __init__(self, scored: Scored, path: StraightPath, rule: Rule) -> None:
        self.scored, self.path, self.rule = scored, path, rule
        self.nodes, self.weights = (
            torch.tensor(part, dtype=path.end.dtype, device=path.end.device) for part in (rule.nodes, rule.weights)
        )

    def mean_gradient(self, held: Tensor) -> Tensor:
        """Return it for each cell, (cells, ...), with what the target holds constant."""
        gradient = torch.zeros_like(self.path.end)
        cells = max(1, self.scored.rows // len(self.nodes))
        steps = min(len(self.nodes), self.scored.rows)
        for first in range(0, len(gradient), cells):
            here = slice(first, min(first + cells, len(gradient)))
            for step in range(0, len(self.nodes), steps):
                gradient[here] += self._pass(here, slice(step, step + steps), held)
        return gradient

    def _pass(self, cells: slice, steps: slice, held: Tensor) -> Tensor:
        """Weighted sum of the gradients of some cells at some nodes."""
        nodes, weights = self.nodes[steps], self.weights[steps]
        start, end = self.path.start[cells], self.path.end[cells]
        along = nodes.view(1, -1, *[1] * (end.dim() - 1))
        points = (start[:, None] + along * (end - start)[:, None]).flatten(0, 1)
        context = {name: value[cells].repeat_interleave(len(nodes), 0) for name, value in self.path.context.items()}
        gradient = self.scored.gradient(points, context, held[cells].repeat_interleave(len(nodes), 0))
        return torch.einsum("s,cs...->c...", weights, gradient.view(len(end), len(nodes), *end.shape[1:]))


class PiecewiseIntegral(Integral):
    """The same where the first activation has two slopes and an affine layer follows; see `piecewise`.

    `scored` is what comes after them.
    """

    def __init__(self, pieces: PiecewiseLayer, *parts: Any, max_values: int) -> None:
        super().__init__(*parts)
        self.pieces = pieces
        widest = max(self.path.end.shape[1], pieces.by_unit.shape[1])
        self.cells = max(1, max_values // (widest * len(self.nodes)))

    def mean_gradient(self, held: Tensor) -> Tensor:
        """Return it for each cell, (cells, hidden)."""
        chunks = range(0, len(self.path.end), self.cells)
        return torch.cat([self._chunk(slice(first, first + self.cells), held) for first in chunks])

    def _chunk(self, cells: slice, held: Tensor) -> Tensor:
        start, end = self.path.start[cells].contiguous(), self.path.end[cells].contiguous()
        points, flips = self.pieces.walk(start, end, self.rule.nodes)
        gradient = self.scored.gradient(points.flatten(0, 1), {}, held[cells].repeat_interleave(len(self.nodes), 0))
        return self.pieces.walk_back(gradient.view_as(points), self.rule.weights, end - start, flips)
