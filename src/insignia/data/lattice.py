"""The regular lattice that spots lie on: square or hexagonal, how far apart, and turned by how much."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from insignia.core.errors import InputError

__all__ = ["Lattice", "fit_lattice"]

_MIN_SPOTS: Final = 6
_REACH: Final = 1.25
_ORDER: Final = {"square": 4, "hex": 6}
_MIN_ORDER: Final = 0.35
_MAX_OFF: Final = 0.3


@dataclass(frozen=True)
class Lattice:
    """A regular lattice of points.

    Parameters
    ----------
    kind
        ``"square"``, four neighbours, or ``"hex"``, six.
    pitch
        Distance between neighbours, in the units of the points.
    degrees
        Direction of one row of neighbours, from x towards y, in [0, 90) or [0, 60).
    origin
        One point of it.
    """

    kind: Literal["square", "hex"]
    pitch: float
    degrees: float
    origin: tuple[float, float]

    @property
    def basis(self) -> np.ndarray:
        """(2, 2): the steps to two neighbours, one a row."""
        angles = np.deg2rad(self.degrees + np.array([0.0, 360 / _ORDER[self.kind]]))
        return self.pitch * np.column_stack([np.cos(angles), np.sin(angles)])


def fit_lattice(points: np.ndarray) -> Lattice:
    """Find the lattice of points that jitter around their places, some of which are missing.

    Each spot gets its place by steps from neighbour to neighbour, and the pitch is the slope of positions against
    places: distances to nearest neighbours would be too small where spots jitter.

    Parameters
    ----------
    points
        (spots, 2).

    Raises
    ------
    InputError
        The points are too few, or not on a lattice.
    """
    points = np.asarray(points, dtype=np.float64)
    if len(points) < _MIN_SPOTS:
        raise InputError(f"{len(points)} spots are too few to tell how they are laid out; {_MIN_SPOTS} are needed.")
    pairs, steps = _neighbours(points)
    kind, degrees = _direction(steps)
    start = Lattice(kind, float(np.median(np.linalg.norm(steps, axis=1))), degrees, (0.0, 0.0))
    spots, places = _places(len(points), pairs, np.rint(steps @ np.linalg.inv(start.basis)))
    chosen = points[spots]
    centre, middle = places.mean(axis=0), chosen.mean(axis=0)
    # one complex number turns and scales the ideal lattice: shear and mirroring are not the lattice's
    ideal = (places - centre) @ Lattice(kind, 1.0, 0.0, (0.0, 0.0)).basis
    z, w = ideal @ [1, 1j], (chosen - middle) @ [1, 1j]
    factor = np.vdot(z, w) / np.vdot(z, z).real
    if not abs(factor) > 0.5 * start.pitch:
        raise InputError("The spots do not lie on a lattice: steps between neighbours lead to no common pitch.")
    off = np.sqrt(np.mean(np.abs(w - factor * z) ** 2)) / abs(factor)
    if off > _MAX_OFF:
        raise InputError(f"The spots do not lie on a lattice: they are off their places by {off:.0%} of its pitch.")
    nearest = chosen[np.argmin(np.linalg.norm(chosen - middle, axis=1))]
    turned = float(np.rad2deg(np.angle(factor))) % (360 / _ORDER[kind])
    return Lattice(kind, float(abs(factor)), turned, (float(nearest[0]), float(nearest[1])))


def _neighbours(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of spots that are next to each other, and the steps between them."""
    tree = cKDTree(points)
    distance, _ = tree.query(points, k=2)
    typical = float(np.median(distance[:, 1]))
    if not typical > 0:
        raise InputError("Most spots have another one at the same place.")
    # jitter brings the nearest neighbour nearer, so the reach is taken from all pairs at about that distance
    pairs = tree.query_pairs(1.5 * _REACH * typical, output_type="ndarray")
    lengths = np.linalg.norm(points[pairs[:, 1]] - points[pairs[:, 0]], axis=1)
    first = float(np.median(lengths[lengths < _REACH * typical]))
    pairs = pairs[lengths < _REACH * first]
    steps = points[pairs[:, 1]] - points[pairs[:, 0]]
    return np.concatenate([pairs, pairs[:, ::-1]]), np.concatenate([steps, -steps])


def _direction(steps: np.ndarray) -> tuple[Literal["square", "hex"], float]:
    """Tell four from six directions by which power of the steps' directions they agree on."""
    unit = steps @ [1, 1j]
    unit = unit / np.abs(unit)
    square, hexagonal = (complex(np.mean(unit**order)) for order in (4, 6))
    if max(abs(square), abs(hexagonal)) < _MIN_ORDER:
        raise InputError(
            "The spots do not lie on a lattice: the steps between neighbours have no common directions. Are they cells?"
        )
    if abs(square) > abs(hexagonal):
        return "square", float(np.rad2deg(np.angle(square)) / 4) % 90
    return "hex", float(np.rad2deg(np.angle(hexagonal)) / 6) % 60


def _places(count: int, pairs: np.ndarray, moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walk from neighbour to neighbour through the largest connected part.

    Returns
    -------
    Which spots have a place, and (spots, 2) their places in steps of the basis.
    """
    graph = sparse.csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, part = csgraph.connected_components(graph, directed=False)
    largest = np.flatnonzero(part == np.bincount(part).argmax())
    order, before = csgraph.breadth_first_order(graph, largest[0], directed=False)
    moved = {(int(i), int(j)): move for (i, j), move in zip(pairs, moves, strict=True)}
    places = np.zeros((count, 2))
    for spot in order[1:]:
        places[spot] = places[before[spot]] + moved[int(before[spot]), int(spot)]
    return order, places[order]
