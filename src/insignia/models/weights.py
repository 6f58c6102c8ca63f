"""Tensors of a checkpoint, each asked for by name and shape."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn

from insignia.core.errors import ModelFormatError
from insignia.models.checkpoint import need_tensor
from insignia.models.mlp import affine

__all__ = ["Weights"]

_LONGEST_NUMBER: Final = 7


class Weights:
    """Tensors of a checkpoint, read by name and checked for shape.

    Parameters
    ----------
    state
        Tensors by name.
    source
        The file they come from, for messages.
    """

    def __init__(self, state: Mapping[str, Any], source: Path) -> None:
        self.state, self.source = dict(state), source

    def tensor(self, key: str, *shape: int) -> Tensor:
        """Return a float32 tensor; -1 in `shape` fits any size."""
        tensor = need_tensor(self.state, key, self.source)
        fits = [wanted in (-1, size) for wanted, size in zip(shape, tensor.shape, strict=False)]
        if tensor.dim() != len(shape) or not all(fits) or not tensor.is_floating_point():
            wanted = ", ".join("any" if size < 0 else str(size) for size in shape)
            raise ModelFormatError(
                f"{self.source}: the tensor {key!r} should be floats of shape ({wanted}), "
                f"found {tensor.dtype} {tuple(tensor.shape)}. Take all files from one release."
            )
        return tensor

    def linear(self, key: str, n_out: int, n_in: int) -> nn.Linear:
        """Read ``<key>.weight`` and ``<key>.bias``."""
        weight = self.tensor(f"{key}.weight", n_out, n_in)
        return affine(weight, self.tensor(f"{key}.bias", weight.shape[0]))

    def norm(self, key: str, width: int, eps: float) -> nn.LayerNorm:
        """Read the scale and shift of a layer norm."""
        norm = nn.LayerNorm(width, eps=eps, device="meta")
        norm.weight = nn.Parameter(self.tensor(f"{key}.weight", width), requires_grad=False)
        norm.bias = nn.Parameter(self.tensor(f"{key}.bias", width), requires_grad=False)
        return norm

    def n_layers(self, pattern: str) -> int:
        """Count layers; `pattern` matches their names and captures the number, which must run from 0."""
        found = {match.group(1) for key in self.state if (match := re.match(pattern, key))}
        numbers = {int(number) for number in found if len(number) < _LONGEST_NUMBER}
        if not numbers or numbers != set(range(len(numbers))):
            raise ModelFormatError(
                f"{self.source} should hold layers {pattern!r} numbered from 0, found {sorted(numbers)[:6]} among "
                f"{sorted(self.state)[:6]} ..."
            )
        return len(numbers)
