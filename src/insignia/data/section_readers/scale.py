"""Micrometres per pixel of a section: stated, or from the slope of its array, or from its lattice, or its image."""

from typing import Final

import numpy as np

from insignia.core.errors import InputError
from insignia.data.array_geometry import ArrayFit, SpotArray, check_pitch, fit_array
from insignia.data.lattice import fit_lattice
from insignia.data.pixels import Pixels
from insignia.data.section_readers.raw import RawSection

__all__ = ["find_scale"]

_STRETCHED: Final = 1.03
_TOLERATED: Final = 0.25


def find_scale(
    raw: RawSection, image: Pixels | None, shrink: float, platform: SpotArray, stated: float | None, notes: list[str]
) -> float:
    """Find the micrometres per pixel of the scan on which the spots were placed.

    Parameters
    ----------
    raw
        The section.
    image, shrink
        Its picture, and the pixels of the scan along one pixel of it.
    platform
        Whose array the spots lie on.
    stated
        What the caller states.
    notes
        What is noticed is added here.

    Raises
    ------
    InputError
        What is stated cannot be right, or nothing says what the scale is.
    """
    fit = None if raw.array is None else fit_array(raw.array, raw.pixels, platform.step_um)
    if fit is not None:
        _notice(fit, notes)
    fitted, how = (
        (fit.um_per_px, "the slope of pixels against array coordinates") if fit else _by_lattice(raw, platform)
    )
    if stated is not None:
        if not 0 < stated < np.inf:
            raise InputError(f"um_per_px of section {raw.name!r} must be positive, found {stated}.")
        if fitted is not None:
            check_pitch(raw.name, stated, fitted, platform)
        return float(stated)
    written = None if image is None or image.um_per_px is None else image.um_per_px / shrink
    if fitted is not None:
        notes.append(
            f"um_per_px = {fitted:.4g}, estimated from {how} ({platform.name}, {platform.pitch_um:.4g} um from spot to "
            "spot)"
        )
        if written is not None and abs(written / fitted - 1) > _TOLERATED:
            notes.append(
                f"the image file says um_per_px = {written:.4g}, which does not fit the distance of the spots and is "
                "not used; state um_per_px to decide"
            )
        return fitted
    if written is not None:
        notes.append(f"um_per_px = {written:.4g}, as the image file says")
        return written
    raise InputError(
        f"The scale of section {raw.name!r} is not known: it cannot be estimated from its {len(raw.spots)} spots "
        f"{'without' if raw.array is None else 'and their'} array coordinates, and no image states it. "
        f"Give um_per_px={{{raw.name!r}: ...}}."
    )


def _notice(fit: ArrayFit, notes: list[str]) -> None:
    if fit.is_mirrored:
        notes.append(
            "the array of spots lies on the image as in a mirror: is the image flipped, or are x and y, or rows and "
            "columns, exchanged in the table of positions?"
        )
    if fit.stretch > _STRETCHED:
        notes.append(
            f"the image is stretched: the scales of its sides differ by {fit.stretch - 1:.0%}, and their mean is used"
        )


def _by_lattice(raw: RawSection, platform: SpotArray) -> tuple[float | None, str]:
    if raw.array is not None or not platform.is_stated:
        return None, ""
    try:
        return platform.pitch_um / fit_lattice(raw.pixels).pitch, "the lattice of the spots"
    except InputError:
        return None, ""
