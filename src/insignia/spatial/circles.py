"""Overlap of equal circles in closed form."""

import numpy as np

__all__ = ["circle_iou"]


def circle_iou(distance: np.ndarray, radius: float | np.ndarray) -> np.ndarray:
    """Intersection over union of two circles of equal radius.

    Parameters
    ----------
    distance
        Distance of their centres, any shape.
    radius
        Of both, in the same unit.

    Returns
    -------
    Values in [0, 1], of the shape of `distance`: 1 where the centres agree, 0 from two radii on. With x = d / 2r the
    lens is 2 r² (arccos x - x sqrt(1 - x²)), and the union is what two circles cover less the lens.
    """
    x = np.clip(np.asarray(distance, dtype=np.float64) / (2 * np.asarray(radius)), 0.0, 1.0)
    lens = 2 / np.pi * (np.arccos(x) - x * np.sqrt(1 - x * x))
    return np.asarray(lens / (2 - lens))
