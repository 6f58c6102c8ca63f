"""What a source of pixels must do, and the sizes beyond which none is believed."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np

from insignia.core.errors import FileFormatError

__all__ = ["MAX_DECLARED", "MAX_DECODED", "Level", "Pixels", "check_declared", "check_decoded", "nominal_downsample"]

MAX_DECODED: Final = 2**29
"""Pixels that are decoded in one go, 1.6 GB as RGB; a larger picture must be tiled."""

MAX_DECLARED: Final = 10**11
"""Pixels of the largest slide that is believed, some ten times the largest that scanners write."""


@dataclass(frozen=True)
class Level:
    """One resolution of a picture.

    Parameters
    ----------
    width, height
        In pixels of this level.
    downsample
        Pixels of the finest level along the side of one pixel of this level.
    """

    width: int
    height: int
    downsample: float

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.width * self.height


class Pixels(ABC):
    """A picture as RGB, read box by box.

    Attributes
    ----------
    levels
        Resolutions that can be read directly, the finest first.
    path
        The file, `None` for an array in memory.
    um_per_px
        What the file says about its scale, `None` where it says nothing believable.
    token
        Names the picture in the cache.
    """

    levels: tuple[Level, ...]
    path: Path | None = None
    um_per_px: float | None = None

    def __init__(self) -> None:
        self.token = uuid4().hex

    @abstractmethod
    def read(self, level: int, left: int, top: int, width: int, height: int) -> np.ndarray:
        """Return (height, width, 3) uint8 of a box that lies inside a level; it may be a view and is not to be changed.

        Raises
        ------
        FileFormatError
            The file is damaged there.
        """


def check_declared(path: Path, width: int, height: int) -> None:
    """Refuse a picture without pixels, or one that no scanner makes."""
    if width < 1 or height < 1:
        raise FileFormatError(f"{path} declares {width} x {height} pixels. The header is damaged; write it again.")
    if width * height > MAX_DECLARED:
        raise FileFormatError(
            f"{path} declares {width:,} x {height:,} pixels, more than the {MAX_DECLARED:.0e} that is believed of any "
            "slide. Its header is damaged, or it is made to exhaust memory."
        )


def check_decoded(path: Path, width: int, height: int, what: str) -> None:
    """Refuse to decode more at once than memory should be asked for."""
    if width * height > MAX_DECODED:
        raise FileFormatError(
            f"{path} holds {what} of {width:,} x {height:,} pixels that can only be decoded in one go; at most "
            f"{MAX_DECODED:,} pixels are. Save it as a tiled TIFF, better still with a pyramid."
        )


def nominal_downsample(finest: tuple[int, int], coarse: tuple[int, int]) -> float:
    """Ratio of two sizes, (width, height) each; one that fits a whole number is that number.

    Scanners cut off the remainder of a side that does not divide, so the plain ratio is a little too large.
    """
    ratio = (finest[0] / coarse[0] + finest[1] / coarse[1]) / 2
    whole = round(ratio)
    fits = all(abs(fine / whole - less) <= 1 for fine, less in zip(finest, coarse, strict=True))
    return float(whole) if fits else ratio
