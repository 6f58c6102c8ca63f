"""Which known spots are hidden together when an imputer is tried out: square blocks of tissue, or whole sections."""

import numpy as np

from insignia.core.errors import InputError
from insignia.spatial.contract import StackSpots

__all__ = ["block_masks", "section_masks"]


def block_masks(spots: StackSpots, *, n_folds: int = 5, side_pitches: float = 3.0) -> list[np.ndarray]:
    """Split the known spots into folds of square blocks, so that what is hidden has lost its neighbours too.

    The plane is cut into squares, and square (i, j) of section s belongs to fold i + 2 j + s (modulo `n_folds`): with
    five folds no two squares of one fold touch, and the same place of the next known section is hidden in another fold.
    The squares depend on positions only, never on the order of the rows.

    Parameters
    ----------
    spots
        The stack.
    n_folds
        Number of masks; folds without a spot, or that would hide all known spots, are left out.
    side_pitches
        Side of a square, in pitches.

    Returns
    -------
    Masks, (spots,) bool each; together they hide each known spot once, unless there are too few to hide any.
    """
    if n_folds < 2 or not side_pitches > 0:
        raise InputError(f"Blocks need at least 2 folds and a positive side; found {n_folds} and {side_pitches}.")
    fold = np.full(len(spots), -1)
    for order, section in enumerate(np.unique(spots.section[spots.is_known])):
        rows = np.flatnonzero(spots.is_known & (spots.section == section))
        points = spots.xyz_um[rows, :2]
        # a hair less than the lowest point, so that rounding cannot move a spot over an edge
        corner = points.min(axis=0) - 1e-3 * spots.pitch_um
        column, row = np.floor((points - corner) / (side_pitches * spots.pitch_um)).astype(int).T
        fold[rows] = (column + 2 * row + order) % n_folds
    return _useful([fold == number for number in range(n_folds)], spots)


def section_masks(spots: StackSpots) -> list[np.ndarray]:
    """Hide each known section in turn; none if only one is known."""
    masks = [spots.is_known & (spots.section == section) for section in np.unique(spots.section[spots.is_known])]
    return _useful(masks, spots)


def _useful(masks: list[np.ndarray], spots: StackSpots) -> list[np.ndarray]:
    n_known = int(spots.is_known.sum())
    return [mask for mask in masks if 0 < mask.sum() < n_known]
