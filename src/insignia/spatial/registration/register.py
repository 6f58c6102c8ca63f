"""Register a stack: every section to its neighbours and to the reference, and all pairs solved together."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from insignia.core.errors import InputError, RegistrationWarning
from insignia.core.progress import progress
from insignia.data import Pose, SectionStack, Transform
from insignia.spatial.registration.landmarks import from_landmarks
from insignia.spatial.registration.poses import Pairs, pose_all

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

    Every section is registered to its two neighbours on the way to the reference and to the reference itself. The
    tissue of one is turned through the whole circle over that of the other, every rotation is refined, and the best
    must agree clearly better than the others do; a stage is kept only if it improves the agreement. Poses follow from
    all convincing pairs at once, by least squares. Sections without a picture are registered by the area that their
    spots cover.

    Parameters
    ----------
    stack
        Sections with pictures, spots, or both.
    reference
        Section whose frame becomes common; `None` takes the measured section in the middle, or the middle one.
    stages
        ``"mask"``, rotation and shift of the tissue; ``"ecc"``, an affine map by stain and outline, and one by one for
        the pieces of a torn section (kept as stage ``"pieces"``); ``"ants"``, deformation by ANTs (extra ``[ants]``).
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
    The stack with a pose for every section: status ``"reference"``, ``"registered"``, ``"given"`` or ``"failed"`` with
    a note that says why, and quality figures, of the pair that agrees best: correlation of haematoxylin within the
    overlap (``ncc``), ``iou`` of the tissues, ``margin`` over the best wrong pose and ``outline_margin`` likewise for
    the overlap alone, ``scale_max``, ``scale_min``, ``degrees``, ``is_mirrored``; ``inverse_um``, how far there and
    back leads from a point, by affine maps alone; and ``cycle_um``, by how much the pairs of a section contradict each
    other.

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
    placed = {name: transform for name, transform in given.items() if name != fixed}
    placed[fixed] = Transform.identity()
    pairs = Pairs(stack, refined="ecc" in stages, mirrored=mirrored)
    wanted = _wanted(stack, fixed, placed)
    with progress("registering sections", len(wanted), show=show_progress) as advance:
        for moving, other in wanted:
            pairs.register(moving, other)
            advance(1)
    poses = pose_all(pairs, placed, reference=fixed, deform="ants" in stages)
    _warn(stack, poses)
    return stack.with_sections({name: replace(stack[name], pose=pose) for name, pose in poses.items()})


def _wanted(stack: SectionStack, reference: str, placed: Collection[str]) -> list[tuple[str, str]]:
    """Pair each section with its two neighbours towards the reference and with the reference itself."""
    order = stack.names
    centre = order.index(reference)
    wanted = []
    for place, name in enumerate(order):
        if name in placed:
            continue
        step = 1 if place < centre else -1
        partners = {place + step, place + 2 * step if abs(place - centre) > 1 else place + step, centre}
        # given poses on the far side may be nearer than the reference
        partners |= {order.index(other) for other in placed if abs(order.index(other) - place) <= 2}
        wanted += [(name, order[partner]) for partner in sorted(partners)]
    return wanted


def _warn(stack: SectionStack, poses: Mapping[str, Pose]) -> None:
    failed = [f"{name} ({pose.note})" for name, pose in poses.items() if not pose.is_ok]
    if not failed:
        return
    warnings.warn(
        RegistrationWarning(
            f"{len(failed)} of {len(stack)} sections could not be registered: {', '.join(failed)}. Their poses are the "
            "best that were found and must not be trusted. Look at the overlay figures; give transforms or landmarks, "
            "pass mirrored=True if sections may lie upside down, or leave them out."
        ),
        stacklevel=3,
    )


def _reference(stack: SectionStack, reference: str | None) -> str:
    if reference is not None:
        return stack[reference].name
    candidates = stack.measured or stack.names
    return candidates[len(candidates) // 2]


def _given(
    stack: SectionStack, transforms: Mapping[str, Transform], landmarks: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> dict[str, Transform]:
    twice = sorted(set(transforms) & set(landmarks))
    if twice:
        raise InputError(f"{', '.join(twice)} has both a transform and landmarks; give one of them.")
    found: dict[str, Any] = {stack[name].name: transform for name, transform in transforms.items()}
    return found | {stack[name].name: from_landmarks(*points) for name, points in landmarks.items()}
