"""Published attribution folders: one TileDB array and one table of cells for each cell type.

Nothing in such a folder says how the attributions were made, nor which genes a study measured. Whoever imports it
vouches that it was made the way of the atlas; all genes of the model count as measured.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import sparse

from insignia.atlas.sources import Source
from insignia.core import keys
from insignia.core.errors import AtlasMismatch, FileFormatError
from insignia.core.files import sha256_file
from insignia.core.optional import need
from insignia.data import Attributed, AttributionRecord
from insignia.data.matrix_rows import MatrixRows

__all__ = ["PublishedSource", "published_sources"]

_ARRAY: Final = "attributions"
_CELLS: Final = "cell_metadata.csv.gz"
_TYPE_COLUMN: Final = "prediction"
_WINDOW_VALUES: Final = 1 << 24
_FIRST_ROWS: Final = 2_048


def published_sources(
    folder: str | Path, *, record: AttributionRecord, n_genes: int, cell_types: Sequence[str] | None = None
) -> list[Source]:
    """Find the cell types of a published folder, or take one folder of a cell type.

    Parameters
    ----------
    folder
        The folder that holds one folder for each cell type, or one of these.
    record
        How the attributions were made: that of the atlas.
    n_genes
        Genes of the model.
    cell_types
        Names of folders to take; `None` takes all.

    Raises
    ------
    FileFormatError
        There is no such folder, or a cell type is not there.
    MissingDependency
        TileDB is not installed.
    """
    need("tiledb", extra="tiledb", purpose="Reading a published attribution folder")
    folder = Path(folder)
    here = [folder] if _is_published(folder) else sorted(path for path in folder.glob("*") if _is_published(path))
    if not here:
        raise FileFormatError(
            f"{folder} is no published attribution folder: expected {_ARRAY}/ (a TileDB array) and {_CELLS} in it, or "
            "in a folder for each cell type."
        )
    names = [path.name for path in here]
    absent = [name for name in cell_types or () if name not in names]
    if absent:
        raise FileFormatError(f"{folder} has no folder of the cell type {absent[0]!r}. It has: {', '.join(names)}.")
    wanted = [path for path in here if cell_types is None or path.name in cell_types]
    return [PublishedSource(path, keys.ATTRIBUTION, n_genes, record) for path in wanted]


def _is_published(path: Path) -> bool:
    return (path / _ARRAY).is_dir() and (path / _CELLS).is_file()


@dataclass(frozen=True, eq=False)
class PublishedSource(Source):
    """One cell type of a published folder."""

    record: AttributionRecord

    @property
    def _folder(self) -> Path:
        assert isinstance(self.thing, Path)
        return self.thing

    def origin(self) -> dict[str, str]:
        """Name of the folder, and hash of its table of cells."""
        return {"name": self.name, "sha256": sha256_file(self._folder / _CELLS)}

    @contextmanager
    def opened(self) -> Iterator[Attributed]:
        """Give the attributed cells, also those without values, for as long as the body runs."""
        tiledb = need("tiledb", extra="tiledb", purpose="Reading a published attribution folder")
        obs = self._obs()
        try:
            array = tiledb.open(str(self._folder / _ARRAY))
        except tiledb.TileDBError as error:
            raise FileFormatError(f"{self._folder / _ARRAY} cannot be opened as a TileDB array ({error}).") from error
        with array:
            self._check(array, len(obs))
            everything = np.arange(self.n_genes), np.ones(self.n_genes, dtype=bool)
            rows = MatrixRows(_Window(array, (len(obs), self.n_genes)))
            yield Attributed(self.record, *everything, obs, rows)

    def _obs(self) -> pd.DataFrame:
        path = self._folder / _CELLS
        try:
            obs = pd.read_csv(path, low_memory=False)
        except (OSError, EOFError, ValueError) as error:
            raise FileFormatError(f"{path} cannot be read as a table ({error}). Fetch it again.") from error
        if _TYPE_COLUMN not in obs:
            obs[_TYPE_COLUMN] = self.name
        # the tables name no cells
        obs.index = pd.Index([f"{self.name}:{row}" for row in range(len(obs))])
        return obs

    def _check(self, array: Any, n_cells: int) -> None:
        domain = array.schema.domain
        names = [domain.dim(number).name for number in range(domain.ndim)]
        attributes = [array.schema.attr(number).name for number in range(array.schema.nattr)]
        if not array.schema.sparse or names != ["x", "y"] or attributes != ["vals"]:
            raise FileFormatError(
                f"{self._folder / _ARRAY} has another layout: expected a sparse array with dimensions x (cell) and y "
                f"(gene) and the attribute vals; found {', '.join(names)} and {', '.join(attributes)}."
            )
        n_genes = int(domain.dim("y").domain[1]) + 1
        if n_genes != self.n_genes:
            raise AtlasMismatch(
                f"{self.name} holds attributions of {n_genes:,} genes and the atlas is of a model with "
                f"{self.n_genes:,}. Create the atlas with the model that the folder was made with."
            )
        stored = array.nonempty_domain()
        if stored is not None and int(stored[0][1]) >= n_cells:
            raise FileFormatError(
                f"{self.name} has values of a cell {int(stored[0][1]):,} and {_CELLS} ends after {n_cells:,} cells. "
                "The two do not belong together: fetch both again."
            )


class _Window:
    """Rows of an array that is stored by genes, through a window of rows of about `_WINDOW_VALUES` values."""

    def __init__(self, array: Any, shape: tuple[int, int]) -> None:
        self._array, self.shape = array, shape
        self._first, self._window = 0, sparse.csr_matrix((0, shape[1]), dtype=np.float32)
        self._n_rows = _FIRST_ROWS

    def __getitem__(self, rows: slice) -> sparse.csr_matrix:
        start, stop = int(rows.start), int(rows.stop)
        if start < self._first or stop > self._first + self._window.shape[0]:
            end = min(max(stop, start + self._n_rows), self.shape[0])
            self._first, self._window = start, self._load(start, end)
            self._n_rows = max(1, (end - start) * _WINDOW_VALUES // max(1, self._window.nnz))
        return self._window[start - self._first : stop - self._first]

    def _load(self, start: int, stop: int) -> sparse.csr_matrix:
        shape = (stop - start, self.shape[1])
        if start == stop:
            return sparse.csr_matrix(shape, dtype=np.float32)
        found = self._array.query(attrs=["vals"], dims=["x", "y"], order="U").multi_index[start : stop - 1, :]
        rows = found["x"].astype(np.int64) - start
        return sparse.csr_matrix((found["vals"], (rows, found["y"].astype(np.int64))), shape=shape, dtype=np.float32)
