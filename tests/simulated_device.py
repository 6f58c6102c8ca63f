"""A second device that is simulated on the CPU, so that a tensor left behind is found without an accelerator.

Its tensors hold real numbers and say that they are on the device ``meta``. As on an accelerator, they come there and
go back by `Tensor.to` and by factories with ``device=``, numpy cannot read them, and an operation that meets tensors
of two devices is refused. Unlike one, an index on the host is refused too: it would be copied over each time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["SIMULATED", "simulated_device"]

SIMULATED = torch.device("meta")


class _There(torch.Tensor):
    """A tensor on the simulated device."""

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "_There":
        return torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), dtype=held.dtype, device=SIMULATED
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


class _Simulation(TorchDispatchMode):
    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


@contextmanager
def simulated_device() -> Iterator[torch.device]:
    """Have a second device while the block runs."""
    with _Simulation():
        yield SIMULATED


def _run(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    named = kwargs.get("device")
    if named is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if function is torch.ops.aten._to_copy.default:
        is_there = isinstance(args[0], _There) if named is None else torch.device(named) == SIMULATED
    else:
        is_there = any(isinstance(tensor, _There) for tensor in tensors)
        # numbers without dimensions may be anywhere, as on an accelerator
        if is_there and any(not isinstance(tensor, _There) and tensor.dim() for tensor in tensors):
            places = [(tuple(tensor.shape), tensor.device.type) for tensor in tensors]
            raise RuntimeError(f"{function} met tensors of two devices: {places}")
        is_there = is_there or (named is not None and torch.device(named) == SIMULATED)
    out = function(*tree_map(_held, args), **tree_map(_held, kwargs))
    return tree_map(_there, out) if is_there else out


def _held(value: Any) -> Any:
    return value.held if isinstance(value, _There) else value


def _there(value: Any) -> Any:
    return _There(value) if isinstance(value, torch.Tensor) else value
