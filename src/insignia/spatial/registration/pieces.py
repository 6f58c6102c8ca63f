"""Torn sections: the largest piece follows the affine map, and the others are put back beside it.

One affine map cannot follow both sides of a tear. A piece of tissue that lies apart moves as a whole: it is turned and
shifted, but stretched like the rest. Points are first moved as if the tear had closed, and then carried on.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from insignia.data.bend import Bend
from insignia.data.transform import Transform
from insignia.spatial.registration.quality import Agreement, agreement_of_pieces, drawn_on
from insignia.spatial.registration.refine import RefineOptions, Refiner
from insignia.spatial.registration.views import Level

__all__ = ["Mended", "mend", "pieces_of"]

_SHARE: Final = 0.1
"""Of the tissue that a piece must have: smaller ones do not tell where they belong."""

_MOTION: Final = (100.0, 3.0)
"""Shift in micrometres and turn in degrees that pieces are expected to have."""

_BRIDGE_PX: Final = 3
_ROUNDS: Final = 2

_NEAR_UM: Final = 200.0
_WIDER: Final = (1.5, 2.0, 3.0)
"""Widths over which one piece's motion turns into another's, in units of that motion; below 1 the plane would fold."""

_LEAST_AREA: Final = 0.25


def pieces_of(level: Level) -> list[Level]:
    """Split a section into its pieces, the largest first; those with too little tissue are left out.

    Pieces that touch in a narrow bridge count as apart.
    """
    import cv2

    mask = level.mask.astype(np.uint8)
    for width in range(_BRIDGE_PX + 1):
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
        _, labels, found, _ = cv2.connectedComponentsWithStats(cv2.erode(mask, kernel))
        areas = found[1:, cv2.CC_STAT_AREA]
        large = [1 + index for index in np.argsort(-areas, kind="stable") if areas[index] >= _SHARE * areas.sum()]
        if len(large) > 1:
            break
    to_core = [cv2.distanceTransform((labels != label).astype(np.uint8), cv2.DIST_L2, 5) for label in large]
    nearest = np.argmin(to_core, axis=0)
    return [level.only((nearest == index) & (to_core[index] <= width + 2)) for index in range(len(large))]


@dataclass(frozen=True, eq=False)
class Mended:
    """A section put together from its pieces.

    Parameters
    ----------
    transform
        Affine map of the largest piece.
    bend
        Of the moving section's frame, done before that map: puts the other pieces in their places.
    agreement
        Of the pieces, each under its own map.
    """

    transform: Transform
    bend: Bend
    agreement: Agreement


def mend(moving: Level, fixed: Level, whole: Transform, options: RefineOptions) -> Mended | None:
    """Register the pieces of a section one by one.

    Parameters
    ----------
    moving, fixed
        The two sections at one resolution.
    whole
        Map of the section as a whole, to start from.
    options
        How the largest piece is refined; the others are only turned and shifted.

    Returns
    -------
    `None` if the section is in one piece, or if no smooth map closes the tear.
    """
    pieces = pieces_of(moving)
    if len(pieces) < 2:
        return None
    # following the largest piece freely stretches it into the gap, holding its stretch keeps what the gap did to it
    starts = [refined(pieces[0], fixed, whole, options) for refined in (_refined, _moved)]
    found = [_assembled(pieces, fixed, whole, start, options) for start in starts]
    return max((one for one in found if one is not None), key=lambda one: one.agreement.iou, default=None)


def _assembled(
    pieces: list[Level], fixed: Level, whole: Transform, main: Transform, options: RefineOptions
) -> Mended | None:
    """Place the smaller pieces beside the largest, refine them all together, and so on."""
    motions = [_moved(piece, fixed, whole, options).then(main.inverse()) for piece in pieces[1:]]
    for _ in range(_ROUNDS):
        main = _refined(_together(pieces, motions), fixed, main, options)
        starts = [motion.then(main) for motion in motions]
        found = [_moved(piece, fixed, start, options) for piece, start in zip(pieces[1:], starts, strict=True)]
        motions = [pose.then(main.inverse()) for pose in found]
    bend = _closing(pieces, motions)
    if bend is None:
        return None
    poses = [main, *(motion.then(main) for motion in motions)]
    return Mended(main, bend, agreement_of_pieces(list(zip(pieces, poses, strict=True)), fixed))


def _moved(piece: Level, fixed: Level, start: Transform, options: RefineOptions) -> Transform:
    """Turn and shift a piece."""
    return _refined(piece, _around(piece, fixed, start), start, replace(options, motion=_MOTION))


def _together(pieces: list[Level], motions: list[Transform]) -> Level:
    """Draw the section with its smaller pieces moved."""
    first = pieces[0]
    mask, inner, stain = first.mask, first.inner, first.stain
    for piece, motion in zip(pieces[1:], motions, strict=True):
        here = drawn_on(piece.mask, piece, first, motion)
        mask, inner = mask | here, inner | drawn_on(piece.inner, piece, first, motion)
        if stain is not None and piece.stain is not None:
            stain = np.where(here, drawn_on(piece.stain, piece, first, motion), stain)
    return first.shown(mask, inner, stain)


def _refined(piece: Level, fixed: Level, start: Transform, options: RefineOptions) -> Transform:
    refiner = Refiner.make(piece, fixed, options)
    found = None if refiner is None else refiner.refine(start)
    return start if found is None else found


def _around(piece: Level, fixed: Level, transform: Transform) -> Level:
    """Keep of the fixed section what lies under a piece."""
    return replace(fixed, mask=fixed.mask & drawn_on(piece.mask, piece, fixed, transform))


def _closing(pieces: list[Level], motions: list[Transform]) -> Bend | None:
    """Move the smaller pieces within the moving section's frame, and what lies between them smoothly."""
    first = pieces[0]
    step = 2
    rows, columns = (np.arange(0, size, step) for size in first.mask.shape)
    x, y = np.meshgrid(columns, rows)
    points = (np.stack([x, y], axis=-1) + 0.5) * first.um + first.origin_um
    inside = np.stack([piece.outline_um[::step, ::step] for piece in pieces])
    moved = np.stack([motion.apply(points.reshape(-1, 2)).reshape(points.shape) - points for motion in motions])
    lead = [inside[1 + index] - np.delete(inside, 1 + index, axis=0).max(axis=0) for index in range(len(motions))]
    tissue = inside.max(axis=0) > 0
    reach = [
        np.linalg.norm(by, axis=-1)[tissue & (np.abs(ahead) < _NEAR_UM)].max(initial=step * first.um)
        for by, ahead in zip(moved, lead, strict=True)
    ]
    origin = (float(points[0, 0, 0]), float(points[0, 0, 1]))
    for wider in _WIDER:
        shares = [np.clip(0.5 + ahead / (2 * wider * far), 0, 1) for ahead, far in zip(lead, reach, strict=True)]
        displacement = sum(share[..., None] * by for share, by in zip(shares, moved, strict=True))
        bend = Bend(np.asarray(displacement), origin, step * first.um)
        if bend.smallest_jacobian > _LEAST_AREA:
            return bend
    return None
