"""A map from points that a person marked on both sections."""

import numpy as np

from insignia.core.errors import InputError
from insignia.data import Transform

__all__ = ["from_landmarks"]


def from_landmarks(moving: np.ndarray, fixed: np.ndarray) -> Transform:
    """Fit the affine map that carries the points of one section to those of another, by least squares.

    Parameters
    ----------
    moving, fixed
        (points, 2) in micrometres, in the same order; three or more that do not lie on a line.

    Raises
    ------
    InputError
        There are too few points, or they lie on a line.
    """
    moving, fixed = np.asarray(moving, dtype=np.float64), np.asarray(fixed, dtype=np.float64)
    if moving.shape != fixed.shape or moving.ndim != 2 or moving.shape[1] != 2 or len(moving) < 3:
        raise InputError(f"Landmarks are three or more pairs of (x, y), found {moving.shape} and {fixed.shape}.")
    design = np.column_stack([moving - moving.mean(axis=0), np.ones(len(moving))])
    if np.linalg.matrix_rank(design, tol=1e-6 * np.abs(design).max()) < 3:
        raise InputError(
            "The landmarks lie on a line, so that they do not tell a map of the plane. Mark another point."
        )
    solved = np.linalg.lstsq(design, fixed, rcond=None)[0]
    linear = solved[:2].T
    return Transform(np.column_stack([linear, solved[2] - linear @ moving.mean(axis=0)]))
