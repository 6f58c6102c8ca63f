"""How well two sections agree under a map, and whether that is more than wrong maps of the same pair give."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from insignia.data.transform import Transform
from insignia.spatial.registration.draw import drawn_in
from insignia.spatial.registration.views import Level

__all__ = ["Agreement", "agreement", "angle_between"]

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

    def drawn(picture: np.ndarray) -> np.ndarray:
        return drawn_in(
            picture,
            moving.um,
            moving.origin_um,
            transform,
            shape=fixed.mask.shape,
            to_um=fixed.um,
            to_origin_um=fixed.origin_um,
        )

    moved = drawn(moving.mask)
    # what leaves the raster of the fixed section still counts as not overlapping
    area = moving.mask.sum() * moving.um**2 * abs(np.linalg.det(transform.matrix[:, :2])) / fixed.um**2
    both = moved & fixed.mask
    union = max(area, moved.sum()) + fixed.mask.sum() - both.sum()
    overlap = float(both.sum() / max(1, union))
    if moving.stain is None or fixed.stain is None:
        return Agreement(float("nan"), overlap)
    inner = drawn(moving.inner) & fixed.inner
    if inner.sum() < _MIN_PIXELS:
        return Agreement(-1.0, overlap)
    first, second = drawn(moving.stain)[inner], fixed.stain[inner]
    if min(first.std(), second.std()) < 1e-6:
        return Agreement(0.0, overlap)
    return Agreement(float(np.corrcoef(first, second)[0, 1]), overlap)


def angle_between(first: Transform, second: Transform) -> float:
    """Difference of two rotations in degrees, 0 to 180; 180 if only one of the two turns the section over."""
    if np.linalg.det(first.matrix[:, :2]) * np.linalg.det(second.matrix[:, :2]) < 0:
        return 180.0
    return float(abs((first.degrees - second.degrees + 180) % 360 - 180))
