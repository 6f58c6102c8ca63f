"""57 numbers a patch, without a network: stains, colours, local patterns, texture of haematoxylin, and nuclei."""

from functools import cache
from typing import Final

import numpy as np

from insignia.core.errors import InputError
from insignia.core.files import sha256_text
from insignia.core.optional import need
from insignia.spatial.features.contract import ImageEncoder, image_encoders
from insignia.spatial.features.kernels import order_statistics, uniform_patterns
from insignia.spatial.features.stains import STAINS, stain_amounts

__all__ = ["COLUMNS", "HandcraftedEncoder"]

_SIDE: Final = 112
_VERSION: Final = "handcrafted 1"
_PERCENTILES: Final = (5, 25, 50, 75, 95)
_COLOURS: Final = ("hue", "saturation", "value")
_RADII: Final = (1, 2)
_SIGMAS: Final = (1, 2, 4)
_MOST_HAEMATOXYLIN: Final = 0.3
_LEAST_NUCLEAR: Final = 12
_SMALLEST_NUCLEUS: Final = 12
_LUMEN: Final = 200

COLUMNS: Final = (
    *(f"{stain}_{what}" for stain in STAINS for what in ("mean", "sd", *(f"p{q:02d}" for q in _PERCENTILES))),
    *(f"{colour}_{what}" for what in ("mean", "sd") for colour in _COLOURS),
    *(f"pattern_r{radius}_{k}" for radius in _RADII for k in (*range(9), "mixed")),
    *(f"texture_s{sigma}_{what}" for sigma in _SIGMAS for what in ("laplacian", "sd")),
    "nuclei_count",
    "nuclei_area_px",
    "nuclei_cover",
    "lumen_share",
)
"""Names of the 57 numbers."""


class HandcraftedEncoder(ImageEncoder):
    """57 numbers a patch of 112 x 112 pixels; deterministic, and free of weights.

    - 21: amounts of haematoxylin, eosin and DAB: mean, standard deviation, percentiles 5, 25, 50, 75 and 95;
    - 6: mean and standard deviation of hue, saturation and value (0 to 255; hue counted from cyan, where stained tissue
      has none, in steps of 2 degrees);
    - 20: shares of the uniform local binary patterns of 8 points at 1 and 2 pixels: by number of brighter points, and
      mixed;
    - 6: haematoxylin, clipped at 0.3 and scaled to 255, blurred with sigma 1, 2 and 4: mean absolute Laplacian, and
      standard deviation;
    - 4: what lies above Otsu's threshold of haematoxylin: number of pieces larger than 12 pixels, their mean area, the
      share of the patch covered; and the share of pixels brighter than 200.

    References
    ----------
    Patterns: Ojala et al. 2002 (doi:10.1109/TPAMI.2002.1017623). Threshold: Otsu 1979
    (doi:10.1109/TSMC.1979.4310076).
    """

    name = "handcrafted"
    fingerprint = sha256_text(f"{_VERSION} {COLUMNS}")
    patch_px = _SIDE
    columns = COLUMNS

    def _encode(self, patches: np.ndarray) -> np.ndarray:
        need("cv2", extra="spatial", purpose="Describing images of sections")
        return np.array([_describe(patch) for patch in patches], dtype=np.float32)


@image_encoders.add("handcrafted", source="insignia")
def _handcrafted(argument: str) -> HandcraftedEncoder:
    if argument:
        raise InputError(f"The handcrafted encoder takes no argument, found {argument!r}.")
    return HandcraftedEncoder()


def _describe(patch: np.ndarray) -> list[float]:
    import cv2

    stains = stain_amounts(patch)
    grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)
    haematoxylin = (np.minimum(stains[0], _MOST_HAEMATOXYLIN) * np.float32(255 / _MOST_HAEMATOXYLIN)).astype(np.uint8)
    return [
        *_distributions(stains.reshape(3, -1)),
        *_colours(patch),
        *(share for radius in _RADII for share in _patterns(grey, radius)),
        *_texture(haematoxylin),
        *_nuclei(haematoxylin),
        np.count_nonzero(grey > _LUMEN) / grey.size,
    ]


def _distributions(stains: np.ndarray) -> list[float]:
    """Mean, standard deviation and percentiles, interpolated as numpy does, of each row."""
    import cv2

    at = np.array(_PERCENTILES) / 100 * (stains.shape[1] - 1)
    below = at.astype(int)
    ranked = np.empty(2 * len(at), dtype=np.float32)
    described = []
    for stain in stains:
        order_statistics(stain, np.stack([below, below + 1], axis=1).ravel(), ranked)
        mean, sd = cv2.meanStdDev(stain)
        described += [mean[0, 0], sd[0, 0], *(ranked[::2] + (ranked[1::2] - ranked[::2]) * (at - below))]
    return described


def _colours(patch: np.ndarray) -> np.ndarray:
    import cv2

    hsv = cv2.cvtColor(patch, cv2.COLOR_RGB2HSV)
    # the circle of hues is cut at cyan: red, where eosin lies, is at 0 and at 180
    hsv[..., 0] = _HUE_FROM_CYAN[hsv[..., 0]]
    mean, sd = cv2.meanStdDev(hsv)
    return np.concatenate([mean.ravel(), sd.ravel()])


def _patterns(grey: np.ndarray, radius: int) -> np.ndarray:
    """Shares of the classes of patterns at one radius; pixels whose circle leaves the patch are left out."""
    inner = int(radius * np.sqrt(0.5))
    rest = radius * np.sqrt(0.5) - inner
    far, mixed = round(rest * rest * 2**16), round(rest * (1 - rest) * 2**16)
    weights = np.array([2**16 - 2 * mixed - far, mixed, far], dtype=np.int32)
    counts = np.zeros(10, dtype=np.int64)
    uniform_patterns(grey, radius, inner, weights, _pattern_classes(), counts)
    shares: np.ndarray = counts / counts.sum()
    return shares


def _texture(haematoxylin: np.ndarray) -> list[float]:
    import cv2

    values = haematoxylin.astype(np.float32)
    found = []
    for sigma in _SIGMAS:
        blurred = cv2.GaussianBlur(values, (0, 0), sigma)
        found += [
            cv2.norm(cv2.Laplacian(blurred, cv2.CV_32F), cv2.NORM_L1) / values.size,
            float(cv2.meanStdDev(blurred)[1][0, 0]),
        ]
    return found


def _nuclei(haematoxylin: np.ndarray) -> tuple[float, float, float]:
    """Count, mean area and cover of what is darker than Otsu's threshold, which is never that of empty glass."""
    import cv2

    threshold, _ = cv2.threshold(haematoxylin, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask = (haematoxylin > max(threshold, _LEAST_NUCLEAR)).view(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_16U)
    areas = stats[1:, cv2.CC_STAT_AREA]
    areas = areas[areas > _SMALLEST_NUCLEUS]
    return len(areas), float(areas.mean()) if len(areas) else 0.0, np.count_nonzero(mask) / mask.size


@cache
def _pattern_classes() -> np.ndarray:
    """(256,): class of eight comparisons: the number of brighter points if they are one arc, otherwise 9."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    return np.where(changes <= 2, bits.sum(axis=1), 9).astype(np.uint8)


_HUE_FROM_CYAN = ((np.arange(256) + 90) % 180).astype(np.uint8)
