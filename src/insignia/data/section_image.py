"""The picture of a section with its physical scale, read only as finely as it is needed."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from insignia.core.errors import InputError
from insignia.data.pixels import ArrayPixels, Pixels, open_pixels
from insignia.data.pixels.cache import decoded
from insignia.data.pixels.contract import MAX_DECODED
from insignia.data.pixels.resample import area_weights, average_box, average_level, output_side

__all__ = ["SectionImage"]

_OCTAVE_PIXELS: Final = 2**26
_SAME: Final = 1 + 1e-6


class SectionImage:
    """A stained section as RGB, with its scale; its top-left corner is the origin of the section's frame.

    Nothing is decoded before it is asked for, and what is decoded is kept within a limit for the whole process.

    Parameters
    ----------
    pixels
        (height, width, 3) uint8, or the path of an image: PNG, JPEG, TIFF, OME-TIFF, SVS, or with the extra ``wsi``
        what openslide reads. Grey and 16-bit images become RGB of 8 bits, and what is transparent becomes white.
    um_per_px
        Micrometres per pixel of the finest resolution.

    Raises
    ------
    FileFormatError
        There is no such file, or it is damaged, too large to be believed, or of a kind that is not known.
    InputError
        The array or the scale is not what it should be.
    """

    def __init__(self, pixels: np.ndarray | str | Path | Pixels, um_per_px: float) -> None:
        if isinstance(pixels, str | Path):
            pixels = open_pixels(pixels)
        self.source: Pixels = pixels if isinstance(pixels, Pixels) else ArrayPixels(pixels)
        if not 0 < um_per_px < np.inf:
            raise InputError(f"um_per_px must be positive, found {um_per_px}.")
        self.um_per_px = float(um_per_px)

    @classmethod
    def open(cls, path: str | Path, um_per_px: float | None = None) -> "SectionImage":
        """Open a file, with the scale that stands in it if none is given.

        Raises
        ------
        InputError
            No scale is given, and the file has none.
        """
        source = open_pixels(path)
        scale = source.um_per_px if um_per_px is None else um_per_px
        if scale is None:
            raise InputError(
                f"{path} says nothing about its scale. Give um_per_px, e.g. from the distance of two known spots."
            )
        return cls(source, scale)

    def __repr__(self) -> str:
        finest = self.source.levels[0]
        where = f"{self.path.name}, " if self.path else ""
        return f"SectionImage({where}{finest.width} x {finest.height} px of {self.um_per_px:.4g} um)"

    @property
    def path(self) -> Path | None:
        """The file, `None` for a picture in memory."""
        return self.source.path

    @property
    def size_um(self) -> tuple[float, float]:
        """Width and height in micrometres."""
        finest = self.source.levels[0]
        return finest.width * self.um_per_px, finest.height * self.um_per_px

    @property
    def pixels(self) -> np.ndarray:
        """The whole picture at its finest, (height, width, 3) uint8."""
        finest = self.source.levels[0]
        self._check_size(finest.width, finest.height)
        return self.source.read(0, 0, 0, finest.width, finest.height)

    def at(self, um_per_px: float) -> np.ndarray:
        """Return the whole picture at a resolution.

        Parameters
        ----------
        um_per_px
            Micrometres per pixel of the result, exactly: pixel (row, column) averages the square whose corner lies at
            (column, row) times `um_per_px`. The last ones may reach beyond the picture, which is white there.

        Returns
        -------
        (height, width, 3) uint8, averaged from the coarsest stored resolution that is fine enough. It is kept, and is
        not to be written into.

        Raises
        ------
        InputError
            The result would be too large.
        """
        if not 0 < um_per_px < np.inf:
            raise InputError(f"um_per_px must be positive, found {um_per_px}.")
        shrink = um_per_px / self.um_per_px
        finest = self.source.levels[0]
        self._check_size(output_side(finest.width, shrink), output_side(finest.height, shrink))
        level = self._level(shrink)
        stored = self.source.levels[level]
        factor = shrink / stored.downsample
        if abs(factor - 1) < _SAME - 1:
            whole = self.source.read(level, 0, 0, stored.width, stored.height)[:]
            whole.flags.writeable = False
            return whole
        key = (self.source.token, "at", round(shrink, 9))
        return decoded.get(key, partial(average_level, self.source, level, factor))

    def patches(self, centres_um: np.ndarray, size_um: float, out_px: int) -> np.ndarray:
        """Cut square patches out of the picture.

        Parameters
        ----------
        centres_um
            (patches, 2), x and y in the section's frame.
        size_um
            Side of a patch; it covers ``[centre - size / 2, centre + size / 2)``.
        out_px
            Pixels along its side.

        Returns
        -------
        (patches, out_px, out_px, 3) uint8, area averages; white beyond the picture.
        """
        centres_um = _checked(centres_um, size_um, out_px)
        patches = np.empty((len(centres_um), out_px, out_px, 3), dtype=np.uint8)
        for index, patch in enumerate(self._cut(centres_um, size_um, out_px)):
            patches[index] = patch
        return patches

    def patch_batches(
        self, centres_um: np.ndarray, size_um: float, out_px: int, *, batch: int = 256
    ) -> Iterator[np.ndarray]:
        """Yield `patches` a batch at a time, for more of them than memory should hold."""
        centres_um = _checked(centres_um, size_um, out_px)
        for start in range(0, len(centres_um), batch):
            yield self.patches(centres_um[start : start + batch], size_um, out_px)

    def _level(self, shrink: float) -> int:
        """Find the coarsest stored level that is at least as fine as `shrink` times the finest."""
        fine = [index for index, level in enumerate(self.source.levels) if level.downsample <= shrink * _SAME]
        return fine[-1] if fine else 0

    def _cut(self, centres_um: np.ndarray, size_um: float, out_px: int) -> Iterator[np.ndarray]:
        shrink = size_um / out_px / self.um_per_px
        source, level = self._fine_enough(shrink)
        step = source.levels[level].downsample if source is self.source else self._octave(shrink)
        factor = shrink / step
        self._check_size(*[int(factor * out_px) + 2] * 2)
        for x, y in (centres_um - size_um / 2) / (self.um_per_px * step):
            yield _average_patch(source, level, (x, y), factor, out_px)

    def _fine_enough(self, shrink: float) -> tuple[Pixels, int]:
        """Where to read for an average of `shrink`: a stored level, or one made by halving, if that saves reading."""
        level = self._level(shrink)
        octave = self._octave(shrink)
        finest = self.source.levels[0]
        if octave <= self.source.levels[level].downsample or finest.size / octave**2 > _OCTAVE_PIXELS:
            return self.source, level
        return ArrayPixels(self.at(self.um_per_px * octave)), 0

    @staticmethod
    def _octave(shrink: float) -> float:
        return float(2 ** max(0, int(np.floor(np.log2(shrink * _SAME)))))

    def _check_size(self, width: int, height: int) -> None:
        if width * height > MAX_DECODED:
            raise InputError(
                f"{self!r} would be read as {width:,} x {height:,} pixels at once; at most {MAX_DECODED:,} are. "
                "Ask for a coarser resolution, or for patches."
            )


def _checked(centres_um: np.ndarray, size_um: float, out_px: int) -> np.ndarray:
    centres_um = np.asarray(centres_um, dtype=np.float64)
    if centres_um.ndim != 2 or centres_um.shape[1] != 2 or not np.isfinite(centres_um).all():
        raise InputError(f"Centres of patches must be finite and (patches, 2), found {centres_um.shape}.")
    if not (0 < size_um < np.inf and out_px >= 1):
        raise InputError(f"Patches need a positive size and at least one pixel, found {size_um} um and {out_px} px.")
    return centres_um


def _average_patch(source: Pixels, level: int, corner: tuple[float, float], factor: float, out_px: int) -> np.ndarray:
    """Average the square at `corner`, in pixels of the level, to `out_px` pixels of `factor` pixels each."""
    stored, span = source.levels[level], factor * out_px
    weights, firsts, lasts = [], [], []
    for start, side in zip(corner, (stored.width, stored.height), strict=True):
        first, last = (int(np.clip(edge, 0, side)) for edge in (np.floor(start), np.ceil(start + span)))
        weights.append(area_weights(out_px, start, factor, first, last - first))
        firsts.append(first)
        lasts.append(last)
    width, height = lasts[0] - firsts[0], lasts[1] - firsts[1]
    if width <= 0 or height <= 0:
        return np.full((out_px, out_px, 3), 255, dtype=np.uint8)
    # averages of the darkness, so that what is beyond the picture counts as white
    box = 255 - source.read(level, firsts[0], firsts[1], width, height)
    return 255 - average_box(box, *weights)
