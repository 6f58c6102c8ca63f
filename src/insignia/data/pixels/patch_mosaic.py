"""Patches around spots, laid out as they lie on their slide."""

from pathlib import Path
from typing import Final

import h5py
import numpy as np
from scipy.spatial import cKDTree

from insignia.core.errors import FileFormatError, InsigniaError
from insignia.data.pixels.cache import decoded
from insignia.data.pixels.contract import Level, Pixels, check_declared

__all__ = ["PatchMosaic"]

_KEPT: Final = 32


class PatchMosaic(Pixels):
    """The patches of a HEST h5 file: `img` (patches, side, side, 3) uint8, and `coords`, their top-left corners.

    Where patches overlap, the one whose centre is nearest to the middle of what is read lies on top, so that a spot's
    own patch comes back as it is.

    Parameters
    ----------
    path
        The file.
    um_per_px
        Micrometres per pixel of the slide, `None` to take what the file says.
    """

    def __init__(self, path: Path, um_per_px: float | None = None) -> None:
        super().__init__()
        self.path = path
        try:
            with h5py.File(path, "r") as file:
                images, corners = file["img"], np.asarray(file["coords"], dtype=np.float64)
                shape, kind, attrs = images.shape, images.dtype, dict(images.attrs)
        except Exception as error:
            raise self._damaged(error) from error
        if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3 or kind != np.uint8 or not shape[0]:
            raise FileFormatError(f"{path}: img must be (patches, side, side, 3) of uint8, found {shape} {kind}.")
        if corners.shape != (shape[0], 2) or not np.isfinite(corners).all():
            raise FileFormatError(f"{path}: coords must be ({shape[0]}, 2) and finite, found {corners.shape}.")
        self._side = shape[1]
        self.shrink = _shrink(path, attrs, self._side)
        written = attrs.get("pixel_size") if um_per_px is None else um_per_px
        self.um_per_px = None if written is None else float(written) * self.shrink
        self._corners = np.rint(corners / self.shrink).astype(np.int64)
        width, height = (int(side) for side in np.maximum(1, self._corners.max(axis=0) + self._side))
        check_declared(path, width, height)
        self._tree = cKDTree(self._corners + self._side / 2)
        self.levels = (Level(width, height, 1.0),)

    def __len__(self) -> int:
        return len(self._corners)

    def read(self, level: int, left: int, top: int, width: int, height: int) -> np.ndarray:
        """Lay the patches that the box touches, the nearest last."""
        assert level == 0
        box = np.full((height, width, 3), 255, dtype=np.uint8)
        middle = np.array([left + width / 2, top + height / 2])
        reach = (max(width, height) + self._side) / 2
        near = np.asarray(self._tree.query_ball_point(middle, reach, p=np.inf), dtype=np.int64)
        far = np.linalg.norm(self._tree.data[near] - middle, axis=1)
        for patch in near[np.argsort(-far, kind="stable")]:
            x, y = self._corners[patch] - (left, top)
            rows = slice(max(0, y), max(0, min(height, y + self._side)))
            columns = slice(max(0, x), max(0, min(width, x + self._side)))
            if rows.start < rows.stop and columns.start < columns.stop:
                pixels = self._patch(int(patch))
                box[rows, columns] = pixels[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
        return box

    def _patch(self, number: int) -> np.ndarray:
        first = number - number % _KEPT
        patch: np.ndarray = decoded.get((self.token, first), lambda: self._load(first))[number - first]
        return patch

    def _load(self, first: int) -> np.ndarray:
        assert self.path is not None
        try:
            with h5py.File(self.path, "r") as file:
                return np.asarray(file["img"][first : first + _KEPT])
        except Exception as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> Exception:
        if isinstance(error, InsigniaError | MemoryError):
            return error
        return FileFormatError(
            f"{self.path} could not be read as patches, HDF5 with img and coords: damaged, or of another kind? "
            f"({error})"
        )


def _shrink(path: Path, attrs: dict[str, object], side: int) -> float:
    """Pixels of the slide along one pixel of a patch."""
    source, target = attrs.get("patch_size_src"), attrs.get("patch_size_target", side)
    value = attrs.get("downsample") if source is None else float(str(source)) / float(str(target))
    try:
        shrink = float(str(value))
    except ValueError:
        shrink = np.nan
    if not 0 < shrink < 1000:
        raise FileFormatError(
            f"{path}: img must state downsample, or patch_size_src and patch_size_target, its size on the slide; "
            f"its attributes are {', '.join(attrs) or 'none'}."
        )
    return shrink
