"""Cells of an atlas row by row, from blocks that are stored gene by gene, a bounded number of values at a time."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np
from scipy import sparse

from insignia.atlas import kernels
from insignia.atlas.layout import BLOCK, OFFSETS
from insignia.atlas.segment import Segment

__all__ = ["block_rows"]

_VALUES_AT_ONCE: Final = 16_000_000


def block_rows(segment: Segment, rows: np.ndarray, genes: np.ndarray) -> Iterator[sparse.csr_matrix]:
    """Give cells of a segment, in their order, as pieces of CSR float32 with sorted columns.

    Parameters
    ----------
    rows
        Rows of the segment, ascending, int64.
    genes
        Genes that become the columns, by their position in the gene table, ascending.

    Raises
    ------
    AtlasDamaged
        Offsets point outside the values.
    """
    columns = np.full(len(segment.offsets), -1, dtype=np.int32)
    columns[genes] = np.arange(genes.size)
    for block in np.unique(rows // BLOCK).tolist():
        here = rows[slice(*np.searchsorted(rows, [block * BLOCK, (block + 1) * BLOCK]))] - block * BLOCK
        # only this block, also of values that have to be decoded
        stored = replace(cast("Any", segment.stored), offsets=np.array(segment.offsets[:, block : block + 2]))
        runs = stored.genes(np.arange(len(segment.offsets)))
        if runs is None:
            raise segment.damaged(f"{OFFSETS} points outside the values")
        counts = np.zeros(here.size, dtype=np.int64)
        kernels.count_rows(runs.offsets, runs.cells, _places(here), counts)
        for start, stop in _windows(counts):
            ends = np.concatenate([[0], np.cumsum(counts[start:stop])])
            indices, data = np.empty(ends[-1], dtype=np.int32), np.empty(ends[-1], dtype=np.float32)
            arrays = (runs.cells, runs.values, kernels.FLOAT_OF_HALF, _places(here[start:stop]), columns)
            cursor = ends[:-1].copy()
            kernels.gather_rows(runs.offsets, *arrays, cursor, indices, data)
            if not np.array_equal(cursor, ends[1:]):
                raise segment.damaged("a gene has values where it was not measured")
            yield sparse.csr_matrix((data, indices, ends), shape=(stop - start, genes.size))


def _places(cells: np.ndarray) -> np.ndarray:
    """Give the place of each cell of a block among those that are wanted, or -1."""
    places = np.full(BLOCK, -1, dtype=np.int64)
    places[cells] = np.arange(cells.size)
    return places


def _windows(counts: np.ndarray) -> Iterator[tuple[int, int]]:
    windows = np.cumsum(counts) // _VALUES_AT_ONCE
    edges = [*np.flatnonzero(np.diff(windows, prepend=-1)).tolist(), counts.size]
    yield from ((start, stop) for start, stop in pairwise(edges) if start < stop)
