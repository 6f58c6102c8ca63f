"""One-dimensional `.npy` files written piece by piece; without a map, a full disk is an error and not a signal."""

import io
from pathlib import Path
from types import TracebackType

import numpy as np

__all__ = ["ArrayFile"]


class ArrayFile:
    """Writes an array whose length is known in the end.

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
