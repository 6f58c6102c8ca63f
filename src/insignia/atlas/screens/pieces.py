"""Cells of a segment that share a group and a set of measured genes, and sums over them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from insignia.atlas.segment import PanelRange, Segment
from insignia.core.settings import num_threads

__all__ = ["Pieces", "piece_sums"]

_GENES: Final = 16
"""Genes that are read at a time: a segment of a million cells may have as many values of each."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """Cells of one group within one range, which measured the same genes: the least that a mean may stand for.

    Attributes
    ----------
    of_cells
        Piece of each cell of the segment, int32, -1 for cells of none.
    range, group
        Where each piece lies, and which group it belongs to, (pieces,).
    cells
        How many cells it has, (pieces,).
    """

    of_cells: np.ndarray
    range: np.ndarray
    group: np.ndarray
    cells: np.ndarray

    @classmethod
    def of(cls, ranges: tuple[PanelRange, ...], codes: np.ndarray) -> "Pieces":
        """Divide the cells of a segment by range and by group; a `codes` of -1 leaves a cell out."""
        sizes = [part.stop - part.start for part in ranges]
        place = np.repeat(np.arange(len(ranges)), sizes)
        width = int(codes.max(initial=0)) + 1
        kept = codes >= 0
        keys, number, counts = np.unique(place[kept] * width + codes[kept], return_inverse=True, return_counts=True)
        of_cells = np.full(codes.size, -1, dtype=np.int32)
        of_cells[kept] = number
        return cls(of_cells, keys // width, keys % width, counts)

    def __len__(self) -> int:
        return len(self.cells)


def piece_sums(segment: Segment, positions: np.ndarray, pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """Add up some genes over the cells of each piece.

    Parameters
    ----------
    positions
        Genes by their position in the gene table, int64.

    Returns
    -------
    Sums, float64, and how many cells have a value, int32, (genes, pieces) each.

    Raises
    ------
    AtlasDamaged
        The segment is not what its header says.
    """
    # here, so that an atlas opens without compiled code
    from insignia.atlas.kernels import FLOAT_OF_HALF
    from insignia.atlas.screens import kernels

    sums = np.zeros((positions.size, len(pieces)), dtype=np.float64)
    counts = np.zeros(sums.shape, dtype=np.int32)

    def work(genes: slice) -> bool:
        runs = segment.genes(positions[genes])
        return kernels.add_groups(
            runs.offsets,
            np.arange(len(runs.offsets)),
            runs.cells,
            runs.values,
            FLOAT_OF_HALF,
            pieces.of_cells,
            sums[genes],
            counts[genes],
        )

    edges = [*range(0, positions.size, _GENES), positions.size]
    parts = [slice(start, stop) for start, stop in pairwise(edges)]
    threads = min(num_threads(), max(1, len(parts)))
    with ThreadPoolExecutor(threads) as pool:
        fine = all(list(pool.map(work, parts) if threads > 1 else map(work, parts)))
    if not fine:
        raise segment.damaged("offsets.npy or cells.npy points outside the segment")
    return sums, counts
