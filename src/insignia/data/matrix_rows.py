"""Blocks of rows of a matrix, wherever it lies: dense, CSR or CSC, in memory or in a file, whole or viewed.

A file stored by columns (CSC) gives rows only after a pass over all its values, so such a matrix is read
in wide windows of rows, each held as CSR while its blocks are asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from anndata import AnnData
from anndata.abc import CSCDataset, CSRDataset
from scipy import sparse

from insignia.core.errors import FileFormatError, InputSpaceError, MissingMetadata

__all__ = ["MatrixRows"]

_WINDOW_VALUES: Final = 1 << 24
_CHUNK_VALUES: Final = 1 << 22
_RUN_ROWS: Final = 64


class MatrixRows:
    """Rows of a matrix, or of a selection of its rows and columns.

    Parameters
    ----------
    matrix
        (cells, genes): an array, a scipy matrix, or their counterparts in an open h5ad or zarr file.
    rows, columns
        Positions that are selected, in order; `None` selects all.

    Raises
    ------
    FileFormatError
        When rows are read: the file is damaged there.
    InputSpaceError
        When rows are read: they are no real numbers.
    """

    def __init__(self, matrix: Any, rows: np.ndarray | None = None, columns: np.ndarray | None = None) -> None:
        self._file = matrix.file if isinstance(matrix, _ColumnStore) else _file_of(matrix)
        self._matrix = _ColumnStore(matrix) if _is_csc(matrix) else matrix
        self._rows, self._columns = rows, columns
        n_rows, n_columns = matrix.shape
        self.shape = (n_rows if rows is None else len(rows), n_columns if columns is None else len(columns))

    @classmethod
    def from_adata(cls, adata: AnnData, layer: str | None) -> "MatrixRows":
        """Find `adata.X` or a layer; a view is read through what it views, so that it never loads as a whole."""
        # anndata has no public way from a view to what it views
        parent = adata._adata_ref if adata.is_view else adata
        matrix = parent.X if layer is None else _layer(parent, layer)
        if matrix is None:
            raise MissingMetadata(f"adata.X is empty. Pass layer=, one of: {', '.join(adata.layers) or 'none there'}.")
        if not adata.is_view:
            return cls(matrix)
        return cls(matrix, np.arange(parent.n_obs)[adata._oidx], np.arange(parent.n_vars)[adata._vidx])

    def read(self, start: int, stop: int) -> Any:
        """Rows from `start` up to `stop`, (rows, columns), as CSR or as an array, in the stored number type."""
        with _damage_named(self._file, f"rows {start:,} to {stop - 1:,}"):
            block = self._block(start, stop)
            if self._file is not None and sparse.issparse(block):
                block.check_format(full_check=True)
        if block.dtype.kind not in "biuf":
            raise InputSpaceError(
                f"The matrix holds {block.dtype}, which is no kind of real numbers. Convert it first."
            )
        if block.dtype == np.float16:
            # scipy has no sparse matrices of it
            block = np.asarray(block, dtype=np.float32)
        if self._columns is not None:
            block = block[:, self._columns]
        return sparse.csr_matrix(block) if sparse.issparse(block) else np.asarray(block)

    def _block(self, start: int, stop: int) -> Any:
        if self._rows is None:
            return self._matrix[start:stop]
        # files want increasing positions without repeats
        rows, order = np.unique(self._rows[start:stop], return_inverse=True)
        return self._matrix[_as_slice(rows)][order]

    def selected(self, positions: np.ndarray) -> "MatrixRows":
        """Rows at these positions, in their order; nothing is read yet."""
        return MatrixRows(self._matrix, positions if self._rows is None else self._rows[positions], self._columns)

    def sample(self, n_rows: int) -> tuple[np.ndarray, Any]:
        """Positions and values of about `n_rows` rows, spread evenly where that is cheap; of all if there are fewer."""
        n_all = self.shape[0]
        if n_all <= n_rows:
            return np.arange(n_all), self.read(0, n_all)
        if isinstance(self._matrix, _ColumnStore) and self._matrix.window_rows < self._matrix.shape[0]:
            return np.arange(n_rows), self.read(0, n_rows)
        starts = np.linspace(0, n_all - _RUN_ROWS, max(1, n_rows // _RUN_ROWS)).astype(int)
        blocks = [self.read(start, start + _RUN_ROWS) for start in starts]
        positions = np.concatenate([np.arange(start, start + _RUN_ROWS) for start in starts])
        return positions, sparse.vstack(blocks, format="csr") if sparse.issparse(blocks[0]) else np.vstack(blocks)


class _ColumnStore:
    """Rows of a CSC matrix through a window of rows, of about `_WINDOW_VALUES` values."""

    def __init__(self, matrix: Any) -> None:
        store = matrix.group if isinstance(matrix, CSCDataset) else None
        self._data = matrix.data if store is None else store["data"]
        self._indices = matrix.indices if store is None else store["indices"]
        self.shape, self.file = matrix.shape, _file_of(matrix)
        with _damage_named(self.file, "places of genes"):
            self._indptr = np.asarray(matrix.indptr if store is None else store["indptr"][:])
        n_values = max(1, int(self._indptr[-1]))
        self.window_rows = max(1, min(self.shape[0], _WINDOW_VALUES * self.shape[0] // n_values))
        self._first, self._window = 0, sparse.csr_matrix((0, self.shape[1]), dtype=self._data.dtype)

    def __getitem__(self, rows: slice | np.ndarray) -> Any:
        positions = np.arange(self.shape[0])[rows]
        if not len(positions):
            return self._window[:0]
        start, stop = positions[0], positions[-1] + 1
        if stop - start > self.window_rows:
            return self._load(positions)
        if start < self._first or stop > self._first + self._window.shape[0]:
            self._first = start
            self._window = self._load(np.arange(start, min(start + self.window_rows, self.shape[0])))
        return self._window[_as_slice(positions - self._first)]

    def _load(self, wanted: np.ndarray) -> Any:
        """Pass over all values and keep those of the wanted rows."""
        place = np.full(self.shape[0], -1, dtype=np.int32)
        place[wanted] = np.arange(len(wanted), dtype=np.int32)
        rows, columns, values = [], [], []
        for low in range(0, int(self._indptr[-1]), _CHUNK_VALUES):
            positions = np.asarray(self._indices[low : low + _CHUNK_VALUES])
            if positions.size and not 0 <= positions.min() <= positions.max() < self.shape[0]:
                raise ValueError(f"a value stands in row {positions.max():,} of {self.shape[0]:,}")
            found = place[positions]
            keep = np.flatnonzero(found >= 0)
            rows.append(found[keep])
            columns.append(np.searchsorted(self._indptr, low + keep, side="right") - 1)
            values.append(np.asarray(self._data[low : low + _CHUNK_VALUES])[keep])
        shape = (len(wanted), self.shape[1])
        if not rows:
            return sparse.csr_matrix(shape, dtype=self._data.dtype)
        return sparse.csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=shape)


def _file_of(matrix: Any) -> str | None:
    """Name of the file in which a matrix lies; `None` for one in memory."""
    store = matrix.group if isinstance(matrix, CSRDataset | CSCDataset) else matrix
    if isinstance(store, np.ndarray) or sparse.issparse(store):
        return None
    file = getattr(getattr(store, "file", None), "filename", None)
    return str(file or getattr(store, "store", type(store).__name__))


@contextmanager
def _damage_named(file: str | None, what: str) -> Iterator[None]:
    """Turn what a library stumbles over in a file into an error that names it."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, MemoryError) as error:
        if file is None:
            raise
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise FileFormatError(
            f"{file} cannot be read in its {what} ({told}). Is it damaged or cut short? Fetch or write it again."
        ) from error


def _is_csc(matrix: Any) -> bool:
    return isinstance(matrix, CSCDataset) or (sparse.issparse(matrix) and matrix.format == "csc")


def _as_slice(rows: np.ndarray) -> slice | np.ndarray:
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _layer(adata: AnnData, layer: str) -> Any:
    if layer not in adata.layers:
        raise MissingMetadata(f"adata has no layer {layer!r}. It has: {', '.join(adata.layers) or 'none'}.")
    return adata.layers[layer]
