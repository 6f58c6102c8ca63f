"""Deformation by ANTs, as an option (extra ``[ants]``); at the distance of spots it was seen to bring nothing."""

import tempfile

import numpy as np

from insignia.core.optional import need
from insignia.data import Section, Transform
from insignia.data.bend import Bend
from insignia.data.warp import warp
from insignia.spatial.registration.quality import agreement
from insignia.spatial.registration.views import WORKING_UM, view_of

__all__ = ["deform"]


def deform(moving: Section, fixed: Section, start: Transform) -> Transform | None:
    """Bend a registered section onto another with ANTs' SyN, and keep that only if they agree better.

    Parameters
    ----------
    moving, fixed
        Sections with pictures.
    start
        Map from the moving to the fixed section.

    Returns
    -------
    The map with its bend; `None` without pictures, if the plane would fold, or if nothing improved.
    """
    ants = need("ants", extra="ants", purpose="Deforming sections")
    if moving.image is None or fixed.image is None:
        return None
    first, second = view_of(moving, WORKING_UM), view_of(fixed, WORKING_UM)
    assert first.stain is not None
    assert second.stain is not None
    moved = warp(first.stain, first.um, start, shape=second.stain.shape, to_um_per_px=second.um)
    pictures = [ants.from_numpy(picture.T.astype(np.float32)) for picture in (second.stain, moved)]
    with tempfile.TemporaryDirectory() as folder:
        done = ants.registration(
            *pictures, type_of_transform="SyNOnly", outprefix=f"{folder}/", initial_transform="identity"
        )
        field = ants.image_read(done["invtransforms"][-1]).numpy()
    bend = Bend(field.transpose(1, 0, 2) * second.um, (0.5 * second.um, 0.5 * second.um), second.um)
    if bend.smallest_jacobian <= 0:
        return None
    bent = Transform(start.matrix, (*start.bends, bend))
    levels = first.level(16, 32), second.level(16, 32)
    return bent if agreement(*levels, bent).score > agreement(*levels, start).score else None
