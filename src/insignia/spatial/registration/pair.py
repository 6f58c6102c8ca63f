"""Register one section to another."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from insignia.data.transform import Transform
from insignia.spatial.registration.quality import Agreement, agreement, angle_between
from insignia.spatial.registration.refine import RefineOptions, refine
from insignia.spatial.registration.rotation import Start, rotation_search
from insignia.spatial.registration.views import Level, View

__all__ = ["PairResult", "register_pair"]

COARSE_UM: Final = 32.0
COARSE: Final = RefineOptions(outline_weight=3.0, reach_um=400.0, iterations=15)
FINE: Final = (
    (16.0, RefineOptions(outline_weight=2.0, reach_um=200.0)),
    (8.0, RefineOptions(outline_weight=2.0, reach_um=100.0)),
)
_STARTS_EVERY: Final = 5
_KEPT: Final = 3
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
        At 16 micrometres per pixel.
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
    others: tuple[Agreement, ...]
    mirrored: Agreement | None = None
    stages: dict[str, Agreement] = field(default_factory=dict)

    @property
    def margin(self) -> float:
        """By how much the best other rotation falls behind, in the score of `Agreement`."""
        return self.coarse_score - max((other.score for other in self.others), default=0.0)

    @property
    def coarse_score(self) -> float:
        """Score at the resolution at which rotations are compared."""
        return self.stages["coarse"].score if "coarse" in self.stages else self.agreement.score

    @property
    def ncc_sds(self) -> float:
        """How many standard deviations the correlation lies above those of wrong rotations; NaN without pictures."""
        wrong = np.array([other.ncc for other in self.others if not np.isnan(other.ncc)])
        if len(wrong) < 4 or "coarse" not in self.stages or np.isnan(self.stages["coarse"].ncc):
            return float("nan")
        return float((self.stages["coarse"].ncc - wrong.mean()) / max(wrong.std(ddof=1), 0.02))


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
    coarse = moving.level(COARSE_UM, 2 * COARSE_UM), fixed.level(COARSE_UM, 2 * COARSE_UM)
    middle = tuple(view.level(FINE[0][0], 2 * FINE[0][0]) for view in (moving, fixed))
    if start is not None:
        found = [(start, agreement(*coarse, start))]
        best_start = Start(start.degrees, start, found[0][1].iou)
    else:
        starts = rotation_search(moving, fixed)
        starts += rotation_search(moving, fixed, mirrored=True) if both_sides else []
        found = _search(coarse, starts)
        best_start = min(starts, key=lambda one: (angle_between(one.transform, found[0][0]), -one.overlap))
    best = found[0][0]
    stages = {"mask": agreement(middle[0], middle[1], best_start.transform), "coarse": found[0][1]}
    result, stage = best_start.transform, "mask"
    if refined:
        for candidate in [pose for pose, _ in found[:_KEPT] if angle_between(pose, best) < ANOTHER_ROTATION]:
            fine = _fine(moving, fixed, candidate)
            reached = agreement(middle[0], middle[1], fine)
            if reached.score > stages.get("ecc", stages["mask"]).score:
                result, stage, stages["ecc"] = fine, "ecc", reached
    others = tuple(found_ for pose, found_ in found[1:] if angle_between(pose, best) >= ANOTHER_ROTATION)
    return PairResult(result, stage, stages[stage], others, _other_side(found, best), stages)


def _search(levels: tuple[Level, Level], starts: list[Start]) -> list[tuple[Transform, Agreement]]:
    """Refine guesses around the circle at a low resolution, the best first."""
    chosen = starts[::_STARTS_EVERY] + sorted(starts, key=lambda one: -one.overlap)[:_KEPT]
    found = []
    for start in chosen:
        pose = refine(*levels, start.transform, COARSE)
        if pose is None or not 0.7 < pose.scales[1] <= pose.scales[0] < 1.4:
            pose = start.transform
        found.append((pose, agreement(*levels, pose)))
    return sorted(found, key=lambda one: -one[1].score)


def _fine(moving: View, fixed: View, start: Transform) -> Transform:
    """Follow a pose to finer resolutions, as long as it holds."""
    pose = start
    for um, options in FINE:
        um = max(um, moving.um, fixed.um)
        after = refine(moving.level(um, 2 * um), fixed.level(um, 2 * um), pose, options)
        if after is None:
            break
        pose = after
    return pose


def _other_side(found: list[tuple[Transform, Agreement]], best: Transform) -> Agreement | None:
    sides = [reached for pose, reached in found if pose.is_mirrored != best.is_mirrored]
    return max(sides, key=lambda one: one.score) if sides else None
