"""TIFF, OME-TIFF and SVS: only the tiles or strips under the box are decoded, at the level that is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from insignia.core.errors import FileFormatError, InsigniaError
from insignia.core.optional import need
from insignia.data.pixels.colour import as_rgb, check_kind, check_range
from insignia.data.pixels.contract import Level, Pixels, check_declared, check_decoded, nominal_downsample
from insignia.data.pixels.scale import tiff_scale
from insignia.data.pixels.tiff_page import TiffPage

__all__ = ["TIFF", "TiffPixels"]

TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_COLOURS: Final = {0: "grey, 0 is white", 1: "grey", 2: "RGB", 6: "YCbCr"}
_AXES: Final = ("YX", "YXS", "SYX", "CYX")
_INVERTED: Final = 0
_JPEG: Final = (6, 7, 33007, 34892)
_LOOK: Final = 1024


class TiffPixels(Pixels):
    """The first picture of a TIFF file, with its pyramid if there is one."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        tifffile = need("tifffile", extra="spatial", purpose="Reading TIFF and SVS images")
        with _as_format_error(path), tifffile.TiffFile(path) as file:
            series = file.series[0]
            self._channels = [_channels(path, level) for level in series.levels]
            self.um_per_px = tiff_scale(path, series.keyframe)
        pages = [channels[0] for channels in self._channels]
        sizes = [(page.width, page.height) for page in pages]
        self.levels = tuple(Level(*size, nominal_downsample(sizes[0], size)) for size in sizes)
        if pages[0].dtype == np.uint16:
            check_range(path, self._look())

    def read(self, level: int, left: int, top: int, width: int, height: int) -> np.ndarray:
        """Decode the segments that the box touches and put them together; what was never written is white."""
        assert self.path is not None
        return as_rgb(self._read(level, left, top, width, height), self.path)

    def _read(self, level: int, left: int, top: int, width: int, height: int) -> np.ndarray:
        assert self.path is not None
        with _as_format_error(self.path), self.path.open("rb") as file:
            parts = [page.read(file, left, top, width, height) for page in self._channels[level]]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)

    def _look(self) -> np.ndarray:
        """Read the middle of the coarsest level."""
        last = self.levels[-1]
        width, height = min(_LOOK, last.width), min(_LOOK, last.height)
        return self._read(len(self.levels) - 1, (last.width - width) // 2, (last.height - height) // 2, width, height)


@contextmanager
def _as_format_error(path: Path) -> Iterator[None]:
    """Turn whatever the decoder stumbles over into an error that names the file."""
    try:
        yield
    except (InsigniaError, MemoryError, PermissionError):
        raise
    except Exception as error:
        raise FileFormatError(
            f"{path} could not be read as TIFF: damaged, cut short or of a kind that is not known? "
            f"({type(error).__name__}: {error}) Compare its size with the source and fetch or write it again."
        ) from error


def _channels(path: Path, series: Any) -> list[TiffPage]:
    """Pages, or planes of one page, that together make the colours of one level."""
    pages = list(series.pages)
    axes = "".join(axis for axis, size in zip(series.axes, series.shape, strict=True) if size > 1 or axis in "YX")
    if axes not in _AXES or not pages:
        raise FileFormatError(
            f"{path} holds an array with axes {series.axes} and shape {series.shape}. A section is one picture: "
            "rows, columns and colours (YXS, SYX, CYX or YX). Save the plane or channels that you mean as RGB."
        )
    page = series.keyframe
    _check_page(path, page)
    separate = axes == "SYX"
    count = len(pages) if axes == "CYX" else page.samplesperpixel
    check_kind(path, page.dtype, count)
    if axes == "CYX" and count != 3:
        raise FileFormatError(f"{path} has {count} channels of its own. Choose or blend three of them to RGB first.")
    if separate:
        return [TiffPage.of(path, page, page, plane) for plane in range(page.samplesperpixel)]
    return [TiffPage.of(path, page, each, 0) for each in pages]


def _check_page(path: Path, page: Any) -> None:
    check_declared(path, page.imagewidth, page.imagelength)
    colours = int(page.photometric)
    if colours not in _COLOURS or (colours == 6 and int(page.compression) not in _JPEG):
        raise FileFormatError(
            f"{path} has colours of kind {getattr(page.photometric, 'name', colours)}; known are "
            f"{', '.join(_COLOURS.values())} (the last inside JPEG). Convert it to RGB."
        )
    if page.dtype is None:
        raise FileFormatError(f"{path} has {page.bitspersample} bits per colour. Convert it to 8 bits.")
    if page.is_memmappable:
        return
    side = (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, page.rowsperstrip)
    check_decoded(path, *side, "tiles" if page.is_tiled else "strips")
