"""How much haematoxylin, eosin and DAB a pixel shows: colour deconvolution of a brightfield image."""

from functools import cache
from typing import Final

import numpy as np

from insignia.spatial.features.kernels import separate_stains

__all__ = ["STAINS", "stain_amounts"]

STAINS: Final = ("haematoxylin", "eosin", "dab")

_RGB_OF_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_DARKEST = 1e-6


def stain_amounts(pixels: np.ndarray) -> np.ndarray:
    """Separate the stains of RGB pixels.

    A stain's amount is its optical density in units of that of a black pixel, ``ln(1e-6)``; amounts below 0 are 0, so
    that empty glass holds about none of each.

    Parameters
    ----------
    pixels
        (..., 3) uint8, contiguous.

    Returns
    -------
    (3, ...) float32: haematoxylin, eosin, DAB.

    References
    ----------
    Ruifrok and Johnston 2001, Anal. Quant. Cytol. Histol. 23:291-299; scaled as scikit-image's `rgb2hed`.
    """
    stains = np.empty((3, *pixels.shape[:-1]), dtype=np.float32)
    separate_stains(pixels.reshape(-1, 3), _table(), stains.reshape(3, -1))
    return stains


@cache
def _table() -> np.ndarray:
    """(3 channels, 256 values, 3 stains): what a value of a channel adds to each stain."""
    density = np.abs(np.log(np.maximum(np.arange(256) / 255, _DARKEST)) / np.log(_DARKEST))
    unmix = np.linalg.inv(_RGB_OF_STAINS)
    table: np.ndarray = (density[None, :, None] * unmix[:, None, :]).astype(np.float32)
    return table
