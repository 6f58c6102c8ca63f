"""The graph of all spots of a stack: neighbours in a section and across sections, with attributes of every edge.

One sparse graph holds the whole sample. It does not depend on the order of the rows; its memory grows with the edges.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from insignia.core.errors import InputError
from insignia.spatial.circles import circle_iou
from insignia.spatial.contract import StackSpots

__all__ = ["ATTRIBUTES", "SpotGraph", "build_graph"]

ATTRIBUTES = ("overlap", "distance", "dz", "cosine", "is_same_section")

# a regular grid has up to this many further neighbours at the distance of the k-th
_TIES = 12
_CHUNK = 1 << 16


@dataclass(frozen=True, eq=False)
class SpotGraph:
    """Directed edges between the spots of a stack, each in both directions, sorted by target and then by source.

    Parameters
    ----------
    n_spots
        Number of nodes; a node without edges is allowed, an edge from a node to itself is not.
    source, target
        (edges,) rows of the spots that an edge leaves and enters.
    overlap
        (edges,) intersection over union of the two spots' circles.
    distance
        (edges,) in the plane, in pitches.
    dz
        (edges,) difference in depth, not signed, in pitches.
    cosine
        (edges,) of the features of the two spots; 0 where a spot has none.
    is_same_section
        (edges,) whether both spots lie in one section.
    """

    n_spots: int
    source: np.ndarray
    target: np.ndarray
    overlap: np.ndarray
    distance: np.ndarray
    dz: np.ndarray
    cosine: np.ndarray
    is_same_section: np.ndarray

    def __len__(self) -> int:
        return len(self.source)

    @property
    def attributes(self) -> np.ndarray:
        """(edges, 5) float32, in the order of `ATTRIBUTES`."""
        return np.column_stack([getattr(self, name) for name in ATTRIBUTES]).astype(np.float32)

    def matrix(self, weights: np.ndarray) -> csr_matrix:
        """Return (spots, spots) CSR with the weight, (edges,), of each edge in the row of its target."""
        offsets = np.searchsorted(self.target, np.arange(self.n_spots + 1))
        return csr_matrix((weights, self.source, offsets), shape=(self.n_spots, self.n_spots))


def build_graph(
    spots: StackSpots,
    *,
    k_within: int = 6,
    radius_pitches: float = 2.0,
    max_gap: int | None = 4,
    k_similar: int = 0,
    similar_radius_pitches: float = 8.0,
    spot_radius_pitches: float = 0.5,
    features: np.ndarray | None = None,
) -> SpotGraph:
    """Connect each spot with its neighbours.

    Parameters
    ----------
    spots
        The stack.
    k_within
        Nearest spots of the own section; ties at the distance of the last are all taken, so that the order of the rows
        cannot matter.
    radius_pitches
        Spots are neighbours, in their section or across sections, below this distance in the plane.
    max_gap
        Largest difference between the positions of two sections in `spots.sections` that are connected; `None` sets
        no limit. Sections that are not placed are never connected with others.
    k_similar
        For each spot and other section, add this many spots with the most similar features.
    similar_radius_pitches
        How far away those may lie in the plane.
    spot_radius_pitches
        Of the circles whose overlap is an attribute.
    features
        (spots, features) for the cosine; `None` takes `spots.features`, and without any the cosine is 0.

    Raises
    ------
    InputError
        An option is out of range, or `k_similar` is asked for without features.
    """
    features = spots.features if features is None else features
    if k_within < 0 or k_similar < 0 or radius_pitches <= 0 or not spots.pitch_um > 0:
        raise InputError(
            "A graph needs k_within >= 0, k_similar >= 0, radius_pitches > 0 and a positive pitch_um; "
            f"found {k_within}, {k_similar}, {radius_pitches} and {spots.pitch_um}."
        )
    if k_similar and features is None:
        raise InputError("k_similar needs features, and these spots have none; pass features= or k_similar=0.")
    points = spots.xyz_um / spots.pitch_um
    unit = None if features is None else _unit_rows(features)
    pairs = [_within(_Plane(points, rows), k_within, radius_pitches) for rows in _rows_by_section(spots)]
    for left, right in _connected_sections(spots, points, max_gap):
        pairs.append(left.closer_than(right, radius_pitches))
        if k_similar and unit is not None:
            near = left.closer_than(right, similar_radius_pitches)
            cosine = _cosine(unit, *near)
            pairs += [_most_similar(near, cosine, k_similar), _most_similar(near[::-1], cosine, k_similar)[::-1]]
    source, target = _both_ways(pairs, len(spots))
    x, y, z = (column[source] - column[target] for column in np.ascontiguousarray(points.T))
    distance = np.sqrt(x * x + y * y)
    return SpotGraph(
        n_spots=len(spots),
        source=source,
        target=target,
        overlap=circle_iou(distance, spot_radius_pitches).astype(np.float32),
        distance=distance.astype(np.float32),
        dz=np.abs(z).astype(np.float32),
        cosine=np.zeros(len(source), np.float32) if unit is None else _cosine(unit, source, target),
        is_same_section=spots.section[source] == spots.section[target],
    )


def _rows_by_section(spots: StackSpots) -> list[np.ndarray]:
    return [np.flatnonzero(spots.section == index) for index in range(len(spots.sections))]


class _Plane:
    """Some spots seen from above, ready to be searched."""

    def __init__(self, points: np.ndarray, rows: np.ndarray) -> None:
        self.rows, self.points = rows, np.ascontiguousarray(points[rows, :2])
        # the plain tree is built in a third of the time of the default one, and these points are spread evenly
        self.tree = cKDTree(self.points, compact_nodes=False, balanced_tree=False)

    def closer_than(self, other: "_Plane", radius: float) -> np.ndarray:
        """Return (2, pairs) of one row of `self` and one of `other`."""
        if not len(self.rows) or not len(other.rows):
            return np.empty((2, 0), dtype=np.int64)
        near = self.tree.sparse_distance_matrix(other.tree, radius, output_type="ndarray")
        near = near[near["v"] < radius]
        return np.stack([self.rows[near["i"]], other.rows[near["j"]]])


def _connected_sections(spots: StackSpots, points: np.ndarray, max_gap: int | None) -> Iterator[tuple[_Plane, _Plane]]:
    placed = [_Plane(points, rows[spots.is_placed[rows]]) for rows in _rows_by_section(spots)]
    for left, right in combinations(range(len(placed)), 2):
        if max_gap is None or right - left <= max_gap:
            yield placed[left], placed[right]


def _within(section: _Plane, k: int, radius: float) -> np.ndarray:
    """Return (2, pairs): each spot of a section with its k nearest."""
    rows, n = section.rows, len(section.rows)
    if k == 0 or n < 2:
        return np.empty((2, 0), dtype=np.int64)
    distance, near = section.tree.query(section.points, k=min(k + 1 + _TIES, n), distance_upper_bound=radius)
    distance[near == np.arange(n)[:, None]] = np.inf
    last = np.sort(distance, axis=1)[:, min(k, n - 1) - 1, None]
    # points that should be equally far differ in their last digits
    here, there = np.nonzero(np.isfinite(distance) & (distance <= last * (1 + 1e-6)))
    return np.stack([rows[here], rows[near[here, there]]])


def _most_similar(pairs: np.ndarray, cosine: np.ndarray, k: int) -> np.ndarray:
    """Keep, for each spot of the first row, the k pairs with the largest cosine."""
    order = np.lexsort((-cosine, pairs[0]))
    first = np.searchsorted(pairs[0][order], pairs[0][order])
    return pairs[:, order[np.arange(len(order)) - first < k]]


def _both_ways(pairs: list[np.ndarray], n_spots: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sources and targets of all edges, each once, sorted by target and then by source."""
    one, other = np.concatenate(pairs, axis=1)
    ends = np.concatenate([one, other]), np.concatenate([other, one])
    # counting sort, several times faster than sorting keys
    matrix = csr_matrix((np.ones(len(ends[0]), np.int8), ends), shape=(n_spots, n_spots))
    return matrix.indices, np.repeat(np.arange(n_spots, dtype=matrix.indices.dtype), np.diff(matrix.indptr))


def _unit_rows(features: np.ndarray) -> np.ndarray:
    features = np.nan_to_num(np.asarray(features, dtype=np.float32))
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(length > 0, length, 1))


def _cosine(unit: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    cosine = np.empty(len(source), np.float32)
    for start in range(0, len(source), _CHUNK):
        part = slice(start, start + _CHUNK)
        cosine[part] = np.einsum("ij,ij->i", unit[source[part]], unit[target[part]])
    return cosine
