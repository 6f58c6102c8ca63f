"""Register one section to another."""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from insignia.data.bend import Bend
from insignia.data.transform import Transform
from insignia.spatial.registration.pieces import mend
from insignia.spatial.registration.quality import Agreement, agreement, angle_between
from insignia.spatial.registration.refine import RefineOptions, Refiner
from insignia.spatial.registration.rotation import Start, rotation_search
from insignia.spatial.registration.views import Level, View

__all__ = ["PairResult", "register_pair"]

_STARTS_EVERY: Final = 5
_KEPT: Final = 3
_SCALES: Final = (0.8, 1.25)
_LEVELS: Final = (32, 128, 24)
"""Micrometres per pixel: the coarsest level at least and at most, and fine enough to stop."""

_BLUR_PX: Final = 3.0
"""Single nuclei differ from section to section; their density is what agrees."""

_COARSE: Final = RefineOptions(outline_weight=3.0, reach_px=12.5, iterations=12)
_FINE: Final = RefineOptions(outline_weight=6.0, reach_px=6.25, parallel=0.9, iterations=20)

_MENDED: Final = 0.02
"""By how much closing a tear must improve overlap and correlation together."""

_UNLIKELY: Final = 0.02
"""Overlap that turning by 180 degrees, or over, must gain where outlines are all there is: people mount sections alike,
and the area under a square array of spots fits nearly as well in four ways."""

_ANOTHER_ROTATION: Final = 30.0
"""Degrees from which a pose counts as another one."""

_Found = list[tuple[Transform, Agreement]]


@dataclass(frozen=True, eq=False)
class PairResult:
    """A registered pair.

    Parameters
    ----------
    transform
        From the moving section's frame to the fixed one's.
    stage
        What was kept: ``"mask"``, ``"ecc"``, ``"pieces"`` or ``"given"``.
    agreement
        At the resolution at which stages are compared.
    found
        Agreement of the pose at the low resolution at which rotations were compared.
    others
        Agreement of what the other rotations were refined to.
    other_side
        Best agreement with the moving section turned over; `None` if a start was given.
    stages
        Agreement after each stage.
    either_side
        Whether both sides of the moving section were tried in earnest.
    bend
        Of the moving section's frame, done before the transform, that puts torn pieces back.
    """

    transform: Transform
    stage: str
    agreement: Agreement
    found: Agreement
    others: tuple[Agreement, ...] = ()
    other_side: Agreement | None = None
    stages: dict[str, Agreement] = field(default_factory=dict)
    either_side: bool = False
    bend: Bend | None = None

    @property
    def whole(self) -> Transform:
        """The map with its bend."""
        return self.carried(self.transform)

    def carried(self, transform: Transform) -> Transform:
        """Do the bend, and then a map of the moving section's frame."""
        return transform if self.bend is None else Transform(np.eye(2, 3), (self.bend,)).then(transform)

    @property
    def wrong(self) -> tuple[Agreement, ...]:
        """What poses that cannot be right agree: other rotations, and the section turned over."""
        return self.others if self.other_side is None else (*self.others, self.other_side)

    @property
    def margin(self) -> float:
        """By how much the best wrong pose falls behind, in overlap and correlation together."""
        return self.found.score - max((other.score for other in self.wrong), default=0.0)

    @property
    def outline_margin(self) -> float:
        """By how much the overlap of the best wrong pose falls behind."""
        return self.agreement.iou - max((other.iou for other in self.wrong), default=0.0)


def register_pair(
    moving: View, fixed: View, *, start: Transform | None = None, refined: bool = True, mirrored: bool = False
) -> PairResult:
    """Find the map from one section to another.

    All rotations are refined at a low resolution, of the section as it lies and turned over, and the best is followed
    to a higher one. The others tell what wrong poses of this very pair agree.

    Parameters
    ----------
    moving, fixed
        The two.
    start
        A map to refine, instead of searching through all rotations.
    refined
        Whether to go beyond rotation and shift of the tissue.
    mirrored
        Whether the moving section may lie upside down; otherwise that side only serves to compare with.
    """
    levels = _ladder(moving, fixed)
    last = levels[-1]
    search = _search(moving, fixed, levels[0], mirrored=mirrored) if start is None else _given(start, levels[0])
    stage, bend = ("mask" if start is None else "given"), None
    best, reached = _best(last, search.guesses)
    stages = {stage: reached}
    if refined:
        candidate, after = _best(last, [_follow(levels, pose) for pose, _ in _distinct(search.found)])
        if after.score > reached.score:
            best, reached, stage = candidate, after, "ecc"
            stages[stage] = reached
        closed = mend(*last, best, _FINE) if start is None and last[0].stain is not None else None
        if closed is not None and closed.agreement.score > reached.score + _MENDED:
            best, bend, reached, stage = closed.transform, closed.bend, closed.agreement, "pieces"
            stages[stage] = reached
    return PairResult(best, stage, reached, *search.seen_from(best, stages), stages, mirrored, bend)


@dataclass(frozen=True, eq=False)
class _Search:
    """Poses found at the low resolution, the best first, with the section turned over, and guesses to compare with."""

    found: _Found
    turned: _Found
    guesses: list[Transform]

    def seen_from(
        self, best: Transform, stages: dict[str, Agreement]
    ) -> tuple[Agreement, tuple[Agreement, ...], Agreement | None]:
        """Return agreement of the pose itself, of other rotations, and of the other side."""
        far = [angle_between(pose, best) >= _ANOTHER_ROTATION for pose, _ in self.found]
        near = [seen for (_, seen), is_other in zip(self.found, far, strict=True) if not is_other]
        others = tuple(seen for (_, seen), is_other in zip(self.found, far, strict=True) if is_other)
        here = max(near, key=_score, default=next(iter(stages.values())))
        return here, others, self.turned[0][1] if self.turned else None


def _given(start: Transform, coarse: tuple[Level, Level]) -> _Search:
    return _Search([(start, agreement(*coarse, start))], [], [start])


def _search(moving: View, fixed: View, coarse: tuple[Level, Level], *, mirrored: bool) -> _Search:
    """Refine all rotations at a low resolution, of the section as it lies and turned over."""
    as_it_lies = rotation_search(moving, fixed)
    turned_over = rotation_search(moving, fixed, mirrored=True)
    as_mounted = Start(0.0, Transform.identity(), 0.0)
    found = _compare(coarse, as_it_lies, [as_mounted])
    turned = _compare(coarse, turned_over)
    if mirrored and turned[0][1].score > found[0][1].score:
        found, turned, as_it_lies = turned, found, turned_over
    return _Search(found, turned, [_nearest(as_it_lies, pose) for pose, _ in _distinct(found)])


def _ladder(moving: View, fixed: View) -> list[tuple[Level, Level]]:
    """Levels of both sections, from one at which the tissue is some 64 pixels wide to one fine enough for spots."""
    low, high, enough = _LEVELS
    native = max(moving.um, fixed.um)
    um = max(native, float(np.clip(fixed.radius_um / 32, low, high)))
    steps = [um]
    while len(steps) == 1 or (steps[-1] > enough and steps[-1] > native):
        steps.append(max(native, steps[-1] / 2))
    blurs = [2 * steps[0], *(_BLUR_PX * step for step in steps[1:])]
    return [(moving.level(*how), fixed.level(*how)) for how in zip(steps, blurs, strict=True)]


def _compare(levels: tuple[Level, Level], starts: list[Start], more: list[Start] | None = None) -> _Found:
    """Refine guesses around the circle, the best first; those that only fit when stretched out of shape are left."""
    chosen = starts[::_STARTS_EVERY] + sorted(starts, key=lambda one: -one.overlap)[:_KEPT] + (more or [])
    refiner = Refiner.make(*levels, _COARSE)
    found = []
    for start in chosen:
        pose = refiner.refine(start.transform) if refiner is not None else None
        if pose is not None and _SCALES[0] <= pose.scales[1] <= pose.scales[0] <= _SCALES[1]:
            found.append((pose, _judged(levels, pose)))
    if not found:
        found = [(start.transform, _judged(levels, start.transform)) for start in chosen]
    return sorted(found, key=lambda one: -one[1].score)


def _judged(levels: tuple[Level, Level], pose: Transform) -> Agreement:
    seen = agreement(*levels, pose)
    if not np.isnan(seen.ncc):
        return seen
    turned = 1.0 if pose.is_mirrored else (1 - np.cos(np.deg2rad(pose.degrees))) / 2
    return replace(seen, handicap=_UNLIKELY * turned)


def _distinct(found: _Found) -> _Found:
    """Keep the best few that differ."""
    kept: _Found = []
    for pose, seen in found:
        if all(angle_between(pose, other) > _ANOTHER_ROTATION / 3 for other, _ in kept):
            kept.append((pose, seen))
    return kept[:_KEPT]


def _nearest(starts: list[Start], pose: Transform) -> Transform:
    return min(starts, key=lambda one: (angle_between(one.transform, pose), -one.overlap)).transform


def _follow(levels: list[tuple[Level, Level]], start: Transform) -> Transform:
    """Follow a pose to finer resolutions, as long as it holds."""
    pose = start
    for pair in levels[1:]:
        refiner = Refiner.make(*pair, _FINE)
        after = None if refiner is None else refiner.refine(pose)
        if after is None:
            break
        pose = after
    return pose


def _best(levels: tuple[Level, Level], poses: list[Transform]) -> tuple[Transform, Agreement]:
    return max(((pose, _judged(levels, pose)) for pose in poses), key=lambda one: one[1].score)


def _score(seen: Agreement) -> float:
    return seen.score
