"""From registered pairs of a stack to the pose of every section."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from insignia.data import Pose, SectionStack, Transform
from insignia.spatial.registration.gate import objections
from insignia.spatial.registration.graph import Edge, miss_um, reachable, solve_poses
from insignia.spatial.registration.pair import PairResult, register_pair
from insignia.spatial.registration.quality import agreement
from insignia.spatial.registration.views import View, view_of

__all__ = ["Pairs", "pose_all"]

_CROSS = 0.7 * np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
_TOLERANCE = 0.5
"""In pitches: pairs that contradict the others by more count less."""


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two sections, their pair, and how they were looked at."""

    moving: View
    fixed: View
    result: PairResult
    objections: tuple[str, ...]


class Pairs:
    """Pairs of one stack, each registered once.

    Parameters
    ----------
    stack
        The sections.
    refined
        Whether pairs go beyond rotation and shift.
    mirrored
        Whether sections may lie upside down.
    """

    def __init__(self, stack: SectionStack, *, refined: bool, mirrored: bool) -> None:
        self.stack, self.refined, self.mirrored = stack, refined, mirrored
        self.done: dict[tuple[str, str], _Pair] = {}
        self._views: dict[tuple[str, bool], View] = {}

    def register(self, moving: str, fixed: str) -> None:
        """Register two sections."""
        views = self.views(moving, fixed)
        result = register_pair(*views, refined=self.refined, mirrored=self.mirrored)
        self.done[moving, fixed] = _Pair(*views, result, objections(result))

    def views(self, moving: str, fixed: str) -> tuple[View, View]:
        """Look at two sections in the same way: by their pictures, or if one has none, by their spots."""
        names = (moving, fixed)
        by_picture = all(self.stack[name].image is not None for name in names)
        first, second = (self._view(name, by_picture=by_picture) for name in names)
        if (first.stain is None) != (second.stain is None):
            first, second = (replace(view, stain=None) for view in (first, second))
        return first, second

    def edges(self) -> list[Edge]:
        """Convincing pairs."""
        found = []
        for (moving, fixed), pair in self.done.items():
            if not pair.objections:
                seen = pair.result.agreement
                trust = seen.iou if np.isnan(seen.ncc) else max(seen.ncc, 0.05)
                points = pair.moving.centre_um + pair.moving.radius_um * _CROSS
                found.append(Edge(moving, fixed, pair.result.transform, points, trust**2))
        return found

    def best(self, name: str, among: set[str] | None = None) -> tuple[str, _Pair] | None:
        """Find the partner with which a section agrees most, and their pair; convincing ones come first."""
        candidates = [
            (fixed, pair)
            for (moving, fixed), pair in self.done.items()
            if moving == name and (among is None or fixed in among)
        ]
        return max(candidates, key=lambda one: (not one[1].objections, _evidence(one[1])), default=None)

    def _view(self, name: str, *, by_picture: bool) -> View:
        section = self.stack[name]
        # a picture's tissue and the area of spots are not the same thing
        by_spots = not by_picture and section.points_um.shape[0] >= 3
        if (name, by_spots) not in self._views:
            seen = replace(section, image=None) if by_spots else section
            self._views[name, by_spots] = view_of(seen, self.stack.pitch_um)
        return self._views[name, by_spots]


def pose_all(pairs: Pairs, placed: Mapping[str, Transform], *, reference: str, deform: bool) -> dict[str, Pose]:
    """Find the pose of every section.

    Parameters
    ----------
    pairs
        Registered pairs.
    placed
        Poses that are known, the reference's among them.
    reference
        Section whose frame is common.
    deform
        Whether to bend registered sections onto their best partners with ANTs.
    """
    connected = reachable(pairs.edges(), list(placed))
    edges = [edge for edge in pairs.edges() if edge.moving in connected]
    solved = dict(placed)
    if edges:
        solved = solve_poses(edges, placed, tolerance_um=_TOLERANCE * pairs.stack.pitch_um)
    poses = {}
    for name in pairs.stack.names:
        if name in placed:
            poses[name] = Pose(placed[name], "reference" if name == reference else "given")
        elif name in connected:
            poses[name] = _registered(name, pairs, edges, solved, deform=deform)
    for name in pairs.stack.names:
        if name not in poses:
            poses[name] = _failed(name, pairs, solved, reference)
    return {name: poses[name] for name in pairs.stack.names}


def _registered(name: str, pairs: Pairs, edges: list[Edge], solved: Mapping[str, Transform], *, deform: bool) -> Pose:
    best = pairs.best(name, set(solved))
    assert best is not None
    other, pair = best
    transform, stage = pair.result.carried(solved[name]), pair.result.stage
    quality = _quality(pair, transform.then(solved[other].inverse()))
    misses = [miss_um(edge, solved) for edge in edges if name in (edge.moving, edge.fixed)]
    if len(misses) > 1:
        quality["cycle_um"] = float(np.mean(misses))
    if deform:
        from insignia.spatial.registration.ants import deform as by_ants

        bent = by_ants(pairs.stack[name], pairs.stack[other], transform.then(solved[other].inverse()))
        if bent is not None:
            transform, stage = bent.then(solved[other]), "ants"
    return Pose(transform, "registered", stage, quality)


def _failed(name: str, pairs: Pairs, solved: Mapping[str, Transform], reference: str) -> Pose:
    """Take the pose of the best pair, which is not to be trusted, and say why."""
    best = pairs.best(name, set(solved)) or pairs.best(name)
    assert best is not None
    other, pair = best
    quality = _quality(pair, pair.result.whole)
    why = "; ".join(pair.objections) or f"it only meets {other}, which failed"
    transform = pair.result.whole.then(solved.get(other, Transform.identity()))
    return Pose(transform, "failed", pair.result.stage, quality, f"beside {other or reference}: {why}")


def _quality(pair: _Pair, transform: Transform) -> dict[str, float]:
    """Quality figures of a pair, its agreement under the map that the poses give."""
    largest, smallest = transform.scales
    result = pair.result
    um = max(pair.moving.um, pair.fixed.um, 16.0)
    seen = agreement(pair.moving.level(um, 2 * um), pair.fixed.level(um, 2 * um), transform)
    back = register_pair(pair.fixed, pair.moving, start=result.transform.inverse())
    points = pair.moving.centre_um + pair.moving.radius_um * _CROSS
    there = back.transform.apply(result.transform.apply(points))
    return {
        "ncc": seen.ncc,
        "iou": seen.iou,
        "margin": result.margin,
        "outline_margin": result.outline_margin,
        "scale_max": largest,
        "scale_min": smallest,
        "degrees": transform.degrees,
        "is_mirrored": float(transform.is_mirrored),
        "inverse_um": float(np.linalg.norm(there - points, axis=1).mean()),
    }


def _evidence(pair: _Pair) -> float:
    return pair.result.found.score + pair.result.margin
