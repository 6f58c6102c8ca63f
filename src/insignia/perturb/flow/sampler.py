"""Carrying cells along the flow."""

import torch
from torch import Tensor

from insignia.perturb.flow.network import VelocityNetwork

__all__ = ["carry", "midpoint"]

_CHUNK = 8192


@torch.no_grad()
def carry(network: VelocityNetwork, start: Tensor, code: Tensor, context: Tensor, *, n_steps: int = 10) -> Tensor:
    """Carry points from time 0 to 1 by the midpoint rule.

    Parameters
    ----------
    start
        (cells, latent).
    code
        (1, width) or (cells, width): the encoded condition.
    context
        (cells,).
    n_steps
        Steps, of two evaluations each.
    """
    parts = []
    for here in torch.split(torch.arange(len(start)), _CHUNK):
        codes = code.expand(len(here), -1) if len(code) == 1 else code[here]
        parts.append(midpoint(network, start[here], codes, context[here], n_steps))
    return torch.cat(parts) if parts else start


def midpoint(network: VelocityNetwork, point: Tensor, code: Tensor, context: Tensor, n_steps: int) -> Tensor:
    """Carry points from time 0 to 1, with gradients."""
    step = 1.0 / n_steps
    for i in range(n_steps):
        time = torch.full((len(point),), i * step, device=point.device)
        half = point + 0.5 * step * network(point, time, code, context)
        point = point + step * network(half, time + 0.5 * step, code, context)
    return point
