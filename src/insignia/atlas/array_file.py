"""`.npy` files: written piece by piece, and mapped with a header that is believed only if all of it makes sense."""

import ast
import io
import math
from pathlib import Path
from types import TracebackType

import numpy as np

__all__ = ["ArrayFile", "map_array"]


def map_array(path: Path) -> np.ndarray:
    """Map an array of numbers or booleans for reading.

    numpy's own reader raises errors of many kinds over a damaged header, and warns; this one is strict.

    Raises
    ------
    ValueError
        The header is not one of an array, or the file is shorter or longer than it says.
    """
    with path.open("rb") as file:
        start = file.read(12)
        wide = start[6:7] != b"\x01"
        if start[:6] != b"\x93NUMPY" or start[6:8] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
            raise ValueError("it is no .npy file")
        offset = int.from_bytes(start[8:12], "little") + 12 if wide else int.from_bytes(start[8:10], "little") + 10
        file.seek(12 if wide else 10)
        dtype, shape = _parse(file.read(min(offset, 4096)).decode("latin-1")[: offset - (12 if wide else 10)])
    n_bytes = math.prod(shape) * dtype.itemsize
    if path.stat().st_size != offset + n_bytes:
        raise ValueError(f"it has {path.stat().st_size:,} bytes where its header makes {offset + n_bytes:,}")
    if not n_bytes:
        return np.empty(shape, dtype=dtype)
    array: np.ndarray = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape).view(np.ndarray)
    return array


def _parse(header: str) -> tuple[np.dtype, tuple[int, ...]]:
    try:
        about = ast.literal_eval(header.strip())
        dtype, shape = np.dtype(about["descr"]), about["shape"]
        ok = set(about) == {"descr", "fortran_order", "shape"} and about["fortran_order"] is False
        ok = ok and isinstance(shape, tuple) and all(type(size) is int and 0 <= size < 2**48 for size in shape)
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise ValueError(f"its header makes no sense ({type(error).__name__})") from error
    if not ok or dtype.kind not in "biuf":
        raise ValueError(f"its header names {dtype} {shape}, which is no array of an atlas")
    return dtype, shape


class ArrayFile:
    """Writes an array of one dimension, whose length is known in the end; without a map, a full disk is an error.

    Parameters
    ----------
    path
        The file.
    dtype
        Type of the values.
    """

    def __init__(self, path: Path, dtype: type) -> None:
        self._dtype, self._size = np.dtype(dtype), 0
        self._file = path.open("wb")
        self._file.write(self._header())

    def append(self, values: np.ndarray) -> None:
        """Write more values, given in the type of the file or as its bits."""
        self._file.write(np.ascontiguousarray(values).data)
        self._size += values.size

    def _header(self) -> bytes:
        buffer = io.BytesIO()
        shape = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (self._size,)}
        # numpy leaves room for a longer length, so the header keeps its size
        np.lib.format.write_array_header_1_0(buffer, shape)
        return buffer.getvalue()

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._file.seek(0)
                self._file.write(self._header())
        finally:
            self._file.close()
