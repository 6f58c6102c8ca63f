"""Mean gradients along the straight path from a baseline to the cell, times the way.

A rule of nodes a and weights v in [0, 1] gives ``(x_g - b_g) * sum_a v_a ds/dx_g (b + a (x - b))``: integrated
gradients by Gauss-Legendre quadrature, input x gradient by one node at the cell.

Where the encoder's first layer is affine in the moved point, ``h = W x + b`` moves on a straight line too, so the path
is followed through the small rest of the network only: one sparse product with ``W`` before, one after. The numbers
are those of the whole network up to rounding.
"""

from typing import Final

import numpy as np
from scipy.sparse import csr_matrix, vstack

from insignia.attribution.amounts import along_amounts, in_amounts
from insignia.attribution.contract import Explained, PathOptions, Target
from insignia.attribution.integral import Integral, PiecewiseIntegral
from insignia.attribution.piecewise import piecewise_layer
from insignia.attribution.scored import Network, PathTask, Rule, Scored
from insignia.attribution.sparse_paths import difference, start_of, times
from insignia.models import Encoder, Inputs, StraightPath
from insignia.models.first_layer import AffineLayer, runs_compiled

__all__ = ["path_gradient"]

# numbers of a walk at its widest point, which should stay in the processor's cache
_WALKED: Final = 2**21


def path_gradient(
    encoder: Encoder, inputs: Inputs, baseline: Inputs | None, *, target: Target, rule: Rule, options: PathOptions
) -> Explained:
    """Attribute the change of the target's score by a rule; see `Method.explain`."""
    task = PathTask(encoder, target, rule, options)
    if encoder.first_layer is None:
        return _through_network(task, inputs, baseline)
    if task.transform is not None:
        return along_amounts(task, encoder.first_layer, task.transform, inputs, baseline)
    return _through_first_layer(task, encoder.first_layer, inputs, baseline)


def _through_network(task: PathTask, inputs: Inputs, baseline: Inputs | None) -> Explained:
    rows = task.encoder.points_per_pass(inputs, task.options.max_values)
    groups = list(inputs.groups(max(1, rows // len(task.rule.nodes))))
    parts = [_group(task, inputs.rows(cells), start_of(baseline, cells), rows) for cells in groups]
    order = np.argsort(np.concatenate(groups))
    attribution = vstack([part.attribution for part in parts], format="csr")[order]
    change, score = (np.concatenate([getattr(part, name) for part in parts])[order] for name in ("change", "score"))
    return Explained(attribution, change, score)


def _group(task: PathTask, inputs: Inputs, baseline: Inputs | None, rows: int) -> Explained:
    """Explain a few cells, whose points fit in one pass, or one cell in several."""
    encoder = task.encoder
    path = encoder.path(inputs, baseline)
    network: Network = encoder.forward
    if task.transform is not None:
        path, network = in_amounts(path, network, task.transform)
    scored = Scored(encoder, network, task.target, rows)
    held, change, score = scored.ends(path.start, path.end, path.context)
    mean_gradient = Integral(scored, path, task.rule).mean_gradient(held)
    genes = encoder.to_genes((path.end - path.start) * mean_gradient, path.context)
    return Explained(csr_matrix(genes.cpu().numpy()), change, score)


def _through_first_layer(task: PathTask, layer: AffineLayer, inputs: Inputs, baseline: Inputs | None) -> Explained:
    bias, cells = task.encoder.first_bias(inputs.context), layer.rows(inputs.values)
    end = cells.project() + bias
    start = bias if baseline is None else layer.rows(baseline.values).project() + bias
    path = StraightPath(start.expand_as(end), end, inputs.context)
    scored = task.tail(end, path.context)
    held, change, score = scored.ends(path.start, path.end, path.context)
    mean_gradient = _integral(task, scored, path).mean_gradient(held)
    moved = inputs.values if baseline is None else difference(inputs.values, baseline.values)
    places = cells if baseline is None else layer.rows(moved)
    return Explained(times(moved, places.data, places.back(mean_gradient)), change, score)


def _integral(task: PathTask, scored: Scored, path: StraightPath) -> Integral:
    """Follow the path node by node, or walk through a piecewise-linear activation where there is one."""
    layers = task.encoder.tail_layers
    may_walk = runs_compiled(path.end) and task.encoder.precision == "float32" and len(task.rule.nodes) > 1
    pieces = piecewise_layer(layers) if may_walk and layers is not None else None
    if pieces is None:
        return Integral(scored, path, task.rule)
    rest = Scored(task.encoder, lambda points, _: pieces.after(points), task.target, scored.rows)
    return PiecewiseIntegral(pieces, rest, path, task.rule, max_values=task.options.max_values or _WALKED)
