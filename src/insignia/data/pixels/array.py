"""A picture that is in memory already."""

import numpy as np

from insignia.core.errors import InputError
from insignia.data.pixels.contract import Level, Pixels

__all__ = ["ArrayPixels"]


class ArrayPixels(Pixels):
    """An array, (height, width, 3) of uint8."""

    def __init__(self, array: np.ndarray) -> None:
        super().__init__()
        array = np.asarray(array)
        if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
            raise InputError(
                f"An image is (height, width, 3) of uint8, found {array.shape} {array.dtype}. "
                "Files of other kinds are converted when they are opened by their path."
            )
        self.array = array
        self.levels = (Level(array.shape[1], array.shape[0], 1.0),)

    def read(self, level: int, left: int, top: int, width: int, height: int) -> np.ndarray:
        """Return a view of the box."""
        assert level == 0
        return self.array[top : top + height, left : left + width]
