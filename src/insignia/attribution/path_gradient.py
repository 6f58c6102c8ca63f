"""Mean gradients along the straight path from a baseline to the cell, times the way.

A rule of nodes a and weights v in [0, 1] gives ``(x_g - b_g) * sum_a v_a ds/dx_g (b + a (x - b))``: integrated
gradients by Gauss-Legendre quadrature, input x gradient by one node at the cell.

Where the encoder's first layer is affine in the moved point, ``h = W x + b`` moves on a straight line too, so the path
is followed through the small rest of the network only: one sparse product with ``W`` before, one after. The numbers
are those of the whole network up to rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from insignia.attribution import kernels
from insignia.attribution.contract import Explained, Target
from insignia.attribution.piecewise import PiecewiseLayer, piecewise_layer
from insignia.models import Encoder, Inputs
from insignia.models.contract import Context

__all__ = ["Rule", "difference", "path_gradient"]

Network = Callable[[Tensor, Context], Tensor]


@dataclass(frozen=True)
class Rule:
    """Nodes on the path, 0 at the baseline and 1 at the cell, and their weights."""

    nodes: np.ndarray
    weights: np.ndarray


def path_gradient(
    encoder: Encoder, inputs: Inputs, baseline: Inputs | None, *, target: Target, rule: Rule, max_values: int
) -> Explained:
    """Attribute the change of the target's score by a rule; see `Method.explain`."""
    if encoder.first_layer is not None:
        return _through_first_layer(encoder, inputs, baseline, target, rule, max_values)
    return _through_network(encoder, inputs, baseline, target, rule, max_values)


def _through_network(
    encoder: Encoder, inputs: Inputs, baseline: Inputs | None, target: Target, rule: Rule, max_values: int
) -> Explained:
    path = encoder.path(inputs, baseline)
    integral = _Integral(
        _reader(encoder, encoder.forward, target),
        path.start,
        path.end,
        path.context,
        target=target,
        rule=rule,
        max_values=max_values,
    )
    mean_gradient, change, score = integral.compute()
    genes = encoder.to_genes((path.end - path.start) * mean_gradient, path.context)
    return Explained(csr_matrix(genes.cpu().numpy()), change, score)


def _through_first_layer(
    encoder: Encoder, inputs: Inputs, baseline: Inputs | None, target: Target, rule: Rule, max_values: int
) -> Explained:
    assert encoder.first_layer is not None
    layer = encoder.first_layer.by_gene
    bias = encoder.first_bias(inputs.context)
    end = torch.from_numpy(kernels.project(inputs.values, layer)) + bias
    start = bias if baseline is None else torch.from_numpy(kernels.project(baseline.values, layer)) + bias
    start = start.expand_as(end)
    pieces = piecewise_layer(encoder.tail_layers) if encoder.tail_layers is not None else None
    kind = _Integral if pieces is None or len(rule.nodes) == 1 else partial(_PiecewiseIntegral, pieces, encoder)
    integral = kind(
        _reader(encoder, encoder.tail, target),
        start,
        end,
        inputs.context,
        target=target,
        rule=rule,
        max_values=max_values,
    )
    mean_gradient, change, score = integral.compute()
    moved = inputs.values if baseline is None else difference(inputs.values, baseline.values)
    gradient = kernels.sample_back(mean_gradient.numpy(), layer, moved)
    return Explained(csr_matrix((moved.data * gradient, moved.indices, moved.indptr), moved.shape), change, score)


def _reader(encoder: Encoder, network: Network, target: Target) -> Network:
    """Read the network up to what the target scores."""
    if target.is_raw or not encoder.is_normalised:
        return network
    return lambda point, context: encoder.embedding(network(point, context))


def difference(values: csr_matrix, baseline: csr_matrix) -> csr_matrix:
    """Subtract the baseline, one row or one a cell, from every cell: canonical CSR over the union of both."""
    rows = baseline
    if baseline.shape[0] != values.shape[0]:
        rows = csr_matrix(np.ones((values.shape[0], 1), dtype=np.float32)) @ baseline
    moved = csr_matrix(values - rows, dtype=np.float32)
    moved.sort_indices()
    return moved


class _Integral:
    """The mean gradient of a target along straight paths, (cells, ...), in passes of bounded size."""

    def __init__(
        self,
        network: Network,
        start: Tensor,
        end: Tensor,
        context: Context,
        *,
        target: Target,
        rule: Rule,
        max_values: int,
    ) -> None:
        self.network, self.start, self.end, self.context = network, start, end, dict(context)
        self.target, self.rule = target, rule
        self.nodes = torch.tensor(rule.nodes, dtype=end.dtype)
        self.node_weights = torch.tensor(rule.weights, dtype=end.dtype)
        per_row = max(1, end[0].numel()) if len(end) else 1
        self.rows = max(1, max_values // per_row)

    def compute(self) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """Return the mean gradient, the change of the score and its magnitude."""
        with torch.no_grad():
            at_end = self._embed(self.end)
            held = self.target.weights(at_end)
            high = self.target.score(at_end.double(), held.double()).numpy()
            low = self.target.score(self._embed(self.start).double(), held.double()).numpy()
        return self.mean_gradient(held), high - low, np.abs(high) + np.abs(low)

    def mean_gradient(self, held: Tensor) -> Tensor:
        """Return the weighted sum of the gradients at the nodes, (cells, ...)."""
        gradient = torch.zeros_like(self.end)
        cells = max(1, self.rows // len(self.nodes))
        steps = min(len(self.nodes), self.rows)
        for first in range(0, len(self.end), cells):
            here = slice(first, min(first + cells, len(self.end)))
            for step in range(0, len(self.nodes), steps):
                gradient[here] += self._pass(here, slice(step, step + steps), held)
        return gradient

    def _pass(self, cells: slice, steps: slice, held: Tensor) -> Tensor:
        """Weighted sum of the gradients of some cells at some nodes."""
        nodes, weights = self.nodes[steps], self.node_weights[steps]
        start, end = self.start[cells], self.end[cells]
        along = nodes.view(1, -1, *[1] * (end.dim() - 1))
        points = (start[:, None] + along * (end - start)[:, None]).flatten(0, 1).requires_grad_()
        context = {name: value[cells].repeat_interleave(len(nodes), 0) for name, value in self.context.items()}
        embedding = self.network(points, context)
        score = self.target.score(embedding, held[cells].repeat_interleave(len(nodes), 0)).sum()
        (gradient,) = torch.autograd.grad(score, points)
        return torch.einsum("s,cs...->c...", weights, gradient.view(len(end), len(nodes), *end.shape[1:]))

    def _embed(self, points: Tensor) -> Tensor:
        """Embed one point a cell, in passes of bounded size."""
        out = []
        for first in range(0, len(points), self.rows):
            here = slice(first, first + self.rows)
            out.append(self.network(points[here], {name: value[here] for name, value in self.context.items()}))
        return torch.cat(out)


class _PiecewiseIntegral(_Integral):
    """The same mean gradient where the first activation has two slopes and an affine layer follows; see `piecewise`."""

    def __init__(self, pieces: PiecewiseLayer, encoder: Encoder, *paths: Any, **options: Any) -> None:
        super().__init__(*paths, **options)
        self.pieces = pieces
        self.rest = _reader(encoder, lambda points, _: pieces.after(points), self.target)
        widest = max(self.end.shape[1], pieces.by_unit.shape[1])
        self.cells = max(1, options["max_values"] // (widest * len(self.nodes)))

    def mean_gradient(self, held: Tensor) -> Tensor:
        """Return the weighted sum of the gradients at the nodes, (cells, hidden)."""
        chunks = range(0, len(self.end), self.cells)
        return torch.cat([self._chunk(slice(first, first + self.cells), held) for first in chunks])

    def _chunk(self, cells: slice, held: Tensor) -> Tensor:
        start, end = self.start[cells].contiguous(), self.end[cells].contiguous()
        points, flips = self.pieces.walk(start, end, self.rule.nodes)
        flat = points.flatten(0, 1).requires_grad_()
        score = self.target.score(self.rest(flat, {}), held[cells].repeat_interleave(len(self.nodes), 0)).sum()
        (gradient,) = torch.autograd.grad(score, flat)
        return self.pieces.walk_back(gradient.view_as(points), self.rule.weights, end - start, flips)
