"""From the places of one section to their features: patch by patch in bounded memory, kept piece by piece."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from insignia.core.files import sha256_array
from insignia.data import SectionImage
from insignia.spatial.features.cache import FeatureCache, image_hash
from insignia.spatial.features.contract import ImageEncoder

__all__ = ["describe_places"]

_KEPT_TOGETHER: Final = 512


def describe_places(
    encoder: ImageEncoder,
    image: SectionImage,
    centres_um: np.ndarray,
    scales_um: Sequence[float],
    *,
    batch_size: int,
    cache: FeatureCache | None,
    advance: Callable[[float], None],
) -> np.ndarray:
    """Describe places of an image at several scales.

    Parameters
    ----------
    centres_um
        (places, 2), in the section's frame.
    scales_um
        Sides of the patches.
    batch_size
        Patches in memory at a time.
    cache
        Where features are kept, 512 places together, so that an interrupted run loses no more than that.
    advance
        Is told the number of patches done.

    Returns
    -------
    (places, scales x columns) float32, scale after scale.
    """
    about: dict[str, Any] = {"encoder": encoder.fingerprint, "patch_px": encoder.patch_px}
    if cache is not None:
        about |= {"image": image_hash(image), "um_per_px": image.um_per_px}
    width = len(encoder.columns)
    values = np.empty((len(centres_um), len(scales_um) * width), dtype=np.float32)
    for number, scale_um in enumerate(scales_um):
        for start in range(0, len(values), _KEPT_TOGETHER):
            piece = centres_um[start : start + _KEPT_TOGETHER]
            key = "" if cache is None else cache.key(**about, scale_um=scale_um, centres=sha256_array(piece))
            found = None if cache is None else cache.get(key, (len(piece), width))
            if found is None:
                found = _encode(encoder, image, piece, scale_um, batch_size)
                if cache is not None:
                    cache.put(key, found)
            values[start : start + len(piece), number * width : (number + 1) * width] = found
            advance(len(piece))
    return values


def _encode(
    encoder: ImageEncoder, image: SectionImage, centres_um: np.ndarray, scale_um: float, batch_size: int
) -> np.ndarray:
    starts = range(0, len(centres_um), batch_size)
    batches = (image.patches(centres_um[start : start + batch_size], scale_um, encoder.patch_px) for start in starts)
    return np.concatenate([encoder.encode(patches) for patches in batches])
