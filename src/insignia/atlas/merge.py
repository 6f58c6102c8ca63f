"""Making one segment of rows of others: gene by gene, in bounded memory, without a detour over cells."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from insignia.atlas import kernels
from insignia.atlas.array_file import ArrayFile
from insignia.atlas.layout import CELLS, VALUES, n_blocks
from insignia.atlas.manifest import SegmentEntry
from insignia.atlas.segment import PanelRange, Segment
from insignia.atlas.segment_files import SegmentContent, finish_segment
from insignia.atlas.snapshot import Snapshot, joined
from insignia.core.progress import Advance

__all__ = ["Piece", "merge"]

_VALUES_AT_ONCE: Final = 4_000_000


@dataclass(frozen=True)
class Piece:
    """What is kept of a segment: rows `start` to before `stop` of each range, ascending."""

    entry: SegmentEntry
    kept: tuple[tuple[int, int], ...]

    @property
    def n_cells(self) -> int:
        """Cells that are kept."""
        return sum(stop - start for start, stop in self.kept)

    def rows(self, first: int) -> np.ndarray:
        """Give the new row of each old one, from `first` on, or -1 where it is dropped, int64."""
        rows = np.full(self.entry.cells, -1, dtype=np.int64)
        for start, stop in self.kept:
            rows[start:stop] = np.arange(first, first + stop - start)
            first += stop - start
        return rows


def merge(
    snapshot: Snapshot, pieces: Sequence[Piece], folder: Path, *, encoding: str, advance: Advance
) -> tuple[SegmentEntry, tuple[PanelRange, ...]]:
    """Write a new segment of the kept rows of others, in their order.

    Parameters
    ----------
    snapshot
        The version that has the segments.
    folder
        An empty folder for the new one.
    encoding
        How it stores its values.
    advance
        Told the values that were read.

    Returns
    -------
    Its entry of the manifest, and its ranges.
    """
    offsets = _write_values(snapshot, pieces, folder, advance)
    ranges, measured = _ranges(snapshot, pieces)
    content = SegmentContent(
        obs=_metadata(snapshot, pieces),
        ranges=ranges,
        measured=measured,
        offsets=offsets,
        encoding=encoding,
        origin={"ingest": "", "sources": [{"name": f"segment {piece.entry.id}"} for piece in pieces]},
        per_cell=_write_per_cell(snapshot, pieces, folder),
    )
    return finish_segment(folder, content), tuple(ranges)


def _write_values(snapshot: Snapshot, pieces: Sequence[Piece], folder: Path, advance: Advance) -> np.ndarray:
    n_genes, edges = snapshot.manifest.genes.count, np.cumsum([0, *(piece.n_cells for piece in pieces)])
    rows = [piece.rows(first) for piece, first in zip(pieces, edges.tolist(), strict=False)]
    counts = np.zeros((n_genes, n_blocks(edges[-1])), dtype=np.int64)
    with ArrayFile(folder / CELLS, np.uint16) as cells, ArrayFile(folder / VALUES, np.float16) as values:
        for genes in _chunks(snapshot, pieces):
            for piece, own in zip(pieces, rows, strict=True):
                _count(snapshot.segments.get(piece.entry.id), genes, own, counts[genes])
            ends = np.cumsum(counts[genes])
            cursor = np.concatenate([[0], ends[:-1]]).reshape(counts[genes].shape)
            out = np.empty(ends[-1], dtype=np.uint16), np.empty(ends[-1], dtype=np.uint16)
            for piece, own in zip(pieces, rows, strict=True):
                runs = snapshot.segments.get(piece.entry.id).genes(np.arange(genes.start, genes.stop))
                kernels.move_values(runs.offsets, runs.cells, runs.values, own, cursor, *out)
                advance(float((runs.offsets[:, -1] - runs.offsets[:, 0]).sum()))
            cells.append(out[0])
            values.append(out[1])
    offsets = np.zeros((n_genes, counts.shape[1] + 1), dtype=np.int64)
    ends = np.cumsum(counts)
    offsets[:, 1:] = ends.reshape(counts.shape)
    offsets[1:, 0] = offsets[:-1, -1]
    return offsets


def _count(segment: Segment, genes: slice, rows: np.ndarray, counts: np.ndarray) -> None:
    runs = segment.genes(np.arange(genes.start, genes.stop))
    if not kernels.count_moved(runs.offsets, runs.cells, rows, counts):
        raise segment.damaged("its values name a cell beyond the last one")


def _chunks(snapshot: Snapshot, pieces: Sequence[Piece]) -> Iterator[slice]:
    """Cut the genes so that the values of each cut fit into memory."""
    sizes = np.zeros(snapshot.manifest.genes.count, dtype=np.int64)
    for piece in pieces:
        offsets = snapshot.segments.get(piece.entry.id).offsets
        sizes += offsets[:, -1] - offsets[:, 0]
    cuts = np.unique(np.cumsum(sizes) // _VALUES_AT_ONCE, return_index=True)[1].tolist()
    yield from (slice(start, stop) for start, stop in pairwise([*cuts, sizes.size]))


def _ranges(snapshot: Snapshot, pieces: Sequence[Piece]) -> tuple[list[PanelRange], np.ndarray]:
    """Give the ranges of the new segment and what each measured; neighbours of one study and panel become one."""
    ranges: list[PanelRange] = []
    measured = []
    row = 0
    for piece in pieces:
        segment = snapshot.segments.get(piece.entry.id)
        for part, genes in zip(segment.ranges, segment.measured, strict=True):
            size = sum(max(0, min(part.stop, stop) - max(part.start, start)) for start, stop in piece.kept)
            if not size:
                continue
            before = ranges[-1] if ranges else None
            if before and (before.study, before.panel) == (part.study, part.panel):
                ranges[-1] = replace(before, stop=row + size)
            else:
                ranges.append(PanelRange(part.study, part.panel, row, row + size))
                measured.append(genes)
            row += size
    return ranges, np.stack(measured)


def _metadata(snapshot: Snapshot, pieces: Sequence[Piece]) -> pa.Table:
    tables = []
    for piece in pieces:
        table = snapshot.segment_metadata(piece.entry)
        tables += [table.slice(start, stop - start) for start, stop in piece.kept]
    merged = joined(snapshot.path, tables).combine_chunks()
    for number, field in enumerate(merged.schema):
        if pa.types.is_dictionary(field.type):
            # values of rows that are gone must not live on in the dictionary
            column = merged.column(number).cast(field.type.value_type).dictionary_encode().combine_chunks()
            merged = merged.set_column(number, field.name, column)
    return merged


def _write_per_cell(snapshot: Snapshot, pieces: Sequence[Piece], folder: Path) -> list[str]:
    """Take along the rows of further arrays with one row a cell, which all pieces have in one form."""
    tables = [snapshot.segments.get(piece.entry.id).per_cell() for piece in pieces]
    for name, first in tables[0].items():
        arrays = zip((table[name] for table in tables), pieces, strict=True)
        parts = [array[start:stop] for array, piece in arrays for start, stop in piece.kept]
        shape = (sum(len(part) for part in parts), *first.shape[1:])
        about = {"descr": np.lib.format.dtype_to_descr(first.dtype), "fortran_order": False, "shape": shape}
        with (folder / name).open("wb") as file:
            np.lib.format.write_array_header_1_0(file, about)
            for part in parts:
                file.write(np.ascontiguousarray(part).data)
    return list(tables[0])
