"""Group means of one segment, sparse and gene-major: mean attribution, detection and cells of every piece."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from insignia.atlas.screens.pieces import Pieces, piece_sums
from insignia.atlas.segment import Segment
from insignia.core import keys

__all__ = ["SegmentMeans", "group_codes", "segment_means"]

_GENES_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class SegmentMeans:
    """Means over the pieces of a segment: cells of one group that measured the same genes.

    Attributes
    ----------
    table
        One row a piece: the columns that form groups, as text; ``range``, the range of the segment that it lies in;
        ``cells``.
    of_cells
        Piece of each cell of the segment, int32, -1 for cells of none.
    offsets
        Where the entries of each gene start, int64, (genes + 1,).
    pieces
        Piece of each entry, ascending within a gene; pieces where nothing is stored have no entry.
    means
        Mean attribution over the cells of the piece, zeros included, float32.
    detected
        How many of its cells have a value.
    """

    table: pd.DataFrame
    of_cells: np.ndarray
    offsets: np.ndarray
    pieces: np.ndarray
    means: np.ndarray
    detected: np.ndarray

    @property
    def columns(self) -> list[str]:
        """Columns that form groups."""
        return [str(name) for name in self.table.columns if name not in ("range", "cells")]


def segment_means(segment: Segment, obs: pd.DataFrame, rows: np.ndarray | None = None) -> SegmentMeans:
    """Take the means of all groups of a segment.

    Parameters
    ----------
    obs
        Columns that form groups, one row a cell.
    rows
        Rows of the segment to count, ascending; `None` counts all.
    """
    groups, codes = group_codes(obs)
    if rows is not None:
        kept = np.full(segment.n_cells, -1, dtype=np.int64)
        kept[rows] = codes[rows]
        codes = kept
    pieces = Pieces.of(segment.ranges, codes)
    table = groups.iloc[pieces.group].assign(range=pieces.range, cells=pieces.cells).reset_index(drop=True)
    parts = list(_entries(segment, pieces))
    numbers, where, means, detected = (np.concatenate(part) for part in zip(*parts, strict=True))
    return SegmentMeans(table, pieces.of_cells, np.cumsum([0, *numbers]), where, means, detected)


def group_codes(obs: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """List the combinations of values that occur, sorted, as text, and say which of them each row has."""
    columns = [str(name) for name in obs.columns]
    text = pd.DataFrame({name: _as_text(obs[name]) for name in columns})
    grouped = text.groupby(columns, sort=True, observed=True)
    table = grouped.size().reset_index()[columns].astype(str)
    return table, grouped.ngroup().to_numpy(dtype=np.int64)


def _as_text(column: pd.Series) -> pd.Series:
    """Text as a categorical with sorted categories, whatever the column holds; a million cells take no time."""
    codes, values = pd.factorize(column.astype(object) if column.dtype == object else column, use_na_sentinel=False)
    texts = np.array([keys.UNKNOWN if pd.isna(value) else str(value) for value in values], dtype=object)
    return pd.Series(pd.Categorical(texts[codes], categories=sorted(set(texts))))


def _entries(segment: Segment, pieces: Pieces) -> Iterator[tuple[np.ndarray, ...]]:
    """Entries of some genes at a time: how many each gene has, then piece, mean and detected cells of each."""
    place, count = np.min_scalar_type(max(256, len(pieces) - 1)), np.min_scalar_type(pieces.cells.max(initial=0))
    n_genes = segment.offsets.shape[0]
    for start in range(0, n_genes, _GENES_AT_ONCE):
        positions = np.arange(start, min(start + _GENES_AT_ONCE, n_genes), dtype=np.int64)
        sums, counts = piece_sums(segment, positions, pieces)
        gene, piece = np.nonzero(counts)
        numbers = np.bincount(gene, minlength=positions.size)
        means = (sums[gene, piece] / pieces.cells[piece]).astype(np.float32)
        yield numbers, piece.astype(place), means, counts[gene, piece].astype(count)
