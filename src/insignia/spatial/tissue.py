"""Find the tissue on a picture of a section.

Stained tissue differs from the slide by colour and by texture: the mask is cut where their product does. Shadows, dust
and frames of the slide have texture without colour, smears of eosin have colour without texture, and pens have colours
that no haematoxylin or eosin has.
"""

from typing import Final

import numpy as np

from insignia.core.errors import InputError
from insignia.core.optional import need

__all__ = ["tissue_mask"]

_WORKING_UM: Final = 12.0
"""Micrometres per pixel at which tissue is looked for: a nucleus and its surroundings become one colour."""

_MIN_CHROMA: Final = 0.02
"""Optical density; a picture whose 99th percentile lies below it has no colours to go by."""


def tissue_mask(
    rgb: np.ndarray,
    um_per_px: float,
    *,
    close_holes: bool = True,
    min_area_um2: float = 40_000.0,
    min_share: float = 0.02,
) -> np.ndarray:
    """Find the tissue on a bright-field picture.

    Parameters
    ----------
    rgb
        (height, width, 3) uint8.
    um_per_px
        Micrometres per pixel.
    close_holes
        Whether everything inside an outline counts as tissue. If not, only holes below a quarter of `min_area_um2` are
        closed, the gaps between nuclei.
    min_area_um2
        Smaller pieces are dust or marks of the slide.
    min_share
        Pieces smaller than this share of the largest are left out too.

    Returns
    -------
    (height, width) bool; all `False` where there is no tissue.

    Raises
    ------
    InputError
        The picture is not (height, width, 3) of uint8, or the scale is not positive.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise InputError(f"A tissue mask needs (height, width, 3) of uint8, found {rgb.shape} {rgb.dtype}.")
    if not um_per_px > 0:
        raise InputError(f"um_per_px must be positive, found {um_per_px}.")
    cv2 = need("cv2", extra="spatial", purpose="Finding tissue")
    shrink = min(1.0, um_per_px / _WORKING_UM)
    small = np.ascontiguousarray(rgb)
    if shrink < 1:
        size = [max(1, round(n * shrink)) for n in rgb.shape[1::-1]]
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    mask = _foreground(small)
    area = (um_per_px / shrink) ** 2
    mask = _clean(mask, min_area_um2 / area, min_share, np.inf if close_holes else 0.25 * min_area_um2 / area)
    full = cv2.resize(mask.astype(np.uint8), rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    found: np.ndarray = full.astype(bool)
    return found


def _foreground(rgb: np.ndarray) -> np.ndarray:
    """Cut where colour times texture falls into two groups; (height, width) bool."""
    import cv2

    filters = need("skimage.filters", extra="spatial", purpose="Finding tissue")

    grey = rgb.mean(axis=2)
    is_slide = _slide(rgb, grey)
    slide = np.median(rgb[is_slide], axis=0)
    density = cv2.GaussianBlur(-np.log10((rgb + 1.0) / (slide + 1.0)), (0, 0), 1.2)
    chroma = density.max(axis=2) - density.min(axis=2)
    pen = _is_pen(density, chroma)
    if np.percentile(chroma, 99) < _MIN_CHROMA:
        chroma = density.mean(axis=2).clip(0)  # a grey picture: darkness is all there is
    texture = np.sqrt(cv2.GaussianBlur((grey - cv2.GaussianBlur(grey, (0, 0), 2)) ** 2, (0, 0), 2))
    # smooth colour counts for little: three times the slide's own texture counts half
    signal = np.sqrt(chroma * texture / (texture + 3 * max(0.3, float(np.median(texture[is_slide])))))
    if np.ptp(signal) < 1e-6 or np.percentile(signal, 99.9) ** 2 < _MIN_CHROMA / 4:
        return np.zeros(grey.shape, dtype=bool)
    found = signal > filters.threshold_otsu(np.where(pen, 0, signal))
    # a picture that is mostly "pen" is a stain of another kind
    mask: np.ndarray = found & ~pen if (found & pen).sum() < 0.5 * found.sum() else found
    return mask


def _slide(rgb: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """Pixels of the empty slide: the most frequent brightness among bright, nearly colourless ones."""
    pale = (grey > 0.6 * np.percentile(grey, 99)) & (np.ptp(rgb, axis=2) < 40)
    if pale.mean() < 0.005:
        brightest: np.ndarray = grey >= np.percentile(grey, 99)
        return brightest
    counts = np.convolve(np.bincount(grey[pale].astype(int), minlength=256), np.ones(5), "same")
    near: np.ndarray = pale & (np.abs(grey - counts.argmax()) < 4)
    return near


def _is_pen(density: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Saturated colours that neither haematoxylin nor eosin has, with a rim of two pixels."""
    import cv2

    red, green, blue = np.moveaxis(density, 2, 0)
    cold = (0.78 * red > green) & (chroma > 0.25)
    yellow = (0.4 * blue > green) & (chroma > 0.25)
    scarlet = (green > 0.9) & (blue > 0.7 * green) & (red < 0.35 * green)
    marks = (cold | yellow | scarlet).astype(np.uint8)
    pen: np.ndarray = cv2.dilate(marks, np.ones((5, 5), np.uint8)).astype(bool)
    return pen


def _clean(mask: np.ndarray, min_area: float, min_share: float, max_hole: float) -> np.ndarray:
    """Take away small pieces and close holes; areas in pixels."""
    import cv2

    cross = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, cross).astype(bool)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA].astype(float)
    areas[0] = 0
    keep: np.ndarray = areas >= max(min_area, min_share * areas.max(), 1)
    mask = keep[labels]
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    left, top, width, height, area = stats[:, :5].T
    is_open = (left == 0) | (top == 0) | (left + width == mask.shape[1]) | (top + height == mask.shape[0])
    fill = ~is_open & (area <= max_hole)
    fill[0] = False  # the tissue itself
    closed: np.ndarray = mask | fill[labels]
    return closed
