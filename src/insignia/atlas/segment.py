"""Reading one segment: checked headers, memory maps, and a cache that bounds how many are open."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from insignia.atlas.layout import CELLS, MEASURED, OFFSETS, SEGMENT, SEGMENTS, VALUES, n_blocks
from insignia.atlas.manifest import SegmentEntry
from insignia.core.errors import AtlasDamaged
from insignia.core.files import sha256_text

__all__ = ["PanelRange", "Segment", "SegmentCache"]


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
    cells, values
        Cell within its block, uint16, and attribution as the bits of a float16, gene-major, (values,).
    offsets
        Where each (gene, block) starts, int64, (genes, blocks + 1).
    measured
        Which genes each range measured, bool, (ranges, genes).
    """

    id: str
    folder: Path
    n_cells: int
    ranges: tuple[PanelRange, ...]
    cells: np.ndarray
    values: np.ndarray
    offsets: np.ndarray
    measured: np.ndarray

    @property
    def n_blocks(self) -> int:
        """Blocks of 65,536 cells."""
        return n_blocks(self.n_cells)

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
        folder = atlas / SEGMENTS / entry.id
        header = _header(folder, entry)
        try:
            ranges = tuple(
                PanelRange(str(part["study"]), int(part["panel"]), int(part["start"]), int(part["stop"]))
                for part in header["ranges"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(folder, f"{SEGMENT} lacks usable ranges ({error!r})") from error
        edges = [0, *(part.stop for part in ranges)]
        if [part.start for part in ranges] != edges[:-1] or edges[-1] != entry.cells or sorted(set(edges)) != edges:
            raise _damaged(folder, f"the ranges of {SEGMENT} do not cover its {entry.cells:,} cells one after another")
        shapes: dict[str, tuple[type, tuple[int, ...]]] = {
            CELLS: (np.uint16, (entry.values,)),
            VALUES: (np.float16, (entry.values,)),
            OFFSETS: (np.int64, (n_genes, n_blocks(entry.cells) + 1)),
            MEASURED: (np.bool_, (len(ranges), n_genes)),
        }
        maps = {name: _map(folder / name, *shape) for name, shape in shapes.items()}
        if maps[OFFSETS][-1, -1] != entry.values:
            raise _damaged(folder, f"{OFFSETS} ends at {maps[OFFSETS][-1, -1]:,} of {entry.values:,} values")
        return cls(
            id=entry.id,
            folder=folder,
            n_cells=entry.cells,
            ranges=ranges,
            cells=maps[CELLS],
            values=maps[VALUES].view(np.uint16),
            offsets=maps[OFFSETS],
            measured=np.array(maps[MEASURED]),
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


def _header(folder: Path, entry: SegmentEntry) -> dict[str, Any]:
    path = folder / SEGMENT
    try:
        text = path.read_text(encoding="utf-8")
        header = json.loads(text)
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"{SEGMENT} cannot be read ({error})") from error
    if sha256_text(text) != entry.sha256 or not isinstance(header, dict):
        raise _damaged(folder, f"{SEGMENT} is not the one that the manifest names (its sha256 differs)")
    return header


def _map(path: Path, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise _damaged(path.parent, f"{path.name} cannot be read ({error})") from error
    if array.dtype != dtype or array.shape != shape:
        raise _damaged(
            path.parent,
            f"{path.name} holds {array.dtype} {array.shape} where {np.dtype(dtype).name} {shape} belongs",
        )
    plain: np.ndarray = array.view(np.ndarray)
    return plain


def _damaged(folder: Path, what: str) -> AtlasDamaged:
    return AtlasDamaged(
        f"Segment {folder.name} of atlas {folder.parents[1].name} is damaged: {what}. "
        f"Put back a copy of {SEGMENTS}/{folder.name}, or build the atlas again."
    )
