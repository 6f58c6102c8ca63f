"""The tissue of a simulated block: smooth fields through all sections, and the outline, known at every point.

Three visible fields decide which of four tissue types prevail, three invisible ones leave no trace in the image and
change slowly from section to section.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

__all__ = ["BLOCK_RADIUS", "TISSUES", "TissueFields"]

TISSUES: Final = ("epithelium", "stroma", "tumour", "adipose")
"""Tissue types, in the order of the columns of a composition."""

BLOCK_RADIUS: Final = 0.46
"""No tissue lies further from the centre than this fraction of the edge."""

_CELLS: Final = 160
_SIGMA_UM: Final = {"visible": 176.0, "invisible": 208.0}
_SIGMA_Z_UM: Final = {"visible": 180.0, "invisible": 360.0}
_GAIN: Final = 1.6
_RADIUS: Final = 0.385
_OUTLINE_Z_UM: Final = 350.0
_OUTLINE_SD: Final = (0.0, 0.03, 0.075, 0.05, 0.03, 0.025, 0.018, 0.012)
"""Standard deviation of the outline's Fourier modes, a fraction of the radius."""


@dataclass(frozen=True, eq=False)
class TissueFields:
    """Fields of one block at the depths of its sections.

    Parameters
    ----------
    size_um
        Edge of the square that the fields fill, in the common frame.
    visible, invisible
        (sections, 3, cells, cells), standardised; rows are y and columns x.
    outline
        (sections, modes, 2) cosine and sine of the outline's Fourier modes.
    """

    size_um: float
    visible: np.ndarray
    invisible: np.ndarray
    outline: np.ndarray

    @classmethod
    def make(cls, z_um: np.ndarray, size_um: float, rng: np.random.Generator) -> "TissueFields":
        """Draw the fields of a block at some depths."""
        visible, invisible = (
            _smooth_fields(z_um, size_um, _SIGMA_UM[kind], _SIGMA_Z_UM[kind], rng) for kind in ("visible", "invisible")
        )
        modes = rng.normal(size=(len(z_um), len(_OUTLINE_SD), 2)) * np.array(_OUTLINE_SD)[:, None]
        outline = np.tensordot(_along_z(z_um, _OUTLINE_Z_UM), modes, axes=1)
        return cls(size_um, visible, invisible, outline)

    def composition(self, section: int, points_um: np.ndarray) -> np.ndarray:
        """Fractions of the tissue types at points of the common frame, (points, 4); rows add up to 1."""
        level = _GAIN * self._sample(self.visible[section], points_um)
        level = np.column_stack([level, np.zeros(len(level))])
        level = np.exp(level - level.max(axis=1, keepdims=True))
        fractions: np.ndarray = level / level.sum(axis=1, keepdims=True)
        return fractions

    def hidden(self, section: int, points_um: np.ndarray) -> np.ndarray:
        """Invisible fields at points of the common frame, (points, 3)."""
        return self._sample(self.invisible[section], points_um)

    def margin_um(self, section: int, points_um: np.ndarray) -> np.ndarray:
        """How far points of the common frame lie inside the outline, (points,); negative outside."""
        x, y = (np.asarray(points_um) - self.size_um / 2).T
        angle = np.arctan2(y, x)
        turns = angle[:, None] * np.arange(self.outline.shape[1])
        bulge = np.cos(turns) @ self.outline[section, :, 0] + np.sin(turns) @ self.outline[section, :, 1]
        radius = self.size_um * np.minimum(_RADIUS * (1 + bulge), BLOCK_RADIUS)
        margin: np.ndarray = radius - np.hypot(x, y)
        return margin

    def _sample(self, fields: np.ndarray, points_um: np.ndarray) -> np.ndarray:
        x, y = np.asarray(points_um).T * (fields.shape[-1] / self.size_um) - 0.5
        return np.column_stack([ndimage.map_coordinates(field, [y, x], order=1, mode="nearest") for field in fields])


def _smooth_fields(
    z_um: np.ndarray, size_um: float, sigma_um: float, sigma_z_um: float, rng: np.random.Generator
) -> np.ndarray:
    """Three independent Gaussian fields, (sections, 3, cells, cells), each standardised over the block."""
    sigma = sigma_um / size_um * _CELLS
    pad = int(np.ceil(3 * sigma))
    noise = rng.standard_normal((len(z_um), 3, _CELLS + 2 * pad, _CELLS + 2 * pad), dtype=np.float32)
    smooth = ndimage.gaussian_filter(noise, (0, 0, sigma, sigma), mode="wrap", truncate=3.0)
    smooth = smooth[..., pad : pad + _CELLS, pad : pad + _CELLS].astype(np.float64)
    fields = np.tensordot(_along_z(z_um, sigma_z_um), smooth, axes=1)
    fields -= fields.mean(axis=(0, 2, 3), keepdims=True)
    standardised: np.ndarray = fields / fields.std(axis=(0, 2, 3), keepdims=True)
    return standardised


def _along_z(z_um: np.ndarray, sigma_um: float) -> np.ndarray:
    """(sections, sections), turns independent draws into draws of a white noise smoothed over `sigma_um` in depth."""
    distance = z_um[:, None] - z_um[None, :]
    return np.linalg.cholesky(np.exp(-((distance / (2 * sigma_um)) ** 2)) + 1e-6 * np.eye(len(z_um)))
