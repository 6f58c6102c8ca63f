"""What registration sees of a section: where its tissue is, and how much haematoxylin, at several resolutions."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from insignia.core.errors import InputError
from insignia.core.optional import need
from insignia.data import Section
from insignia.spatial.tissue import tissue_mask

__all__ = ["Level", "View", "view_of"]

WORKING_UM: Final = 8.0
"""Micrometres per pixel of the finest level: a nucleus is one pixel."""

_BROAD: Final = 0.35
"""In radii of the tissue: what changes more slowly is taken out of the stain."""

_HIDDEN_UM: Final = 12.0
"""Blur under which single nuclei cannot be mistaken for ink."""

_LONGEST_SIDE: Final = 32_000
"""Pixels of what spots are drawn on, which OpenCV can still resize."""

_STAINS: Final = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical density of haematoxylin, eosin and DAB in red, green and blue: Ruifrok & Johnston 2001."""


@dataclass(frozen=True, eq=False)
class Level:
    """A section at one resolution.

    Parameters
    ----------
    um
        Micrometres per pixel.
    origin_um
        Top-left corner in the section's frame.
    mask
        (rows, columns) whether there is tissue.
    outline_um
        (rows, columns) float32, distance to the outline of the tissue, positive inside.
    stain
        (rows, columns) float32, smoothed haematoxylin, standardised over the tissue; `None` without a picture.
    inner
        (rows, columns) where the stain can be compared: tissue without its border and without what hides it.
    """

    um: float
    origin_um: tuple[float, float]
    mask: np.ndarray
    outline_um: np.ndarray
    stain: np.ndarray | None
    inner: np.ndarray

    def only(self, part: np.ndarray) -> "Level":
        """Keep part of the tissue, (rows, columns) bool."""
        mask = self.mask & part
        return self.shown(mask, self.inner & _eroded(mask), self.stain)

    def shown(self, mask: np.ndarray, inner: np.ndarray, stain: np.ndarray | None) -> "Level":
        """Show other tissue in the same raster."""
        return replace(self, mask=mask, outline_um=_outline(mask, self.um), inner=inner, stain=stain)


@dataclass(frozen=True, eq=False)
class View:
    """A section as registration sees it.

    Parameters
    ----------
    name
        Of the section.
    um
        Micrometres per pixel.
    origin_um
        Top-left corner in the section's frame.
    mask
        (rows, columns) whether there is tissue.
    stain
        (rows, columns) float32 haematoxylin; `None` without a picture.
    hidden
        (rows, columns) tissue under ink, folds and dirt; `None` without a picture.
    """

    name: str
    um: float
    origin_um: tuple[float, float]
    mask: np.ndarray
    stain: np.ndarray | None
    hidden: np.ndarray | None = None

    @cached_property
    def centre_um(self) -> np.ndarray:
        """(x, y) of the centre of the tissue."""
        rows, columns = np.nonzero(self.mask)
        return np.array([columns.mean() + 0.5, rows.mean() + 0.5]) * self.um + self.origin_um

    @property
    def radius_um(self) -> float:
        """Radius of a disc as large as the tissue."""
        return float(np.sqrt(self.mask.sum() / np.pi)) * self.um

    def level(self, um: float, blur_um: float) -> Level:
        """Average to a resolution, and smooth the stain over the tissue only."""
        import cv2

        share = self._shrunk(self.mask, um)
        mask = share > 0.5
        if self.stain is None or not mask.any():
            return Level(um, self.origin_um, mask, _outline(mask, um), None, _eroded(mask))
        seen = share if self.hidden is None else self._shrunk(self.mask & ~self.hidden, um)
        blur, broad = blur_um / um, _BROAD * self.radius_um / um
        weight = cv2.GaussianBlur(seen, (0, 0), blur)
        stain = self._shrunk(self.stain, um)
        fine = cv2.GaussianBlur(stain * seen, (0, 0), blur) / np.maximum(weight, 1e-3)
        # the slow part of a stain is as often a wash or a lamp as it is tissue
        slow = _slowly(stain * seen, broad) / np.maximum(_slowly(seen, broad), 1e-3)
        stain = fine - slow
        inner = _eroded(mask & (seen > 0.5))
        known = inner if inner.any() else mask
        stain = ((stain - stain[known].mean()) / (stain[known].std() + 1e-6)).clip(-4, 4)
        stain[weight <= 0.05] = 0
        return Level(um, self.origin_um, mask, _outline(mask, um), stain, inner)

    def _shrunk(self, picture: np.ndarray, um: float) -> np.ndarray:
        import cv2

        size = [max(1, round(n * self.um / um)) for n in self.mask.shape[::-1]]
        return np.asarray(cv2.resize(picture.astype(np.float32), size, interpolation=cv2.INTER_AREA))


def view_of(section: Section, pitch_um: float) -> View:
    """Look at a section's picture, or at the area that its spots cover where it has none.

    Raises
    ------
    InputError
        It has neither tissue on its picture nor enough spots.
    """
    need("cv2", extra="spatial", purpose="Registering sections")
    if section.image is None:
        return _spot_view(section, pitch_um)
    um = max(WORKING_UM, section.image.um_per_px)
    rgb = section.image.at(um)
    um = section.image.size_um[0] / rgb.shape[1]
    mask = tissue_mask(rgb, um)
    if not mask.any():
        raise InputError(
            f"No tissue was found on the picture of section {section.name!r}. Look at it; give its transform, or leave "
            "the picture out to register by its spots."
        )
    stain = _haematoxylin(rgb, mask)
    return View(section.name, um, (0.0, 0.0), mask, stain, _hidden(stain, mask, um))


def _spot_view(section: Section, pitch_um: float) -> View:
    import cv2

    points = section.points_um
    if len(points) < 3:
        raise InputError(
            f"Section {section.name!r} has no picture and {len(points)} spots, which is too little to register it by. "
            "Give its transform."
        )
    um, pad = pitch_um / 8, 2 * pitch_um
    origin = points.min(axis=0) - pad
    shape = np.ceil((points.max(axis=0) + pad - origin) / um)[::-1]
    if shape.max() > _LONGEST_SIDE:
        far = points[np.abs(points - np.median(points, axis=0)).max(axis=1).argmax()]
        raise InputError(
            f"The spots of section {section.name!r} are {pitch_um:.4g} um apart and lie {shape.max() * um:.4g} um "
            f"wide, which is more than can be drawn; the farthest is at ({far[0]:.4g}, {far[1]:.4g}) um. Look at the "
            "table of positions: is one wrong, or the scale?"
        )
    shape = shape.astype(int)
    drawn = np.zeros(shape, dtype=np.uint8)
    for x, y in np.round((points - origin) / um).astype(int):
        cv2.circle(drawn, (int(x), int(y)), round(0.75 * pitch_um / um), 1, -1)
    return View(section.name, um, (float(origin[0]), float(origin[1])), drawn > 0, None)


def _haematoxylin(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Unmix the optical density against the slide, (rows, columns) float32."""
    slide = np.percentile(rgb[~mask], 90, axis=0) if (~mask).any() else np.full(3, 255.0)
    density = -np.log((rgb.astype(np.float32) + 1) / (np.maximum(slide, 64).astype(np.float32) + 1))
    unmix = np.linalg.inv(_STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True)).astype(np.float32)
    return np.ascontiguousarray((density @ unmix)[..., 0])


def _hidden(stain: np.ndarray, mask: np.ndarray, um: float) -> np.ndarray:
    """Find what is far denser than the rest of the tissue: ink, folds, dirt and dried rims; with a border."""
    import cv2

    blur = max(_HIDDEN_UM / um, 0.5)
    weight = np.maximum(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), blur), 0.1)
    smooth = cv2.GaussianBlur(stain * mask, (0, 0), blur) / weight
    middle, high = np.percentile(smooth[mask], [50, 90])
    dense = mask & (smooth > high + 4 * (high - middle))
    border = 2 * round(_HIDDEN_UM / um) + 1
    return np.asarray(cv2.dilate(dense.astype(np.uint8), np.ones((border, border), np.uint8)) > 0)


def _slowly(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Blur widely; at a lower resolution, where it costs little and changes nothing."""
    import cv2

    step = max(1, int(sigma / 4))
    size = [max(1, n // step) for n in picture.shape[::-1]]
    small = cv2.GaussianBlur(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), (0, 0), sigma / step)
    return np.asarray(cv2.resize(small, picture.shape[::-1], interpolation=cv2.INTER_LINEAR))


def _eroded(mask: np.ndarray) -> np.ndarray:
    import cv2

    return np.asarray(cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def _outline(mask: np.ndarray, um: float) -> np.ndarray:
    import cv2

    padded = np.pad(mask, 1).astype(np.uint8)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5)
    return np.asarray((inside - outside)[1:-1, 1:-1] * um, dtype=np.float32)
