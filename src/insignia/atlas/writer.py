"""Writing segments: two passes over the cells, the first counts, the second puts every value in its place."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import csr_matrix

from insignia.atlas import kernels, layout
from insignia.atlas.manifest import SegmentEntry
from insignia.atlas.plan import Plan, SegmentPlan
from insignia.atlas.segment_files import SegmentContent, finish_segment
from insignia.core import keys
from insignia.core.errors import InputError
from insignia.core.files import reserve

__all__ = ["SegmentWriter", "block_starts", "count_genes", "write_values"]

Advance = Callable[[float], None]
_ROWS = 8_192


def block_starts(plan: Plan) -> np.ndarray:
    """Give the number of the first block of every segment of a plan, and the total at the end, (segments + 1,)."""
    return np.cumsum([0, *(layout.n_blocks(part.stop - part.start) for part in plan.segments)])


def count_genes(plan: Plan, n_genes: int, advance: Advance) -> np.ndarray:
    """First pass: count the values of every (block, gene) over all segments, int64; rows of none are passed over.

    Raises
    ------
    InputError
        A value is not finite or is beyond float16.
    """
    first = block_starts(plan)
    counts = np.zeros((first[-1], n_genes), dtype=np.int64)
    starts = np.array([part.start for part in plan.segments])
    for name, read, placed in _row_blocks(plan):
        here = (placed >= starts[0]) & (placed < plan.segments[-1].stop)
        rows, places = (read, placed) if here.all() else (read[here], placed[here])
        segment = np.searchsorted(starts, places, side="right") - 1
        blocks = first[segment] + (places - starts[segment]) // layout.BLOCK
        if not kernels.count_values(rows.indptr, rows.indices, rows.data, blocks, counts):
            raise InputError(
                f"{name} holds an attribution that is NaN, infinite or beyond {layout.MAX_VALUE:,.0f}; rows of "
                f"absolute attributions add up to {keys.SCALE:,.0f}. Attribute the cells again."
            )
        advance(placed.size)
    return counts


def write_values(plan: Plan, writers: list["SegmentWriter"], advance: Advance) -> None:
    """Second pass: put every value of every source in its place."""
    for name, rows, places in _row_blocks(plan):
        for part, writer in zip(plan.segments, writers, strict=True):
            here = (places >= part.start) & (places < part.stop)
            if here.any():
                writer.write(rows, np.where(here, places - part.start, -1), name)
        advance(places.size)


def _row_blocks(plan: Plan) -> Iterator[tuple[str, csr_matrix, np.ndarray]]:
    for source, places in zip(plan.sources, plan.places, strict=True):
        start = 0
        with source.opened() as cells:
            for rows in cells.blocks(_ROWS):
                stop = start + rows.shape[0]
                yield source.name, rows, places[start:stop]
                start = stop
        if start != places.size:
            raise InputError(f"{source.name} gave {start:,} cells where it has {places.size:,}: did the file change?")


class SegmentWriter:
    """Writes one segment into a folder that nobody reads yet.

    Parameters
    ----------
    folder
        Where to write.
    plan
        The rows of the segment.
    counts
        Values of each (block, gene) of it.
    encoding
        How values are stored; the compact encoding is made of the fast one in the end.
    """

    def __init__(self, folder: Path, plan: SegmentPlan, counts: np.ndarray, *, encoding: str = layout.FAST) -> None:
        self._folder, self._plan, self._encoding = folder, plan, encoding
        n_blocks, n_genes = counts.shape
        ends = np.cumsum(counts.T.ravel())
        self.n_values = int(ends[-1])
        starts = np.concatenate([[0], ends[:-1]]).reshape(n_genes, n_blocks)
        self._offsets = np.empty((n_genes, n_blocks + 1), dtype=np.int64)
        self._offsets[:, :-1] = starts
        self._offsets[:, -1] = np.append(starts[1:, 0], self.n_values)
        self._cursor = np.ascontiguousarray(starts.T)
        self._cells = self._array(layout.CELLS, np.uint16)
        self._values = self._array(layout.VALUES, np.float16)
        self._last_row, self._is_sorted = -1, True

    def _array(self, name: str, dtype: type) -> np.memmap:
        array = np.lib.format.open_memmap(self._folder / name, mode="w+", dtype=dtype, shape=(self.n_values,))
        reserve(self._folder / name)
        return array

    def write(self, matrix: csr_matrix, rows: np.ndarray, name: str) -> None:
        """Write a block of cells; `rows` is the row of each in the segment, or -1 to leave it out."""
        kept = rows[rows >= 0]
        self._is_sorted &= kept[0] > self._last_row and bool((np.diff(kept) > 0).all())
        self._last_row = kept[-1]
        halves = self._values.view(np.ndarray).view(np.uint16)
        cells = self._cells.view(np.ndarray)
        if not kernels.scatter_values(matrix.indptr, matrix.indices, matrix.data, rows, self._cursor, cells, halves):
            raise _changed(name)

    def finish(
        self, *, ingest: str, origins: tuple[dict[str, Any], ...], per_cell: tuple[str, ...] = ()
    ) -> SegmentEntry:
        """Write what remains, and return the entry of the manifest; `per_cell` names files that are there already."""
        if not np.array_equal(self._cursor[:-1], self._offsets[:, 1:-1].T) or not np.array_equal(
            self._cursor[-1], self._offsets[:, -1]
        ):
            raise _changed("A source")
        if not self._is_sorted:
            bounds = np.append(self._offsets[:, :-1].ravel(), self.n_values)
            kernels.sort_runs(bounds, self._cells.view(np.ndarray), self._values.view(np.ndarray).view(np.uint16))
        self._cells.flush()
        self._values.flush()
        del self._cells, self._values
        plan, origin = self._plan, {"ingest": ingest, "sources": list(origins)}
        content = SegmentContent(
            _arrow(plan.obs), plan.ranges, plan.measured, self._offsets, self._encoding, origin, per_cell
        )
        return finish_segment(self._folder, content)


def _arrow(obs: pd.DataFrame) -> pa.Table:
    """Metadata as Arrow: text as dictionaries of one type, so that segments can be joined; numbers as they are."""
    columns: dict[str, pa.Array] = {}
    for name in map(str, obs.columns):
        column = obs[name]
        if name == keys.BARCODE:
            columns[name] = pa.array(column.astype(str), pa.string())
        elif pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            columns[name] = pa.array(column, from_pandas=True)
        else:
            columns[name] = _dictionary(column)
    return pa.table(columns)


def _dictionary(column: pd.Series) -> pa.Array:
    codes, values = pd.factorize(column)
    # values that differ may have one text, e.g. 1 and "1"
    text_of, texts = pd.factorize(np.array([str(value) for value in values], dtype=object))
    codes = np.where(codes < 0, -1, np.append(text_of, -1)[codes]).astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(texts, pa.string()))


def _changed(name: str) -> InputError:
    return InputError(
        f"{name} changed while it was added: the second pass found other values than the first. Try again."
    )
