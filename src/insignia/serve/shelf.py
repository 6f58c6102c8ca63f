"""The atlases that are served: opened by name, metadata kept in memory, newer versions taken up between queries."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from insignia.atlas import Atlas
from insignia.atlas.layout import MANIFEST
from insignia.atlas.snapshot import Snapshot
from insignia.core import keys
from insignia.core.errors import InputError, UnknownName

__all__ = ["OpenAtlas", "Shelf", "WarmSnapshot", "names_of"]

MAX_FACET_VALUES = 2000
"""A text column with more values than this is no facet."""


class WarmSnapshot(Snapshot):
    """A snapshot that reads each metadata column once; the segments it maps are shared by all queries."""

    @cached_property
    def _columns(self) -> dict[str, pa.ChunkedArray]:
        return {}

    @cached_property
    def _lock(self) -> Lock:
        return Lock()

    def metadata(self, columns: list[str] | None = None, rows: np.ndarray | None = None) -> pa.Table:
        """Read metadata of some cells, in the order of the atlas; see `Snapshot.metadata`."""
        if columns is None:
            return super().metadata(columns, rows)
        with self._lock:
            absent = [name for name in columns if name not in self._columns]
            if absent:
                table = super().metadata(absent)
                self._columns.update({name: table.column(name) for name in table.column_names})
            known = {name: self._columns[name] for name in columns if name in self._columns}
        table = pa.table(known)
        return table if rows is None or rows.size == table.num_rows else table.take(pa.array(rows))

    @cached_property
    def _categories(self) -> dict[str, pd.Series]:
        return {}

    def frame(self, columns: list[str] | None = None, rows: np.ndarray | None = None) -> pd.DataFrame:
        """Read metadata as pandas; see `Snapshot.frame`."""
        if columns is None:
            return super().frame(columns, rows)
        table = self.metadata(columns)
        return pd.DataFrame({name: self._values(name, table.column(name), rows) for name in table.column_names})

    def _values(self, name: str, column: pa.ChunkedArray, rows: np.ndarray | None) -> Any:
        """Values of a column, text with few values as categories that were sorted once."""
        if not pa.types.is_dictionary(column.type):
            return (column if rows is None else column.take(pa.array(rows))).to_pandas().array
        if name not in self._categories:
            self._categories[name] = super().frame([name])[name]
        whole = self._categories[name]
        return whole.array if rows is None else whole.take(rows).cat.remove_unused_categories().array


class OpenAtlas:
    """One version of an atlas, and what is worked out once for it."""

    def __init__(self, name: str, snapshot: WarmSnapshot) -> None:
        self.name, self.snapshot = name, snapshot
        self.atlas = Atlas(snapshot)
        self.version = snapshot.manifest.sha256()
        self._lock = Lock()
        self._labels: dict[str, pd.Categorical] = {}

    @cached_property
    def facets(self) -> tuple[str, ...]:
        """Columns to filter by: those of text with few values."""
        wanted = [name for name in self.snapshot.columns if name != keys.BARCODE]
        table = self.snapshot.metadata(wanted)
        return tuple(
            name
            for name in table.column_names
            if pa.types.is_dictionary(table.schema.field(name).type)
            and len(self.labels(name).categories) <= MAX_FACET_VALUES
        )

    def labels(self, column: str) -> pd.Categorical:
        """Values of a text column in all cells, missing ones as "unknown"."""
        with self._lock:
            if column not in self._labels:
                values = self.snapshot.frame([column])[column]
                labels = values.cat.rename_categories([str(value) for value in values.cat.categories])
                if labels.isna().any():
                    known = keys.UNKNOWN in labels.cat.categories
                    labels = (labels if known else labels.cat.add_categories(keys.UNKNOWN)).fillna(keys.UNKNOWN)
                self._labels[column] = labels.array
            return self._labels[column]

    @cached_property
    def completions(self) -> list[tuple[str, str]]:
        """Gene names in upper case and as they are written, sorted."""
        labels = [str(label) for label in self.atlas.genes.labels.tolist()]
        return sorted((label.upper(), label) for label in labels if label)


class Shelf:
    """Atlases by name."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = dict(paths)
        self._lock = Lock()
        self._open: dict[str, tuple[tuple[int, ...], OpenAtlas]] = {}
        for name in self._paths:
            self.get(name)

    @property
    def names(self) -> list[str]:
        """Names of the atlases, in the order given."""
        return list(self._paths)

    def current(self, name: str) -> OpenAtlas | None:
        """Return the version that is open, if it is the newest; `None` where it has to be opened first."""
        with self._lock:
            stamp, found = self._open.get(name, ((), None))
        return found if found is not None and stamp == _stamp(self._paths[name]) else None

    def hide(self, text: str) -> str:
        """Put the names of atlases where a text has their folders."""
        for name, path in self._paths.items():
            for written in (path.resolve(), path):
                text = text.replace(str(written), name)
        return text

    def get(self, name: str) -> OpenAtlas:
        """Return the newest version of an atlas; whoever holds an older one keeps it.

        Raises
        ------
        UnknownName
            No atlas has this name.
        AtlasError
            It cannot be read any more.
        """
        if name not in self._paths:
            raise UnknownName(f"There is no atlas {name!r} here. There are: {', '.join(self._paths)}.")
        path = self._paths[name]
        with self._lock:
            stamp = _stamp(path)
            if name in self._open and self._open[name][0] == stamp:
                return self._open[name][1]
            opened = Snapshot.open(path)
            snapshot = WarmSnapshot(path, opened.manifest, opened.hold)
            found = self._open.get(name)
            if found is None or found[1].version != snapshot.manifest.sha256():
                self._open[name] = (stamp, OpenAtlas(name, snapshot))
            else:
                self._open[name] = (stamp, found[1])
            return self._open[name][1]


def names_of(paths: list[Path]) -> dict[str, Path]:
    """Name atlases after their folders.

    Raises
    ------
    InputError
        None is given, or two share a name.
    """
    if not paths:
        raise InputError("Name at least one atlas to serve.")
    found: dict[str, Path] = {}
    for path in paths:
        name = Path(path).resolve().name
        if name in found:
            raise InputError(
                f"Two atlases are called {name!r}: {found[name]} and {path}. Rename a folder, as the page tells them "
                "apart by name."
            )
        found[name] = Path(path)
    return found


def _stamp(path: Path) -> tuple[int, ...]:
    """Give what changes when a manifest is replaced."""
    try:
        found = (path / MANIFEST).stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ino, found.st_size
