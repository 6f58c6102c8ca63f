"""Whatever kinds of pixels files hold, as RGB of 8 bits, or a refusal that says why not."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from insignia.core.errors import FileFormatError

__all__ = ["as_rgb", "check_kind", "check_range"]

_TWELVE_BITS: Final = 4096


def check_kind(path: Path | None, dtype: np.dtype[Any], samples: int) -> None:
    """Refuse pixels that cannot be shown as RGB without a decision that only the user can take."""
    if dtype not in (np.dtype(bool), np.dtype(np.uint8), np.dtype(np.uint16)):
        raise FileFormatError(
            f"{path} holds {dtype} pixels; an image of a stained section has 8 or 16 bits without sign. "
            "Rescale it to 8 bits first."
        )
    if samples not in (1, 2, 3, 4):
        raise FileFormatError(
            f"{path} has {samples} channels; a stained section is RGB, RGBA or grey. "
            "From a fluorescence image, choose or blend channels to RGB first."
        )


def as_rgb(pixels: np.ndarray, path: Path | None = None) -> np.ndarray:
    """Return (height, width, 3) uint8 of grey, grey and alpha, RGB or RGBA pixels of 1, 8 or 16 bits.

    What is transparent becomes white, as an empty slide is; 16 bits lose the lower 8.
    """
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    check_kind(path, pixels.dtype, pixels.shape[2])
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    elif pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    colours, alpha = (pixels[:, :, :-1], pixels[:, :, -1:]) if pixels.shape[2] in (2, 4) else (pixels, None)
    if alpha is not None and (alpha != 255).any():
        share = alpha.astype(np.uint16)
        colours = ((colours * share + 255 * (255 - share) + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(colours, (*colours.shape[:2], 3)))


def check_range(path: Path | None, pixels: np.ndarray) -> None:
    """Refuse 16-bit pixels of which only the lower bits are used: they would come out black."""
    if pixels.dtype == np.uint16 and pixels.size and pixels.max() < _TWELVE_BITS:
        raise FileFormatError(
            f"{path} has 16 bits a colour of which it uses {int(pixels.max()).bit_length()} (largest value "
            f"{pixels.max()}). Rescale it to 8 bits, or to the full range of 16."
        )
