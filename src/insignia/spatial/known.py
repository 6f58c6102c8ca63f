"""What imputers ask about the known spots: their mean, and which of them are near."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.spatial import cKDTree

from insignia.core.errors import InputError
from insignia.spatial.circles import circle_iou
from insignia.spatial.contract import StackSpots

__all__ = ["Neighbours", "known_neighbours", "mean_and_sd", "support_and_distance"]

# more than can lie within two pitches on a hexagonal grid, 19
_OVERLAPPING: Final = 24


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest known spots of some spots, those of each known section beside one another.

    Parameters
    ----------
    rows
        (spots, neighbours) rows of the stack; the row of any known spot where there is no neighbour.
    distance
        (spots, neighbours) in the plane, in pitches; infinite where there is no neighbour.
    dz
        (spots, neighbours) difference in depth, in pitches, not signed.
    """

    rows: np.ndarray
    distance: np.ndarray
    dz: np.ndarray


def known_neighbours(spots: StackSpots, of: np.ndarray, k: int) -> Neighbours:
    """Find the k nearest spots of each known section; a spot is not its own neighbour.

    Spots of sections that are not placed have neighbours in their own section only.

    Parameters
    ----------
    spots
        The stack, with at least one known spot.
    of
        Rows whose neighbours are wanted.
    k
        Neighbours in each known section; fewer where the section has fewer known spots.
    """
    points = spots.xyz_um / spots.pitch_um
    found = [_in_section(spots, points, of, section, k) for section in np.unique(spots.section[spots.is_known])]
    rows, distance = (np.concatenate(arrays, axis=1) for arrays in zip(*found, strict=True))
    return Neighbours(rows, distance, np.abs(points[rows, 2] - points[of, 2, None]))


def mean_and_sd(spots: StackSpots, training: Sequence[StackSpots] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each gene, (genes,) float64 each, over the known spots.

    Without known spots, over the known spots of the training stacks, each stack counting the same. One spot shows no
    spread; 1 stands for it.

    Raises
    ------
    InputError
        Nothing is known.
    """
    seen = [stack.expression[stack.is_known].astype(np.float64) for stack in (spots, *training)]
    if len(seen[0]):
        seen = seen[:1]
    seen = [values for values in seen if len(values)]
    if not seen:
        raise InputError("Nothing is known: name at least one measured section with known=, or give training stacks.")
    mean = np.mean([values.mean(axis=0) for values in seen], axis=0)
    if sum(map(len, seen)) == 1:
        return mean, np.ones_like(mean)
    return mean, np.sqrt(np.mean([((values - mean) ** 2).mean(axis=0) for values in seen], axis=0))


def _in_section(
    spots: StackSpots, points: np.ndarray, of: np.ndarray, section: int, k: int
) -> tuple[np.ndarray, np.ndarray]:
    there = np.flatnonzero(spots.is_known & (spots.section == section))
    # equal distances are put in the order of positions, which does not depend on the rows
    there = there[np.lexsort(points[there, :2].T)]
    n_asked = min(k + 1, len(there))
    distance, near = cKDTree(points[there, :2]).query(points[of, :2], k=np.arange(1, n_asked + 1))
    rows = there[near]
    may_meet = (spots.section[of] == section) | (spots.is_placed[of] & spots.is_placed[there[0]])
    distance[(rows == of[:, None]) | ~may_meet[:, None]] = np.inf
    order = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(distance, order, axis=1)


def support_and_distance(spots: StackSpots, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Say how well known spots surround each of some spots.

    Parameters
    ----------
    spots
        The stack.
    of
        Rows that are asked about.

    Returns
    -------
    Support, (rows,): the sum over known spots of the overlap (intersection over union) of circles of one pitch about
    both, 0 two pitches away from all; and the distance in the plane to the nearest known spot, (rows,) micrometres,
    infinite where none can be matched. A spot does not count for itself.
    """
    if not spots.is_known.any():
        return np.zeros(len(of)), np.full(len(of), np.inf)
    near = known_neighbours(spots, of, _OVERLAPPING)
    overlap = circle_iou(np.minimum(near.distance, 2.0), 1.0)
    return overlap.sum(axis=1), near.distance.min(axis=1) * spots.pitch_um
