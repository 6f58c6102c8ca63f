"""Slides of further scanners, through openslide where it is installed."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from insignia.core.errors import FileFormatError
from insignia.core.optional import need
from insignia.data.pixels.colour import as_rgb
from insignia.data.pixels.contract import Level, Pixels, check_declared
from insignia.data.pixels.scale import believable, square

__all__ = ["SLIDE_SUFFIXES", "SlidePixels"]

SLIDE_SUFFIXES: Final = (".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".svslide", ".bif", ".czi", ".dcm")


class SlidePixels(Pixels):
    """A file that openslide reads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        with self._open() as slide:
            width, height = slide.dimensions
            check_declared(path, width, height)
            self.levels = tuple(
                Level(wide, high, float(shrink))
                for (wide, high), shrink in zip(slide.level_dimensions, slide.level_downsamples, strict=True)
            )
            across, down = (believable(slide.properties.get(f"openslide.mpp-{axis}")) for axis in "xy")
            self.um_per_px = square(path, across, down)

    def read(self, level: int, left: int, top: int, width: int, height: int) -> np.ndarray:
        """Read the box; where the scanner took no picture it is white."""
        shrink = self.levels[level].downsample
        with self._open() as slide:
            corner = (round(left * shrink), round(top * shrink))
            try:
                return as_rgb(np.asarray(slide.read_region(corner, level, (width, height))), self.path)
            except Exception as error:
                raise self._damaged(error) from error

    def _open(self) -> Any:
        openslide = need("openslide", extra="wsi", purpose=f"Reading {self.path.suffix if self.path else 'slides'}")
        try:
            return openslide.OpenSlide(str(self.path))
        except openslide.OpenSlideError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> FileFormatError:
        return FileFormatError(f"{self.path} could not be read by openslide: {error}. Is it complete, with its folder?")
