"""Pictures of one section drawn in the frame of another."""

import numpy as np

from insignia.data.transform import Transform
from insignia.data.warp import warp

__all__ = ["drawn_in"]


def drawn_in(
    picture: np.ndarray,
    um: float,
    origin_um: tuple[float, float],
    transform: Transform,
    *,
    shape: tuple[int, int],
    to_um: float,
    to_origin_um: tuple[float, float],
    fill: float = 0.0,
) -> np.ndarray:
    """Draw a picture whose corner lies at `origin_um` of its frame into a raster of another frame."""
    shifted = Transform.rigid(0.0, np.asarray(origin_um)).then(transform)
    return warp(picture, um, shifted, shape=shape, to_um_per_px=to_um, origin_um=to_origin_um, fill=fill)
