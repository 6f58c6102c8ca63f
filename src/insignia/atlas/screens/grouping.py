"""Group means of a whole atlas: those that are stored with it, else computed once and kept in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from insignia.atlas.filters import select
from insignia.atlas.screens.means import SegmentMeans, segment_means
from insignia.atlas.segment import Segment
from insignia.atlas.snapshot import Snapshot
from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata

__all__ = ["GROUP_COLUMNS", "GroupCache", "SegmentGroups", "groups_of"]

GROUP_COLUMNS = (keys.STUDY, keys.SAMPLE, keys.DONOR, keys.TISSUE, keys.DISEASE, keys.CELL_TYPE)
"""What forms groups unless asked otherwise: samples by cell type, with what tells samples apart."""


@dataclass(frozen=True, eq=False)
class SegmentGroups:
    """A segment that has wanted cells, the means of its groups over these, and which of its pieces are wanted."""

    segment: Segment
    means: SegmentMeans
    is_wanted: np.ndarray


class GroupCache:
    """Group means of segments that were computed before, by segment and columns: a segment never changes."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._made: dict[tuple[str, tuple[str, ...]], SegmentMeans] = {}
        self._lock = Lock()

    def get(self, number: int, columns: tuple[str, ...]) -> SegmentMeans:
        """Means of the groups of all cells of a segment, by its number in the atlas."""
        entry = self._snapshot.manifest.segments[number]
        with self._lock:
            if (entry.id, columns) not in self._made:
                self._made[entry.id, columns] = _computed(self._snapshot, number, columns, None)
            return self._made[entry.id, columns]


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
    named = _checked(snapshot, columns)
    rows = None if where is None else select(snapshot, where)
    for number, (entry, first) in enumerate(
        zip(snapshot.manifest.segments, snapshot.first_rows.tolist(), strict=False)
    ):
        here = None
        if rows is not None:
            here = rows[slice(*np.searchsorted(rows, [first, first + entry.cells]))] - first
            if not here.size:
                continue
        segment = snapshot.segments.get(entry.id)
        means = snapshot.groups.get(number, named)
        if here is None:
            yield SegmentGroups(segment, means, np.ones(len(means.table), dtype=bool))
            continue
        taken = np.bincount(means.of_cells[here], minlength=len(means.table))
        is_taken = taken > 0
        if (taken[is_taken] < means.table["cells"].to_numpy()[is_taken]).any():
            means = _computed(snapshot, number, named, here)
            is_taken = np.ones(len(means.table), dtype=bool)
        yield SegmentGroups(segment, means, is_taken)


def _checked(snapshot: Snapshot, columns: Sequence[str] | None) -> tuple[str, ...]:
    named = GROUP_COLUMNS if columns is None else tuple(dict.fromkeys([keys.STUDY, *columns]))
    if absent := [name for name in named if name not in snapshot.columns]:
        raise MissingMetadata(
            f"The atlas has no column {absent[0]!r} to group cells by. It has {', '.join(snapshot.columns)}."
        )
    if keys.BARCODE in named:
        raise InputError("Cells cannot be grouped by barcode: every cell would be a group. Use Atlas.search.")
    return named


def _computed(snapshot: Snapshot, number: int, columns: tuple[str, ...], rows: np.ndarray | None) -> SegmentMeans:
    entry, first = snapshot.manifest.segments[number], int(snapshot.first_rows[number])
    obs = snapshot.frame(list(columns), np.arange(first, first + entry.cells))
    return segment_means(snapshot.segments.get(entry.id), obs.reindex(columns=list(columns)), rows)
