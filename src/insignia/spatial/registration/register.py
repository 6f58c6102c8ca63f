"""Register a stack: every section to its neighbour and directly to the reference, whichever agrees better."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from insignia.core.errors import InputError, RegistrationWarning
from insignia.core.progress import progress
from insignia.data import Pose, SectionStack, Transform
from insignia.spatial.registration.landmarks import from_landmarks
from insignia.spatial.registration.pair import PairResult, register_pair
from insignia.spatial.registration.views import View, view_of

__all__ = ["STAGES", "register"]

STAGES = ("mask", "ecc", "ants")


def register(
    stack: SectionStack,
    *,
    reference: str | None = None,
    stages: Collection[str] = ("mask", "ecc"),
    mirrored: bool = False,
    transforms: Mapping[str, Transform] | None = None,
    landmarks: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    show_progress: bool | None = None,
) -> SectionStack:
    """Bring the sections of a stack into one frame, that of a reference section.

    The tissue of each section is turned through the whole circle over that of another, every rotation is refined, and
    the best must agree clearly better than the others do; a stage is kept only if it improves the agreement. Sections
    without a picture are registered by the area that their spots cover.

    Parameters
    ----------
    stack
        Sections with pictures, spots, or both.
    reference
        Section whose frame becomes common; `None` takes the measured section in the middle, or the middle one.
    stages
        ``"mask"``, rotation and shift of the tissue; ``"ecc"``, an affine map by stain and outline; ``"ants"``,
        deformation by ANTs (extra ``[ants]``).
    mirrored
        Whether a section may lie upside down; otherwise none is turned over.
    transforms
        Known maps from a section's frame to that of the reference, by section; they are taken as they are.
    landmarks
        By section, points of it and the same points of the reference, (points, 2) micrometres each: three or more.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Returns
    -------
    The stack with a pose for every section: status ``"reference"``, ``"registered"``, ``"given"`` or ``"failed"``, and
    quality figures: correlation within the overlap (``ncc``), ``iou``, ``scale_max``, ``scale_min``, ``margin`` over
    the best other rotation, and ``inverse_um`` and ``cycle_um``, how far maps that should cancel carry a point.

    Raises
    ------
    InputError
        The reference or a named section is not there, or a stage is unknown.

    Warns
    -----
    RegistrationWarning
        A section failed; its pose is the best that was found, and must not be trusted.
    """
    unknown = set(stages) - set(STAGES)
    if unknown or "mask" not in stages:
        raise InputError(f"stages are 'mask' and then any of 'ecc' and 'ants', found {tuple(stages)}.")
    fixed = _reference(stack, reference)
    given = _given(stack, transforms or {}, landmarks or {})
    run = _Run(stack, fixed, frozenset(stages), mirrored)
    poses = {fixed: Pose(Transform.identity(), "reference")}
    poses |= {name: Pose(transform, "given") for name, transform in given.items() if name != fixed}
    rest = [name for name in _outwards(stack, fixed) if name not in poses]
    with progress("registering sections", len(rest), show=show_progress) as advance:
        for name in rest:
            poses[name] = run.pose(name, poses)
            advance(1)
    failed = [name for name, pose in poses.items() if not pose.is_ok]
    if failed:
        warnings.warn(
            RegistrationWarning(
                f"{len(failed)} of {len(stack)} sections could not be registered: {', '.join(failed)}. Their best pose "
                "agrees no better than wrong ones do. Look at the overlay figures; give transforms or landmarks, pass "
                "mirrored=True if they may lie upside down, or leave them out."
            ),
            stacklevel=2,
        )
    return stack.with_sections({name: replace(stack[name], pose=pose) for name, pose in poses.items()})


class _Run:
    """Registered pairs of one stack, each computed once."""

    def __init__(self, stack: SectionStack, reference: str, stages: frozenset[str], mirrored: bool) -> None:
        self.stack, self.reference, self.stages, self.mirrored = stack, reference, stages, mirrored
        self._views: dict[str, View] = {}

    def pose(self, name: str, poses: Mapping[str, Pose]) -> Pose:
        """Find the pose of a section from its placed neighbour and from the reference."""
        neighbour = self._neighbour(name, poses)
        direct = self.pair(name, self.reference)
        candidates = [(direct, direct.transform, self.reference)]
        if neighbour != self.reference and poses[neighbour].is_ok:
            chained = self.pair(name, neighbour)
            candidates.append((chained, chained.transform.then(poses[neighbour].transform), neighbour))
        convincing = [one for one in candidates if one[0].is_convincing]
        pair, transform, to = max(convincing or candidates, key=lambda one: one[0].margin)
        quality = self._quality(name, to, pair)
        if len(candidates) > 1:
            points = self._view(name).centre_um + self._view(name).radius_um * _CROSS
            apart = candidates[0][1].apply(points) - candidates[1][1].apply(points)
            quality["cycle_um"] = float(np.linalg.norm(apart, axis=1).mean())
        status = "registered" if convincing else "failed"
        stage = pair.stage
        if "ants" in self.stages and convincing:
            from insignia.spatial.registration.ants import deform

            deformed = deform(self.stack[name], self.stack[to], pair.transform)
            if deformed is not None:
                transform, stage = deformed.then(poses[to].transform), "ants"
        return Pose(transform, status, stage=stage, quality=quality)

    def pair(self, moving: str, fixed: str) -> PairResult:
        """Register two sections."""
        first, second = self._view(moving), self._view(fixed)
        if (first.stain is None) != (second.stain is None):
            # a picture's tissue and the area of spots are not the same thing: compare what both have
            first, second = (replace(view, stain=None) for view in (first, second))
        return register_pair(first, second, refined="ecc" in self.stages, both_sides=self.mirrored)

    def _quality(self, name: str, to: str, pair: PairResult) -> dict[str, float]:
        largest, smallest = pair.transform.scales
        back = register_pair(self._view(to), self._view(name), start=pair.transform.inverse())
        view = self._view(name)
        points = view.centre_um + view.radius_um * _CROSS
        there = back.transform.apply(pair.transform.apply(points))
        return {
            "ncc": pair.agreement.ncc,
            "iou": pair.agreement.iou,
            "margin": pair.margin,
            "ncc_margin": pair.ncc_margin,
            "iou_margin": pair.iou_margin,
            "scale_max": largest,
            "scale_min": smallest,
            "degrees": pair.transform.degrees,
            "inverse_um": float(np.linalg.norm(there - points, axis=1).mean()),
            "is_mirrored": float(pair.transform.is_mirrored),
        }

    def _neighbour(self, name: str, poses: Mapping[str, Pose]) -> str:
        order = self.stack.names
        placed = [other for other in order if other in poses and poses[other].is_ok]
        return min(placed, key=lambda other: abs(order.index(other) - order.index(name)))

    def _view(self, name: str) -> View:
        if name not in self._views:
            self._views[name] = view_of(self.stack[name], self.stack.pitch_um)
        return self._views[name]


_CROSS = np.array([[0.5, 0.0], [-0.5, 0.0], [0.0, 0.5], [0.0, -0.5]])


def _reference(stack: SectionStack, reference: str | None) -> str:
    if reference is not None:
        return stack[reference].name
    candidates = stack.measured or stack.names
    return candidates[len(candidates) // 2]


def _outwards(stack: SectionStack, reference: str) -> list[str]:
    """Order the sections by their distance in the series from the reference."""
    place = stack.names.index(reference)
    return sorted(stack.names, key=lambda name: abs(stack.names.index(name) - place))


def _given(
    stack: SectionStack, transforms: Mapping[str, Transform], landmarks: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, Transform]:
    twice = sorted(set(transforms) & set(landmarks))
    if twice:
        raise InputError(f"{', '.join(twice)} has both a transform and landmarks; give one of them.")
    found: dict[str, Any] = {stack[name].name: transform for name, transform in transforms.items()}
    return found | {stack[name].name: from_landmarks(*points) for name, points in landmarks.items()}
