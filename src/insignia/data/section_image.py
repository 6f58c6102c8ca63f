"""The picture of a section with its physical scale, read only as finely as it is needed."""

from dataclasses import dataclass, field

import numpy as np

from insignia.core.errors import InputError

__all__ = ["SectionImage"]


@dataclass(eq=False)
class SectionImage:
    """A stained section as RGB, with its scale; its top-left corner is the origin of the section's frame.

    Parameters
    ----------
    pixels
        (height, width, 3) uint8.
    um_per_px
        Micrometres per pixel of `pixels`.
    """

    pixels: np.ndarray
    um_per_px: float
    _scaled: dict[float, np.ndarray] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8:
            raise InputError(f"An image is (height, width, 3) of uint8, found {self.pixels.shape} {self.pixels.dtype}.")
        if not self.um_per_px > 0:
            raise InputError(f"um_per_px must be positive, found {self.um_per_px}.")

    @property
    def size_um(self) -> tuple[float, float]:
        """Width and height in micrometres."""
        height, width = self.pixels.shape[:2]
        return width * self.um_per_px, height * self.um_per_px
