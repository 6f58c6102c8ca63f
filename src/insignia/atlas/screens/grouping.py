"""Group means of a whole atlas: those that are stored with it, else computed once and kept in memory."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

import numpy as np
import pandas as pd

from insignia.atlas.filters import select
from insignia.atlas.screens.means import SegmentMeans, segment_means
from insignia.atlas.screens.stored import find_stored, read_means, read_table
from insignia.atlas.snapshot import Snapshot
from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata

__all__ = ["GROUP_COLUMNS", "GroupCache", "SegmentGroups", "check_columns", "computed_means", "groups_of"]

GROUP_COLUMNS: Final = (keys.STUDY, keys.SAMPLE, keys.DONOR, keys.TISSUE, keys.DISEASE, keys.CELL_TYPE)
"""What forms groups unless asked otherwise: samples by cell type, with what tells samples apart."""

_OPEN: Final = 12
"""Stored means that are open at once: each holds four file descriptors."""


class GroupCache:
    """Group means of the segments of a snapshot: opened from disk a few at a time, or computed and kept."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._computed: dict[tuple[int, tuple[str, ...]], SegmentMeans] = {}
        self._open: OrderedDict[str, SegmentMeans] = OrderedDict()
        self._lock = Lock()

    def has(self, number: int, columns: tuple[str, ...], where: str | None) -> bool:
        """Whether the means of a segment, by its number in the atlas, are stored."""
        return self._find(number, columns, where) is not None

    def table(self, number: int, columns: tuple[str, ...], where: str | None = None) -> pd.DataFrame:
        """Table of the pieces of a segment."""
        found = self._find(number, columns, where)
        if found is None:
            return self.get(number, columns).table
        return read_table(self._snapshot.path, *found)

    def get(self, number: int, columns: tuple[str, ...], where: str | None = None) -> SegmentMeans:
        """Means of the groups of a segment, by its number in the atlas; those of a filter only if they are stored."""
        found = self._find(number, columns, where)
        with self._lock:
            if found is None:
                if (number, columns) not in self._computed:
                    self._computed[number, columns] = computed_means(self._snapshot, number, columns, None)
                return self._computed[number, columns]
            name, entry = found
            if name not in self._open:
                sizes = self._snapshot.manifest.segments[number].cells, self._snapshot.manifest.genes.count
                self._open[name] = read_means(self._snapshot.path, name, entry, n_cells=sizes[0], n_genes=sizes[1])
                if len(self._open) > _OPEN:
                    self._open.popitem(last=False)
            self._open.move_to_end(name)
            return self._open[name]

    def _find(self, number: int, columns: tuple[str, ...], where: str | None) -> tuple[str, Mapping[str, Any]] | None:
        manifest = self._snapshot.manifest
        return find_stored(manifest.screens, manifest.segments[number].id, columns, where)


@dataclass(frozen=True, eq=False)
class SegmentGroups:
    """A segment that has wanted cells, and the means of its groups over these.

    Attributes
    ----------
    table
        Pieces of the segment, see `SegmentMeans`.
    is_wanted
        Which of them are wanted, (pieces,).
    measured
        Which genes each range measured, (ranges, genes).
    """

    table: pd.DataFrame
    is_wanted: np.ndarray
    measured: np.ndarray
    _cache: GroupCache = field(repr=False)
    _key: tuple[int, tuple[str, ...], str | None]
    _own: SegmentMeans | None = field(default=None, repr=False)

    @property
    def means(self) -> SegmentMeans:
        """Means of all pieces, wanted or not; stored ones are opened when asked for, and not kept."""
        return self._cache.get(*self._key) if self._own is None else self._own


def groups_of(
    snapshot: Snapshot, *, columns: Sequence[str] | None = None, where: str | None = None
) -> Iterator[SegmentGroups]:
    """Give the group means of every segment with wanted cells.

    Parameters
    ----------
    columns
        Metadata columns that form groups; `None` takes `GROUP_COLUMNS`. The study always belongs to them.
    where
        Expression that chooses cells. A group of which it takes a part is computed again from these cells.

    Raises
    ------
    MissingMetadata
        The atlas has no such column.
    InputError
        Cells cannot be grouped by barcode.
    FilterError
        `where` does not choose cells.
    """
    named, cache = check_columns(snapshot, columns), snapshot.groups
    rows = None if where is None else select(snapshot, where)
    for number, (entry, first) in enumerate(
        zip(snapshot.manifest.segments, snapshot.first_rows.tolist(), strict=False)
    ):
        here = None
        if rows is not None:
            here = rows[slice(*np.searchsorted(rows, [first, first + entry.cells]))] - first
            if not here.size:
                continue
        measured = snapshot.segments.get(entry.id).measured
        if here is None or cache.has(number, named, where):
            key = (number, named, None if here is None else where)
            table = cache.table(*key)
            yield SegmentGroups(table, np.ones(len(table), dtype=bool), measured, cache, key)
        else:
            yield _chosen(snapshot, number, named, here, measured)


def _chosen(
    snapshot: Snapshot, number: int, columns: tuple[str, ...], rows: np.ndarray, measured: np.ndarray
) -> SegmentGroups:
    """Take groups of some rows: those of all cells where these take them as a whole, else computed from the rows."""
    means = snapshot.groups.get(number, columns)
    taken = np.bincount(means.of_cells[rows], minlength=len(means.table))
    is_taken = taken > 0
    key = (number, columns, None)
    if (taken[is_taken] == means.table["cells"].to_numpy()[is_taken]).all():
        return SegmentGroups(means.table, is_taken, measured, snapshot.groups, key)
    own = computed_means(snapshot, number, columns, rows)
    return SegmentGroups(own.table, np.ones(len(own.table), dtype=bool), measured, snapshot.groups, key, own)


def check_columns(snapshot: Snapshot, columns: Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns that form groups, or refuse them."""
    named = GROUP_COLUMNS if columns is None else tuple(dict.fromkeys([keys.STUDY, *columns]))
    if absent := [name for name in named if name not in snapshot.columns]:
        raise MissingMetadata(
            f"The atlas has no column {absent[0]!r} to group cells by. It has {', '.join(snapshot.columns)}."
        )
    if keys.BARCODE in named:
        raise InputError("Cells cannot be grouped by barcode: every cell would be a group. Use Atlas.search.")
    return named


def computed_means(snapshot: Snapshot, number: int, columns: tuple[str, ...], rows: np.ndarray | None) -> SegmentMeans:
    """Compute the means of the groups of a segment from its cells, or from some rows of them."""
    entry, first = snapshot.manifest.segments[number], int(snapshot.first_rows[number])
    obs = snapshot.frame(list(columns), np.arange(first, first + entry.cells))
    return segment_means(snapshot.segments.get(entry.id), obs.reindex(columns=list(columns)), rows)
