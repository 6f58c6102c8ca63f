"""Register one section to another."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from insignia.data.transform import Transform
from insignia.spatial.registration.quality import Agreement, agreement, angle_between
from insignia.spatial.registration.refine import RefineOptions, refine
from insignia.spatial.registration.rotation import Start, rotation_search
from insignia.spatial.registration.views import Level, View

__all__ = ["ANOTHER_ROTATION", "PairResult", "register_pair"]

_STARTS_EVERY: Final = 5
_KEPT: Final = 3
_REACH: Final = 12.5
"""Pixels from which outlines pull."""

_LEAST_OVERLAP: Final = 0.4
_SCALES: Final = (0.8, 1.25)
_MARGIN: Final = 0.28
_IOU_MARGIN: Final = 0.1
_IOU_MARGIN_ALONE: Final = 0.01
ANOTHER_ROTATION: Final = 30.0
"""Degrees from which a pose counts as another one."""


@dataclass(frozen=True, eq=False)
class PairResult:
    """A registered pair.

    Parameters
    ----------
    transform
        From the moving section's frame to the fixed one's.
    stage
        What was kept: ``"mask"``, ``"ecc"`` ...
    agreement
        At the resolution at which stages are compared.
    found
        Agreement of the pose at the low resolution at which rotations were compared.
    others
        Agreement of what the other rotations were refined to.
    mirrored
        Best agreement of the moving section turned over, or turned back; `None` if not tried.
    stages
        Agreement after each stage.
    """

    transform: Transform
    stage: str
    agreement: Agreement
    found: Agreement
    others: tuple[Agreement, ...]
    mirrored: Agreement | None = None
    stages: dict[str, Agreement] = field(default_factory=dict)

    @property
    def margin(self) -> float:
        """By how much the best other rotation falls behind, in overlap and correlation together."""
        return self.found.score - max((other.score for other in self.others), default=0.0)

    @property
    def ncc_margin(self) -> float:
        """By how much the correlation of the best other rotation falls behind; NaN without pictures."""
        return self.found.ncc - max((other.ncc for other in self.others), default=0.0)

    @property
    def iou_margin(self) -> float:
        """By how much the overlap of the best other rotation falls behind."""
        return self.found.iou - max((other.iou for other in self.others), default=0.0)

    @property
    def is_convincing(self) -> bool:
        """Whether the pose agrees clearly better than other rotations of the same pair do.

        Thresholds between what true and foreign pairs gave on simulated and real sections: a fixed correlation would
        not do, since that of true pairs depends on the tissue and the stain.
        """
        largest, smallest = self.transform.scales
        if self.agreement.iou < _LEAST_OVERLAP or not _SCALES[0] <= smallest <= largest <= _SCALES[1]:
            return False
        by_outline = self.found.iou >= 0.9 and self.iou_margin >= _IOU_MARGIN and self.margin >= 0.05
        if np.isnan(self.found.ncc):
            return self.iou_margin >= _IOU_MARGIN_ALONE
        return by_outline or self.margin + self.ncc_margin >= _MARGIN


def register_pair(
    moving: View, fixed: View, *, start: Transform | None = None, refined: bool = True, both_sides: bool = False
) -> PairResult:
    """Find the map from one section to another.

    Parameters
    ----------
    moving, fixed
        The two.
    start
        A map to refine, instead of searching through all rotations.
    refined
        Whether to go beyond rotation and shift of the tissue.
    both_sides
        Whether the moving section may lie upside down.
    """
    um = float(np.clip(fixed.radius_um / 32, 16, 64))
    coarse = moving.level(um, 2 * um), fixed.level(um, 2 * um)
    middle = moving.level(um / 2, um), fixed.level(um / 2, um)
    if start is not None:
        found = [(start, agreement(*coarse, start))]
        guess = start
    else:
        starts = rotation_search(moving, fixed)
        starts += rotation_search(moving, fixed, mirrored=True) if both_sides else []
        found = _search(coarse, starts, um)
        guess = min(starts, key=lambda one: (angle_between(one.transform, found[0][0]), -one.overlap)).transform
    best = found[0][0]
    result, stage, stages = guess, "mask" if start is None else "given", {}
    stages[stage] = agreement(*middle, guess)
    if refined:
        for candidate in [pose for pose, _ in found[:_KEPT] if angle_between(pose, best) < ANOTHER_ROTATION]:
            fine = _fine(moving, fixed, candidate, um)
            reached = agreement(*middle, fine)
            if reached.score > stages[stage].score:
                result, stage, stages["ecc"] = fine, "ecc", reached
    others = tuple(reached for pose, reached in found[1:] if angle_between(pose, best) >= ANOTHER_ROTATION)
    return PairResult(result, stage, stages[stage], found[0][1], others, _other_side(found, best), stages)


def _search(levels: tuple[Level, Level], starts: list[Start], um: float) -> list[tuple[Transform, Agreement]]:
    """Refine guesses around the circle at a low resolution, the best first."""
    chosen = starts[::_STARTS_EVERY] + sorted(starts, key=lambda one: -one.overlap)[:_KEPT]
    options = RefineOptions(outline_weight=3.0, reach_um=_REACH * um, iterations=15)
    found = []
    for start in chosen:
        pose = refine(*levels, start.transform, options)
        if pose is None or not 0.7 < pose.scales[1] <= pose.scales[0] < 1.4:
            pose = start.transform
        found.append((pose, agreement(*levels, pose)))
    return sorted(found, key=lambda one: -one[1].score)


def _fine(moving: View, fixed: View, start: Transform, um: float) -> Transform:
    """Follow a pose to finer resolutions, as long as it holds."""
    pose = start
    for um_now in (um / 2, um / 4):
        finest = max(um_now, moving.um, fixed.um)
        options = RefineOptions(outline_weight=2.0, reach_um=_REACH * um_now)
        after = refine(moving.level(finest, 2 * finest), fixed.level(finest, 2 * finest), pose, options)
        if after is None:
            break
        pose = after
    return pose


def _other_side(found: list[tuple[Transform, Agreement]], best: Transform) -> Agreement | None:
    sides = [reached for pose, reached in found if pose.is_mirrored != best.is_mirrored]
    return max(sides, key=lambda one: one.score) if sides else None
