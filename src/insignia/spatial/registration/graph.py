"""Poses of a whole stack from its pairs: all of them at once, by least squares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from insignia.data.transform import Transform

__all__ = ["Edge", "reachable", "solve_poses"]

_ROUNDS: Final = 10


@dataclass(frozen=True, eq=False)
class Edge:
    """A registered pair as an edge between sections.

    Parameters
    ----------
    moving, fixed
        Names of the sections.
    transform
        From the frame of `moving` to that of `fixed`.
    points_um
        (points, 2) of the moving section, at which maps are compared.
    weight
        How much it is trusted.
    """

    moving: str
    fixed: str
    transform: Transform
    points_um: np.ndarray
    weight: float


def reachable(edges: Sequence[Edge], placed: Sequence[str]) -> set[str]:
    """Find the sections that edges connect with placed ones, themselves included."""
    found = set(placed)
    while True:
        more = {name for edge in edges for name in (edge.moving, edge.fixed) if {edge.moving, edge.fixed} & found}
        if more <= found:
            return found
        found |= more


def solve_poses(edges: Sequence[Edge], placed: Mapping[str, Transform], *, tolerance_um: float) -> dict[str, Transform]:
    """Find affine poses under which all pairs meet as well as they can.

    For every edge, points of the moving section should land where the fixed section's pose carries their partners:
    ``T_moving x = T_fixed (P x)``, which is linear in the poses. Edges that disagree with the others by more than
    `tolerance_um` count less and less (Huber's weights).

    Parameters
    ----------
    edges
        Pairs among the sections, each connected with a placed one.
    placed
        Poses that are known.
    tolerance_um
        Disagreement up to which edges count in full.

    Returns
    -------
    Poses of all sections of the edges, the placed ones as they were.
    """
    free = sorted({name for edge in edges for name in (edge.moving, edge.fixed)} - set(placed))
    weights = np.array([edge.weight for edge in edges])
    poses = dict(placed)
    for _ in range(_ROUNDS if len(edges) > len(free) else 1):
        poses = dict(placed) | _least_squares(edges, placed, free, weights)
        misses = np.array([miss_um(edge, poses) for edge in edges])
        weights = np.array([edge.weight for edge in edges]) * np.minimum(1, tolerance_um / np.maximum(misses, 1e-9))
    return poses


def miss_um(edge: Edge, poses: Mapping[str, Transform]) -> float:
    """By how much the poses of its sections miss a pair's map, on average over its points."""
    there = poses[edge.fixed].apply(edge.transform.apply(edge.points_um))
    return float(np.linalg.norm(poses[edge.moving].apply(edge.points_um) - there, axis=1).mean())


def _least_squares(
    edges: Sequence[Edge], placed: Mapping[str, Transform], free: list[str], weights: np.ndarray
) -> dict[str, Transform]:
    column = {name: 3 * index for index, name in enumerate(free)}
    rows, targets = [], []
    for edge, weight in zip(edges, weights, strict=True):
        ends = ((edge.moving, edge.points_um, 1.0), (edge.fixed, edge.transform.apply(edge.points_um), -1.0))
        row, target = np.zeros((len(edge.points_um), 3 * len(free))), np.zeros((len(edge.points_um), 2))
        for name, points, sign in ends:
            if name in column:
                row[:, column[name] : column[name] + 3] += sign * np.column_stack([points, np.ones(len(points))])
            else:
                target -= sign * placed[name].apply(points)
        rows.append(np.sqrt(weight) * row)
        targets.append(np.sqrt(weight) * target)
    solved = np.linalg.lstsq(np.vstack(rows), np.vstack(targets), rcond=None)[0]
    return {name: Transform(solved[start : start + 3].T) for name, start in column.items()}
