"""Which source reads which file: told by its first bytes where those are plain, by its suffix where they are not."""

from pathlib import Path
from typing import Final

from insignia.core.errors import FileFormatError
from insignia.data.pixels.contract import Pixels
from insignia.data.pixels.raster import JPEG, PNG, RasterPixels
from insignia.data.pixels.slide import SLIDE_SUFFIXES, SlidePixels
from insignia.data.pixels.tiff import TIFF, TiffPixels

__all__ = ["IMAGE_SUFFIXES", "open_pixels"]

IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".btf", ".svs", *SLIDE_SUFFIXES)
"""Suffixes of files that readers take for images of sections."""


def open_pixels(path: str | Path) -> Pixels:
    """Open an image without decoding it.

    Raises
    ------
    FileFormatError
        There is no such file, it is of no known kind, damaged, or larger than is believed.
    MissingDependency
        The package that reads the kind is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"There is no image at {path}.")
    if path.suffix.lower() in SLIDE_SUFFIXES:
        return SlidePixels(path)
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith((PNG, JPEG)):
        return RasterPixels(path)
    if start.startswith(TIFF):
        return TiffPixels(path)
    raise FileFormatError(
        f"{path} begins with {start!r}, which is no image that is known: PNG, JPEG, TIFF, OME-TIFF or SVS, or a slide "
        f"named {', '.join(SLIDE_SUFFIXES)}. Convert it to a tiled TIFF."
    )
