"""One version of an atlas, as a reader sees it: later additions do not change it."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from insignia.atlas.layout import GAP_COLUMN, GENES, OBS, SEGMENTS, SUM_COLUMN
from insignia.atlas.manifest import Manifest, SegmentEntry
from insignia.atlas.segment import SegmentCache, read_header
from insignia.atlas.versions import Hold, open_version
from insignia.core import keys
from insignia.core.errors import AtlasDamaged, AtlasError
from insignia.core.files import sha256_file
from insignia.genes import GeneVocabulary

if TYPE_CHECKING:
    from insignia.atlas.screens.grouping import GroupCache

__all__ = ["Snapshot", "joined", "refuse_no_text", "write_genes"]


def refuse_no_text(path: Path) -> None:
    """Refuse a place whose name is no text: Parquet and DuckDB take only names in UTF-8."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise AtlasError(
            f"An atlas must lie at a path that is UTF-8 text, and {str(path)!a} is not. Rename the folder."
        ) from None


def write_genes(path: Path, genes: GeneVocabulary) -> str:
    """Write the gene table, and return the hash of the file."""
    table = pa.Table.from_pandas(genes.frame(), preserve_index=False).replace_schema_metadata(
        {"organism": genes.organism}
    )
    pq.write_table(table, path)
    return sha256_file(path)


@dataclass(frozen=True)
class Snapshot:
    """A manifest and what it names, which stays on disk for as long as the hold lives."""

    path: Path
    manifest: Manifest
    hold: Hold | None = field(default=None, compare=False, repr=False)

    @classmethod
    def open(cls, path: Path) -> "Snapshot":
        """Open an atlas as it is now."""
        refuse_no_text(path)
        return cls(path, *open_version(path))

    def __reduce__(self) -> tuple[Any, ...]:
        # without what is open: another process opens it again
        return type(self), (self.path, self.manifest, self.hold)

    @cached_property
    def genes(self) -> GeneVocabulary:
        """The gene table."""
        path = self.path / GENES
        try:
            if sha256_file(path) != self.manifest.genes.sha256:
                raise ValueError("its sha256 is not the one that the manifest names")
            table = pq.read_table(io.BytesIO(path.read_bytes()))
            _check_texts(table.schema, ("symbol", "id"))
            organism = (table.schema.metadata or {}).get(b"organism", b"unknown").decode()
            return GeneVocabulary.from_frame(table.to_pandas(), organism)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise AtlasDamaged(f"{path} is damaged: {error}. Put back a copy of this one file.") from error

    @cached_property
    def segments(self) -> SegmentCache:
        """Its segments, opened when asked for."""
        return SegmentCache(self.path, self.manifest.segments, self.manifest.genes.count)

    @cached_property
    def groups(self) -> "GroupCache":
        """Means over groups of its cells, computed when asked for."""
        from insignia.atlas.screens.grouping import GroupCache

        return GroupCache(self)

    @cached_property
    def _checked(self) -> set[str]:
        """Segments whose metadata are known to be what was written."""
        return set()

    @cached_property
    def first_rows(self) -> np.ndarray:
        """Row of the atlas at which each segment starts, and the number of cells at the end, (segments + 1,)."""
        return np.cumsum([0, *(entry.cells for entry in self.manifest.segments)], dtype=np.int64)

    @property
    def columns(self) -> list[str]:
        """Names of the metadata columns."""
        return [*keys.METADATA, GAP_COLUMN, SUM_COLUMN, *self.manifest.columns]

    def metadata(self, columns: list[str] | None = None, rows: np.ndarray | None = None) -> pa.Table:
        """Read metadata of some cells, in the order of the atlas.

        Parameters
        ----------
        columns
            `None` reads all. A column that a segment lacks is null there.
        rows
            Rows of the atlas in ascending order; `None` reads all cells.
        """
        tables = []
        for entry, first in zip(self.manifest.segments, self.first_rows.tolist(), strict=False):
            here = None
            if rows is not None:
                low, high = np.searchsorted(rows, [first, first + entry.cells])
                if low == high:
                    continue
                here = rows[low:high] - first
            table = self.segment_metadata(entry, columns)
            tables.append(table if here is None or here.size == entry.cells else table.take(here))
        if not tables:
            return pa.table({name: pa.array([], pa.string()) for name in columns or []})
        return joined(self.path, tables)

    def frame(self, columns: list[str] | None = None, rows: np.ndarray | None = None) -> pd.DataFrame:
        """Read metadata as pandas, text as categoricals with sorted categories; see `metadata`."""
        frame: pd.DataFrame = self.metadata(columns, rows).to_pandas()
        for name, column in frame.select_dtypes("category").items():
            used = column.cat.remove_unused_categories()
            frame[name] = used.cat.reorder_categories(sorted(used.cat.categories))
        return frame

    def segment_metadata(self, entry: SegmentEntry, columns: list[str] | None = None) -> pa.Table:
        """Read metadata of one segment; `None` reads all columns, and one that it lacks is left out.

        Raises
        ------
        AtlasDamaged
            The file is not the one that was written; its hash is looked at once.
        """
        path, cells = self.path / SEGMENTS / entry.id / OBS, entry.cells
        try:
            if entry.id not in self._checked:
                if sha256_file(path) != read_header(path.parent, entry)["files"][OBS]["sha256"]:
                    raise ValueError("its sha256 is not the one in its header")
                self._checked.add(entry.id)
            with pq.ParquetFile(path) as file:
                present = file.schema_arrow.names
                _check_texts(file.schema_arrow, keys.METADATA)
                table = file.read(columns=None if columns is None else [name for name in columns if name in present])
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            if isinstance(error, AtlasDamaged):
                raise
            raise _damaged(path, str(error)) from error
        if table.num_rows != cells:
            raise _damaged(path, f"it holds {table.num_rows:,} rows for {cells:,} cells")
        return table


def joined(path: Path, tables: Sequence[pa.Table]) -> pa.Table:
    """Put metadata of segments under each other.

    Raises
    ------
    AtlasDamaged
        A column is of kinds that cannot be joined.
    """
    try:
        return pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
    except pa.ArrowException as error:
        raise AtlasDamaged(
            f"Metadata of the segments of {path} do not fit together: {error}. `insignia atlas verify` says which "
            "files were changed; put back copies of them."
        ) from error


def _check_texts(schema: pa.Schema, columns: Sequence[str]) -> None:
    """Refuse a table that holds a column twice, or one of these columns not at all or not as text."""
    names = schema.names
    if len(set(names)) < len(names):
        raise ValueError("it holds a column twice")
    for name in columns:
        kind = schema.field(name).type if name in names else None
        kind = kind.value_type if kind is not None and pa.types.is_dictionary(kind) else kind
        if kind is None or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise ValueError(f"its column {name!r} holds {'nothing' if kind is None else kind} where text belongs")


def _damaged(path: Path, what: str) -> AtlasDamaged:
    return AtlasDamaged(f"{path} is damaged: {what}. Put back a copy of this file, or build the atlas again.")
