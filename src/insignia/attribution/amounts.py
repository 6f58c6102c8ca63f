"""Paths that are straight in amounts, where an element-wise function such as log1p makes the network's values of them.

The amounts ``y(a) = b + a (y - b)`` stay sparse on the way. Each step costs one sparse product with the first layer
before the rest of the network and one after it; the slope of the function joins gene by gene.
"""

import numpy as np
import torch
from torch import Tensor

from insignia.attribution.contract import Explained
from insignia.attribution.scored import Network, PathTask
from insignia.attribution.sparse_paths import on_union, times
from insignia.models import Inputs, StraightPath
from insignia.models.contract import Context
from insignia.models.first_layer import AffineLayer
from insignia.models.gene_transform import GeneTransform

__all__ = ["along_amounts", "in_amounts"]


def along_amounts(
    task: PathTask, layer: AffineLayer, transform: GeneTransform, inputs: Inputs, baseline: Inputs | None
) -> Explained:
    """Explain cells through an affine first layer, with one sparse product each way for each node."""
    bias, context = task.encoder.first_bias(inputs.context), inputs.context
    support, ends, starts = on_union(inputs.values, None if baseline is None else baseline.values)
    rows = layer.rows(support)
    start, end = (transform.inverse(_like(rows.data, values)) for values in (starts, ends))
    hidden = [rows.project(transform.apply(amounts)) + bias for amounts in (start, end)]
    scored = task.tail(hidden[1], context)
    held, change, score = scored.ends(hidden[0], hidden[1], context)
    slopes = torch.zeros_like(end)
    for node, weight in zip(task.rule.nodes.tolist(), task.rule.weights.tolist(), strict=True):
        amounts = start + node * (end - start)
        gradient = scored.gradients(rows.project(transform.apply(amounts)) + bias, context, held)
        slopes += weight * rows.back(gradient) * transform.slope(amounts)
    return Explained(times(support, end - start, slopes), change, score)


def in_amounts(path: StraightPath, network: Network, transform: GeneTransform) -> tuple[StraightPath, Network]:
    """Return the same ends and the same network for a point that moves in amounts."""

    def read(amounts: Tensor, context: Context) -> Tensor:
        return network(transform.apply(amounts), context)

    return StraightPath(transform.inverse(path.start), transform.inverse(path.end), path.context), read


def _like(data: Tensor, values: np.ndarray) -> Tensor:
    return torch.from_numpy(values).to(data.device, data.dtype)
