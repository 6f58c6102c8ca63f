"""How well two sections agree under a map, and whether that is more than wrong maps of the same pair give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from insignia.data.transform import Transform
from insignia.spatial.registration.draw import drawn_in
from insignia.spatial.registration.views import Level

__all__ = ["Agreement", "agreement", "agreement_of_pieces", "angle_between", "drawn_on"]

_MIN_PIXELS: Final = 50


@dataclass(frozen=True)
class Agreement:
    """Agreement of two sections under a map.

    Parameters
    ----------
    ncc
        Correlation of their haematoxylin within the overlap; NaN without pictures.
    iou
        Intersection over union of their tissues.
    handicap
        Taken off the score of an unlikely pose.
    """

    ncc: float
    iou: float
    handicap: float = 0.0

    @property
    def score(self) -> float:
        """What candidates are ranked by."""
        return self.iou + (0.0 if np.isnan(self.ncc) else self.ncc) - self.handicap


def agreement(moving: Level, fixed: Level, transform: Transform) -> Agreement:
    """Measure how well two sections agree under a map from the moving to the fixed one."""
    return agreement_of_pieces([(moving, transform)], fixed)


def agreement_of_pieces(pieces: Sequence[tuple[Level, Transform]], fixed: Level) -> Agreement:
    """Measure how well pieces of one section, each under a map of its own, agree with another section.

    Where a piece lies over another one, or beside the other section's picture, it overlaps with nothing.
    """
    moved, inner = np.zeros_like(fixed.mask), np.zeros_like(fixed.mask)
    stain, lost = np.zeros(fixed.mask.shape, dtype=np.float32), 0.0
    for piece, transform in pieces:
        here = drawn_on(piece.mask, piece, fixed, transform)
        if piece.stain is not None:
            stain = np.where(here, drawn_on(piece.stain, piece, fixed, transform), stain)
        lost += float((moved & here).sum())
        moved, inner = moved | here, inner | drawn_on(piece.inner, piece, fixed, transform)
        lost += _lost(piece, fixed, transform)
    both = moved & fixed.mask
    overlap = float(both.sum() / max(1, moved.sum() + lost + fixed.mask.sum() - both.sum()))
    if fixed.stain is None or any(piece.stain is None for piece, _ in pieces):
        return Agreement(float("nan"), overlap)
    inner &= fixed.inner
    if inner.sum() < _MIN_PIXELS:
        return Agreement(-1.0, overlap)
    first, second = stain[inner], fixed.stain[inner]
    if min(first.std(), second.std()) < 1e-6:
        return Agreement(0.0, overlap)
    return Agreement(float(np.corrcoef(first, second)[0, 1]), overlap)


def drawn_on(picture: np.ndarray, moving: Level, fixed: Level, transform: Transform) -> np.ndarray:
    """Draw a picture of one section into the raster of another."""
    return drawn_in(
        picture,
        moving.um,
        moving.origin_um,
        transform,
        shape=fixed.mask.shape,
        to_um=fixed.um,
        to_origin_um=fixed.origin_um,
    )


def _lost(moving: Level, fixed: Level, transform: Transform) -> float:
    """Area of the tissue that leaves the fixed section's raster, in its pixels."""
    rows, columns = np.nonzero(moving.mask)
    points = (np.column_stack([columns, rows]) + 0.5) * moving.um + moving.origin_um
    places = (transform.apply(points) - fixed.origin_um) / fixed.um
    outside = ((places < 0) | (places > fixed.mask.shape[::-1])).any(axis=1).sum()
    return float(outside * abs(np.linalg.det(transform.matrix[:, :2])) * (moving.um / fixed.um) ** 2)


def angle_between(first: Transform, second: Transform) -> float:
    """Difference of two rotations in degrees, 0 to 180; 180 if only one of the two turns the section over."""
    if np.linalg.det(first.matrix[:, :2]) * np.linalg.det(second.matrix[:, :2]) < 0:
        return 180.0
    return float(abs((first.degrees - second.degrees + 180) % 360 - 180))
