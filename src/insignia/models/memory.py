"""How many rows a network can take at a time: measured, not guessed."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from insignia.core.device import room

__all__ = ["rows_per_pass"]


def rows_per_pass(
    network: Callable[[Tensor, Mapping[str, Tensor]], Tensor],
    point: Tensor,
    context: Mapping[str, Tensor],
    *,
    held: nn.Module,
    max_values: int | None = None,
) -> int:
    """Return how many rows like this one a pass may hold, at least one.

    Parameters
    ----------
    network
        What is differentiated.
    point, context
        One row of what it reads.
    held
        Where its parameters are, which do not count.
    max_values
        Numbers that a pass may hold; `None` takes what the device has room for.
    """
    bound = room(point.device, point.dtype) if max_values is None else max_values
    return max(1, bound // max(point.numel(), _kept(network, point, context, held)))


def _kept(
    network: Callable[[Tensor, Mapping[str, Tensor]], Tensor],
    point: Tensor,
    context: Mapping[str, Tensor],
    held: nn.Module,
) -> int:
    """Count the numbers that autograd keeps of one row for the way back."""
    parameters = {_storage(tensor) for tensor in (*held.parameters(), *held.buffers())}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in parameters:
            kept[_storage(tensor)] = tensor.untyped_storage().nbytes() // point.element_size()
        return tensor

    # copies: what is a view would count with all that it is a view of
    point, context = point.detach().clone(), {name: value.clone() for name, value in context.items()}
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        network(point.requires_grad_(), context)
    return sum(kept.values())


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
