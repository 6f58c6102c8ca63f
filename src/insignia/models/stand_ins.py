"""What stands for the classes and functions that a pickle names, and the plain data rebuilt from it.

A stand-in remembers its name and what it was given, and does nothing. Tensors, numpy arrays and scalars are known by
name, and are rebuilt from the bytes in the file by `as_tensor`, `as_array` and `as_plain`, with their sizes checked.
"""

import math
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor

from insignia.core.errors import ModelFormatError

__all__ = ["PlainDict", "StandIn", "Storage", "as_array", "as_plain", "as_tensor", "stand_in_class"]

_PLAIN_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|[US][1-9]\d{0,5}|O8?")
_NUMPY = ("numpy.core.multiarray.", "numpy._core.multiarray.")


class StandIn:
    """What stands where the pickle names a class or function: it keeps what it was given, and does nothing."""

    named = ""
    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any, **_: Any) -> "StandIn":
        """Make one of whatever it is given."""
        made = super().__new__(cls)
        made.args, made.state = args, None
        return made

    def __call__(self, *args: Any, **_: Any) -> "StandIn":
        """Stand for the result of a call."""
        return stand_in_class(f"{self.named[:200]}()")(*args)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        """Forget the item."""

    def extend(self, items: Iterable[Any]) -> None:
        """Forget the items."""

    def add(self, item: Any) -> None:
        """Forget the item."""

    def __repr__(self) -> str:
        return f"<stand-in for {self.named!r}>"


class PlainDict(dict[Any, Any]):
    """What stands for the kinds of dict of the standard library: it keeps its items, and nothing else."""

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        pass


@dataclass(frozen=True)
class Storage:
    """The numbers behind tensors, one-dimensional."""

    values: Tensor


def stand_in_class(named: str) -> type[StandIn]:
    """Make the class that stands for a name."""
    return type("StandIn", (StandIn,), {"named": named})


def as_tensor(value: Any) -> Any:
    """Rebuild a tensor or parameter from its stand-in, contiguous; anything else comes back as it is.

    Raises
    ------
    ModelFormatError
        Its sizes reach beyond its storage.
    """
    if isinstance(value, StandIn) and value.named == "torch._utils._rebuild_parameter" and value.args:
        value = value.args[0]
    if not (isinstance(value, StandIn) and value.named == "torch._utils._rebuild_tensor_v2" and len(value.args) >= 4):
        return value
    storage, offset, size, stride = value.args[:4]
    if not (isinstance(storage, Storage) and _are_sizes(size) and _are_sizes(stride) and _are_sizes((offset,))):
        return value
    numbers = storage.values
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=False))
    if len(size) != len(stride) or math.prod(size) > len(numbers) or (math.prod(size) and last >= len(numbers)):
        raise ModelFormatError(f"A tensor of {size}, strides {stride}, does not fit its {len(numbers)} numbers.")
    return numbers.as_strided(size, stride, offset).contiguous().clone()


def as_array(value: Any) -> Any:
    """Rebuild a numpy array of numbers or texts from its stand-in; anything else comes back as it is.

    Items of object arrays are brought back by `as_plain`, and may be stand-ins.

    Raises
    ------
    ModelFormatError
        Its shape does not fit its content.
    """
    if not (isinstance(value, StandIn) and value.named in {f"{prefix}_reconstruct" for prefix in _NUMPY}):
        return value
    state = value.state
    if not (isinstance(state, tuple) and len(state) == 5 and _are_sizes(state[1]) and len(state[1]) <= 8):
        return value
    shape, dtype, content = state[1], _dtype(state[2]), _as_bytes(state[4])
    order: Literal["C", "F"] = "F" if state[3] is True else "C"
    if dtype is None:
        return value
    if dtype.hasobject and isinstance(content, list):
        return _object_array(content, shape, order)
    if dtype.hasobject or not isinstance(content, bytes):
        return value
    if math.prod(shape) * dtype.itemsize != len(content):
        raise ModelFormatError(f"An array of {dtype}, shape {shape}, does not fit its {len(content)} bytes.")
    return _text_checked(np.frombuffer(content, dtype, math.prod(shape))).reshape(shape, order=order)


def _object_array(content: list[Any], shape: tuple[int, ...], order: Literal["C", "F"]) -> np.ndarray:
    if math.prod(shape) != len(content):
        raise ModelFormatError(f"An array of shape {shape} does not fit its {len(content)} items.")
    flat: np.ndarray = np.empty(len(content), dtype=object)
    for i, item in enumerate(content):
        flat[i] = as_plain(item)
    return flat.reshape(shape, order=order)


def as_plain(value: Any) -> Any:
    """Bring a numpy scalar to the Python value it holds; anything else comes back as it is."""
    if isinstance(value, np.generic):
        return value.item()
    if not (isinstance(value, StandIn) and value.named in {f"{prefix}scalar" for prefix in _NUMPY}):
        return value
    content, dtype = (_as_bytes(value.args[1]), _dtype(value.args[0])) if len(value.args) == 2 else (None, None)
    if dtype is None or dtype.hasobject or not isinstance(content, bytes) or len(content) != dtype.itemsize:
        return value
    return _text_checked(np.frombuffer(content, dtype, 1))[0].item()


def _text_checked(array: np.ndarray) -> np.ndarray:
    """Refuse code points that Python's texts cannot hold, which numpy would meet only when an item is read."""
    if array.dtype.kind == "U" and (array.view(f"{array.dtype.byteorder}u4") > sys.maxunicode).any():
        raise ModelFormatError("An array of texts holds what is no text. Copy the file again.")
    return array


def _dtype(value: Any) -> np.dtype | None:
    """Rebuild a plain dtype from its stand-in: numbers, texts, and objects, which are read from a list."""
    if not (isinstance(value, StandIn) and value.named == "numpy.dtype" and value.args):
        return None
    code, state = value.args[0], value.state
    if not (isinstance(code, str) and _PLAIN_DTYPE.fullmatch(code)):
        return None
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
    return np.dtype(f"{order}{code}" if order in ("<", ">") else code)


def _as_bytes(value: Any) -> Any:
    """Return bytes, which protocol 2 writes as a text and the call that encodes it."""
    if not isinstance(value, StandIn):
        return value
    if value.named in ("__builtin__.bytes", "builtins.bytes") and not value.args:
        return b""
    if value.named == "_codecs.encode" and len(value.args) == 2:
        text, encoding = value.args
        if isinstance(text, str) and encoding == "latin1":
            return text.encode("latin1", errors="replace")
    return value


def _are_sizes(values: Any) -> bool:
    return isinstance(values, tuple) and all(type(n) is int and 0 <= n < 2**62 for n in values)
