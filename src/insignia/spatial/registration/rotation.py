"""First guess: turn the tissue of one section through the whole circle over that of another."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from insignia.data.transform import Transform
from insignia.spatial.registration.draw import drawn_in
from insignia.spatial.registration.views import View

__all__ = ["Start", "rotation_search"]

STEP_DEGREES: Final = 3
_GRID: Final = 64


@dataclass(frozen=True, eq=False)
class Start:
    """A rigid guess.

    Parameters
    ----------
    degrees
        Rotation.
    transform
        Rotation and the shift that is best with it.
    overlap
        Intersection over union of the two tissues.
    """

    degrees: float
    transform: Transform
    overlap: float


def rotation_search(moving: View, fixed: View, *, mirrored: bool = False) -> list[Start]:
    """Find for each rotation the shift under which the tissues overlap most.

    Parameters
    ----------
    moving, fixed
        Two sections.
    mirrored
        Turn the moving one over first.

    Returns
    -------
    One guess every 3 degrees. All shifts of a rotation are tried at once, by Fourier transform.
    """
    import cv2

    flip = _flip(moving) if mirrored else Transform.identity()
    centre = flip.apply(moving.centre_um[None])[0]
    um = 3.2 * max(moving.radius_um, fixed.radius_um) / _GRID
    middle = _GRID * um / 2
    still = _drawn(fixed, Transform.rigid(0, middle - fixed.centre_um), um)
    turned = _drawn(moving, flip.then(Transform.rigid(0, middle - centre)), um)
    size = (2 * _GRID, 2 * _GRID)
    spectrum, area = np.fft.rfft2(still, size), still.sum()
    starts = []
    for degrees in range(0, 360, STEP_DEGREES):
        matrix = cv2.getRotationMatrix2D(((_GRID - 1) / 2, (_GRID - 1) / 2), -degrees, 1.0)
        now = cv2.warpAffine(turned, matrix, (_GRID, _GRID))
        both = np.fft.irfft2(spectrum * np.conj(np.fft.rfft2(now, size)), size)
        overlap = both / (area + now.sum() - both)
        row, column = np.unravel_index(overlap.argmax(), overlap.shape)
        shift = (np.array([column, row]) + _GRID) % (2 * _GRID) - _GRID
        rigid = Transform.rigid(degrees, fixed.centre_um - centre + shift * um, about_um=centre)
        starts.append(Start(float(degrees), flip.then(rigid), float(overlap.max())))
    return starts


def _flip(view: View) -> Transform:
    """Turn over about the vertical through the centre of the tissue."""
    return Transform(np.array([[-1.0, 0.0, 2 * view.centre_um[0]], [0.0, 1.0, 0.0]]))


def _drawn(view: View, transform: Transform, um: float) -> np.ndarray:
    mask = view.mask.astype(np.float32)
    grid = (_GRID, _GRID)
    return drawn_in(mask, view.um, view.origin_um, transform, shape=grid, to_um=um, to_origin_um=(0.0, 0.0))
