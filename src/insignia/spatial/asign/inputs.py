"""From the spots of a stack to what the ASIGN network sees: features, tiles around each spot, edges."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from insignia.spatial.asign.network import NetworkInputs, TileInputs
from insignia.spatial.contract import StackSpots
from insignia.spatial.graph import build_graph

__all__ = ["InputOptions", "in_order_of_position", "network_inputs", "tiles_of"]

_LARGEST: Final = 5.0


@dataclass(frozen=True)
class InputOptions:
    """What the network is shown.

    Parameters
    ----------
    tile_sides_pitches
        Sides of the square tiles of each level.
    n_tiles
        Nearest tiles of each level that a spot looks at.
    k_within, radius_pitches, max_gap
        Of the graph, see `build_graph`; smaller than the one on which expression spreads, because it is passed often.
    """

    tile_sides_pitches: tuple[float, ...] = (3.0, 6.0)
    n_tiles: int = 5
    k_within: int = 6
    radius_pitches: float = 1.5
    max_gap: int = 1


def network_inputs(spots: StackSpots, options: InputOptions) -> NetworkInputs:
    """Return the tensors of a stack in which every spot has features."""
    assert spots.features is not None
    graph = build_graph(
        spots, k_within=options.k_within, radius_pitches=options.radius_pitches, max_gap=options.max_gap
    )
    return NetworkInputs(
        features=torch.from_numpy(spots.features.astype(np.float32)),
        tiles=tuple(_tile_inputs(spots, side, options.n_tiles) for side in options.tile_sides_pitches),
        source=torch.from_numpy(graph.source.astype(np.int64)),
        target=torch.from_numpy(graph.target.astype(np.int64)),
        attributes=torch.from_numpy(np.minimum(graph.attributes, _LARGEST)),
    )


def in_order_of_position(spots: StackSpots) -> tuple[StackSpots, np.ndarray]:
    """Return the spots sorted by depth and place, and where each spot went: ``sorted[place]`` has the order of before.

    Sums come out the same to the last bit then, however the rows came in.
    """
    order = np.lexsort((spots.names.astype(str), *spots.xyz_um.T))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return spots.take(order), place


def tiles_of(spots: StackSpots, side_pitches: float, rows: np.ndarray) -> np.ndarray:
    """Return the number of the square tile that each of some rows lies in, from 0; no tile spans two sections.

    The squares are anchored at the lowest point of each section, so that they depend on positions only.
    """
    cell = np.zeros((len(rows), 3), dtype=np.int64)
    for section, members in _by_section(spots, rows):
        points = spots.xyz_um[rows[members], :2]
        corner = points.min(axis=0) - 1e-3 * spots.pitch_um
        cell[members, :2] = np.floor((points - corner) / (side_pitches * spots.pitch_um))
        cell[members, 2] = section
    return np.asarray(np.unique(cell, axis=0, return_inverse=True)[1]).ravel()


def _tile_inputs(spots: StackSpots, side: float, n_tiles: int) -> TileInputs:
    """Pool the features of the spots in each tile, and find the nearest tiles of each spot in its own section."""
    assert spots.features is not None
    tile = tiles_of(spots, side, np.arange(len(spots)))
    pool = csr_matrix((np.ones(len(tile)), (tile, np.arange(len(tile)))))
    count = np.bincount(tile)[:, None]
    pooled, centre = pool @ spots.features / count, pool @ spots.xyz_um[:, :2] / count
    section = np.zeros(len(count), dtype=np.int64)
    section[tile] = spots.section
    index = np.zeros((len(spots), n_tiles), dtype=np.int64)
    is_there = np.zeros((len(spots), n_tiles), dtype=bool)
    for number, rows in _by_section(spots, np.arange(len(spots))):
        own = np.flatnonzero(section == number)
        k = min(n_tiles, len(own))
        _, near = cKDTree(centre[own]).query(spots.xyz_um[rows, :2], k=np.arange(1, k + 1))
        index[rows, :k], is_there[rows, :k] = own[near], True
    offset = (centre[index] - spots.xyz_um[:, None, :2]) / (side * spots.pitch_um)
    return TileInputs(
        features=torch.from_numpy(pooled.astype(np.float32)),
        index=torch.from_numpy(index),
        offset=torch.from_numpy(np.where(is_there[..., None], offset, 0.0).astype(np.float32)),
        is_there=torch.from_numpy(is_there),
    )


def _by_section(spots: StackSpots, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each section and the places in `rows` of its spots."""
    for section in np.unique(spots.section[rows]):
        yield int(section), np.flatnonzero(spots.section[rows] == section)
