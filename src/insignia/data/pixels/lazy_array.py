"""Images that are read piece by piece by dask, as SpatialData holds them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from insignia.core.errors import FileFormatError, InsigniaError
from insignia.data.pixels.colour import as_rgb, check_kind
from insignia.data.pixels.contract import Level, Pixels, nominal_downsample

__all__ = ["LazyPixels"]


class LazyPixels(Pixels):
    """Arrays of (colours, height, width) with a `compute` method, the finest first."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        super().__init__()
        self._arrays = list(arrays)
        for array in self._arrays:
            if array.ndim != 3:
                raise FileFormatError(f"An image of SpatialData has colours, rows and columns; found {array.shape}.")
            check_kind(None, np.dtype(array.dtype), array.shape[0])
        sizes = [(array.shape[2], array.shape[1]) for array in self._arrays]
        self.levels = tuple(Level(*size, nominal_downsample(sizes[0], size)) for size in sizes)

    def read(self, level: int, left: int, top: int, width: int, height: int) -> np.ndarray:
        """Compute the box."""
        box = self._arrays[level][:, top : top + height, left : left + width]
        try:
            pixels = np.asarray(box.compute())
        except (InsigniaError, MemoryError):
            raise
        except Exception as error:
            raise FileFormatError(f"An image of SpatialData could not be read: {error}. Is it complete?") from error
        return as_rgb(np.moveaxis(pixels, 0, 2))
