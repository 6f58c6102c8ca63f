"""Reading one segment: checked headers, memory maps, and a cache that bounds how many are open."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from insignia.atlas.array_file import map_array
from insignia.atlas.layout import (
    CELLS,
    COMPACT,
    ENTRIES,
    FAST,
    MEASURED,
    OFFSETS,
    SEGMENT,
    SEGMENTS,
    VALUE_FILES,
    VALUES,
    n_blocks,
)
from insignia.atlas.manifest import SegmentEntry
from insignia.core.errors import AtlasDamaged, AtlasError
from insignia.core.files import parse_json, sha256_text

if TYPE_CHECKING:
    from insignia.atlas.stored import Runs, StoredValues

__all__ = ["PanelRange", "Segment", "SegmentCache", "read_header"]

_STORED = {CELLS: np.uint16, VALUES: np.float16, ENTRIES: np.uint16}


@dataclass(frozen=True)
class PanelRange:
    """Rows, `start` to before `stop`, of one study that measured the same genes (its panel, numbered in the study)."""

    study: str
    panel: int
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment, open for reading.

    Attributes
    ----------
    encoding
        How values are stored, ``"fast"`` or ``"compact"``.
    stored
        The values.
    measured
        Which genes each range measured, bool, (ranges, genes).
    files
        What the header says about each file: `bytes`, `sha256`, and `per_cell` where it is an array of one row a cell.
    """

    id: str
    folder: Path
    n_cells: int
    ranges: tuple[PanelRange, ...]
    encoding: str
    stored: "StoredValues"
    measured: np.ndarray
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def n_blocks(self) -> int:
        """Blocks of 65,536 cells."""
        return n_blocks(self.n_cells)

    @property
    def offsets(self) -> np.ndarray:
        """Where each (gene, block) starts in what is stored, int64 (genes, blocks + 1)."""
        return self.stored.offsets

    def genes(self, positions: np.ndarray) -> "Runs":
        """Give the values of some genes in the form of the fast encoding, a view where they are stored that way.

        Raises
        ------
        AtlasDamaged
            Offsets point outside the values.
        """
        runs = self.stored.genes(positions)
        if runs is None:
            raise self.damaged(f"{OFFSETS} points outside the values")
        return runs

    def range_of(self, rows: np.ndarray) -> np.ndarray:
        """Place of the range that holds each of some rows of the segment."""
        return np.searchsorted([part.stop for part in self.ranges], rows, side="right")

    def per_cell(self) -> dict[str, np.ndarray]:
        """Map the further arrays with one row a cell, by the names of their files.

        Raises
        ------
        AtlasDamaged
            A file cannot be read, or has another number of rows.
        """
        arrays = {}
        for name in (name for name, entry in self.files.items() if entry.get("per_cell")):
            arrays[name] = _load(self.folder / name)
            if arrays[name].shape[:1] != (self.n_cells,):
                raise self.damaged(f"{name} has the shape {arrays[name].shape} for {self.n_cells:,} cells")
        return arrays

    def damaged(self, what: str) -> AtlasDamaged:
        """Error that says what is wrong with this segment and what to do."""
        return _damaged(self.folder, what)

    @classmethod
    def open(cls, atlas: Path, entry: SegmentEntry, n_genes: int) -> "Segment":
        """Open a segment and check that its files are what the manifest and its header say.

        Raises
        ------
        AtlasDamaged
            A file is absent or cut short, or disagrees in type, shape or hash.
        """
        # here, so that an atlas opens without compiled code
        from insignia.atlas.stored import CompactValues, FastValues

        folder = atlas / SEGMENTS / entry.id
        header = read_header(folder, entry)
        try:
            ranges = tuple(
                PanelRange(str(part["study"]), int(part["panel"]), int(part["start"]), int(part["stop"]))
                for part in header["ranges"]
            )
            files = {str(name): dict(about) for name, about in header["files"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(folder, f"{SEGMENT} lacks usable ranges or files ({error!r})") from error
        edges = [0, *(part.stop for part in ranges)]
        if [part.start for part in ranges] != edges[:-1] or edges[-1] != entry.cells or sorted(set(edges)) != edges:
            raise _damaged(folder, f"the ranges of {SEGMENT} do not cover its {entry.cells:,} cells one after another")
        encoding, n_stored = _encoding(folder, header, entry)
        shapes: dict[str, tuple[type, tuple[int, ...]]] = {
            **{name: (_STORED[name], (n_stored,)) for name in VALUE_FILES[encoding]},
            OFFSETS: (np.int64, (n_genes, n_blocks(entry.cells) + 1)),
            MEASURED: (np.bool_, (len(ranges), n_genes)),
        }
        maps = {name: _map(folder / name, *shape) for name, shape in shapes.items()}
        offsets = maps[OFFSETS]
        if offsets[-1, -1] != n_stored:
            raise _damaged(folder, f"{OFFSETS} ends at {offsets[-1, -1]:,} of {n_stored:,} values")
        return cls(
            id=entry.id,
            folder=folder,
            n_cells=entry.cells,
            ranges=ranges,
            encoding=encoding,
            stored=CompactValues(maps[ENTRIES], offsets)
            if encoding == COMPACT
            else FastValues(maps[CELLS], maps[VALUES].view(np.uint16), offsets),
            measured=np.array(maps[MEASURED]),
            files=files,
        )


class SegmentCache:
    """Open segments, the least recently used closed first: every map holds a file descriptor."""

    def __init__(self, atlas: Path, entries: Sequence[SegmentEntry], n_genes: int, *, limit: int = 32) -> None:
        self._atlas, self._n_genes, self._limit = atlas, n_genes, limit
        self._entries = {entry.id: entry for entry in entries}
        self._open: OrderedDict[str, Segment] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str) -> Segment:
        """Return the segment, opened if it is not."""
        with self._lock:
            if name not in self._open:
                self._open[name] = Segment.open(self._atlas, self._entries[name], self._n_genes)
                if len(self._open) > self._limit:
                    self._open.popitem(last=False)
            self._open.move_to_end(name)
            return self._open[name]

    def __len__(self) -> int:
        return len(self._open)


def read_header(folder: Path, entry: SegmentEntry) -> dict[str, Any]:
    """Read `segment.json`, checked against its hash.

    Raises
    ------
    AtlasDamaged
        It is not the one that the manifest names.
    """
    path = folder / SEGMENT
    try:
        text = path.read_text(encoding="utf-8")
        header = parse_json(text)
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"{SEGMENT} cannot be read ({error})") from error
    if sha256_text(text) != entry.sha256 or not isinstance(header, dict):
        raise _damaged(folder, f"{SEGMENT} is not the one that the manifest names (its sha256 differs)")
    return header


def _encoding(folder: Path, header: dict[str, Any], entry: SegmentEntry) -> tuple[str, int]:
    """Read how values are stored, and how many numbers that takes."""
    encoding = header.get("encoding", FAST)
    if encoding not in VALUE_FILES:
        raise AtlasError(
            f"Segment {entry.id} of atlas {folder.parents[1].name} has the encoding {encoding!r}; this insignia reads "
            f"{', '.join(VALUE_FILES)}. Use the version of insignia that wrote it, or a newer one."
        )
    n_stored = header.get("entries", -1) if encoding == COMPACT else entry.values
    if type(n_stored) is not int or n_stored < entry.values:
        raise _damaged(folder, f"{SEGMENT} has {n_stored!r} entries for {entry.values:,} values")
    return encoding, n_stored


def _map(path: Path, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    array = _load(path)
    if array.dtype != dtype or array.shape != shape:
        raise _damaged(
            path.parent,
            f"{path.name} holds {array.dtype} {array.shape} where {np.dtype(dtype).name} {shape} belongs",
        )
    return array


def _load(path: Path) -> np.ndarray:
    try:
        return map_array(path)
    except (OSError, ValueError) as error:
        raise _damaged(path.parent, f"{path.name} cannot be read ({error})") from error


def _damaged(folder: Path, what: str) -> AtlasDamaged:
    return AtlasDamaged(
        f"Segment {folder.name} of atlas {folder.parents[1].name} is damaged: {what}. "
        f"Put back a copy of {SEGMENTS}/{folder.name}, or build the atlas again."
    )
