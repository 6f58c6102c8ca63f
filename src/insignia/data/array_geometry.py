"""How an array of spots lies on a picture: its physical scale, whether it is mirrored, and what to doubt."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from insignia.core.errors import InputError

__all__ = ["ArrayFit", "SpotArray", "check_pitch", "fit_array"]

_TOLERATED: Final = 0.25
_MIN_SPOTS: Final = 4


@dataclass(frozen=True)
class SpotArray:
    """A platform's regular array.

    Parameters
    ----------
    name
        For messages.
    step_um
        Micrometres per unit of the array coordinates, along x and y.
    pitch_um
        Distance between neighbouring spots.
    is_stated
        Whether the distance is known, and not merely what is usual.
    """

    name: str
    step_um: tuple[float, float]
    pitch_um: float
    is_stated: bool = True

    def with_pitch(self, pitch_um: float | None) -> "SpotArray":
        """Return the array with the distance that a caller states, if one is stated."""
        if pitch_um is None:
            return self
        if not 0 < pitch_um < np.inf:
            raise InputError(f"pitch_um must be positive, found {pitch_um}.")
        share = pitch_um / self.pitch_um
        step_um = (self.step_um[0] * share, self.step_um[1] * share)
        return SpotArray("the array as pitch_um states it", step_um, float(pitch_um))


@dataclass(frozen=True)
class ArrayFit:
    """What the slope of pixels against array coordinates says.

    Parameters
    ----------
    um_per_px
        Micrometres per pixel.
    stretch
        Ratio of the scales of the two sides, at least 1; 1 where pixels are square.
    is_mirrored
        Whether the array appears as in a mirror.
    """

    um_per_px: float
    stretch: float
    is_mirrored: bool


def fit_array(array: np.ndarray, pixels: np.ndarray, step_um: tuple[float, float]) -> ArrayFit | None:
    """Fit an affine map from array coordinates to pixels.

    The slope is right where spots jitter around their places; distances to nearest neighbours are too small then.

    Parameters
    ----------
    array
        (spots, 2) array coordinates, x and y.
    pixels
        (spots, 2) pixels, x and y.
    step_um
        Micrometres per unit of the array coordinates.

    Returns
    -------
    `None` where the spots are too few, or all on one line.
    """
    array, pixels = np.asarray(array, dtype=np.float64), np.asarray(pixels, dtype=np.float64)
    if len(array) < _MIN_SPOTS:
        return None
    design = (array - array.mean(axis=0)) * np.asarray(step_um)
    slopes, _, rank, _ = np.linalg.lstsq(design, pixels - pixels.mean(axis=0), rcond=1e-6)
    px_per_um = np.linalg.norm(slopes, axis=1)
    determinant = float(np.linalg.det(slopes))
    if rank < 2 or abs(determinant) < 1e-12:
        return None
    return ArrayFit(
        um_per_px=float(1 / np.sqrt(abs(determinant))),
        stretch=float(px_per_um.max() / px_per_um.min()),
        is_mirrored=determinant < 0,
    )


def check_pitch(name: str, um_per_px: float, fitted: float, array: SpotArray) -> None:
    """Refuse a stated scale that puts neighbouring spots at a distance that the platform does not have.

    Raises
    ------
    InputError
        The distance is off by more than a quarter.
    """
    pitch = array.pitch_um * um_per_px / fitted
    if abs(pitch / array.pitch_um - 1) > _TOLERATED:
        raise InputError(
            f"With um_per_px={um_per_px:.4g} the spots of section {name!r} lie {pitch:.0f} um apart, but those of "
            f"{array.name} lie {array.pitch_um:.0f} um apart. The spots themselves say um_per_px={fitted:.4g}: leave "
            "um_per_px out to use that, or give pitch_um if the array is another one."
        )
