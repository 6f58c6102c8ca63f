"""The cells of an AnnData object, checked at the door and read block by block."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from insignia.core.errors import DuplicateNames, InputError, InputSpaceError
from insignia.data.input_space import InputSpace, Names, check_space, detect_space
from insignia.data.log_scale import log_scale, was_logged_twice
from insignia.data.matrix_rows import MatrixRows
from insignia.genes import GeneAlignment, GeneVocabulary

__all__ = ["Cells", "Expression"]

_SAMPLE_ROWS: Final = 1024
_SCALE_ROWS: Final = 512
_SUM_GENES: Final = (
    "use Ensembl ids as var_names; or keep the symbols, adata.var['symbol'] = adata.var_names, then "
    "adata.var_names_make_unique(), and pass gene_symbols='symbol', which sums the columns of a gene (without it, only "
    "the first of them counts)"
)


@dataclass(frozen=True, eq=False)
class Cells:
    """A block of cells.

    Parameters
    ----------
    matrix
        (cells, genes), CSR float32 with sorted columns.
    space
        What it holds: ``"counts"`` or ``"log1p"``.
    obs
        Metadata of the cells, in order.
    """

    matrix: sparse.csr_matrix
    space: InputSpace
    obs: pd.DataFrame

    def aligned(self, alignment: GeneAlignment) -> "Cells":
        """Bring the cells to the genes of a model, in its order."""
        return Cells(alignment.apply(self.matrix, self.space), self.space, self.obs)


@dataclass(frozen=True, eq=False)
class Expression:
    """Expression of cells, in memory or in a file, of which blocks of rows are read one at a time.

    Make it with `from_adata`. The AnnData object is not changed, and a file behind it stays open.

    Parameters
    ----------
    genes
        Genes of the data, in the order of the columns.
    space
        What the matrix holds, declared by the caller or detected on a sample of rows.
    is_declared
        The caller said which space it is.
    obs
        Metadata of the cells.
    what
        How messages call the matrix.
    """

    genes: GeneVocabulary
    space: InputSpace
    is_declared: bool
    obs: pd.DataFrame
    what: str
    _rows: MatrixRows = field(repr=False)
    _var_names: pd.Index = field(repr=False)

    @classmethod
    def from_adata(
        cls,
        adata: AnnData,
        *,
        layer: str | None = None,
        input_space: InputSpace | None = None,
        gene_symbols: str | None = None,
        gene_ids: str | None = None,
        organism: str | None = None,
    ) -> "Expression":
        """Check the cells of an AnnData object and make them readable in blocks.

        Parameters
        ----------
        adata
            Cells, in memory or backed by a file; dense, CSR or CSC; a view is fine.
        layer
            Where expression is; `None` reads `adata.X`.
        input_space
            What it holds. `None` detects it on a spread sample of rows; each block is checked again when read.
        gene_symbols, gene_ids
            Columns of `adata.var` with gene symbols and Ensembl ids. `None` looks for the usual ones.
        organism
            `None` tells it from the gene names.

        Raises
        ------
        InputSpaceError
            The values are neither counts nor log1p of counts, or not what `input_space` says.
        DuplicateNames
            Names of cells or genes repeat.
        MissingMetadata
            The layer or a named column is absent.
        InputError
            There are no cells or no genes.
        """
        _refuse_empty(adata)
        _refuse_duplicates(adata.obs_names, "obs_names", "adata.obs_names_make_unique()")
        _refuse_duplicates(adata.var_names, "var_names", _SUM_GENES)
        genes = GeneVocabulary.from_var(adata.var, gene_symbols=gene_symbols, gene_ids=gene_ids, organism=organism)
        rows = MatrixRows.from_adata(adata, layer)
        what = "adata.X" if layer is None else f"layer {layer!r}"
        try:
            space = _space_of(rows, input_space, what, (adata.obs_names, adata.var_names))
        except InputSpaceError as error:
            raise InputSpaceError(f"{error}{_alternatives(adata, layer)}") from None
        return cls(genes, space, input_space is not None, adata.obs, what, rows, adata.var_names)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self._rows.shape[0]

    def block(self, start: int, stop: int) -> Cells:
        """Read and check the cells from `start` up to `stop`."""
        obs = self.obs.iloc[start:stop]
        values = self._rows.read(start, stop)
        names = (obs.index, self._var_names)
        check_space(values, self.space, declared=self.is_declared, what=self.what, names=names)
        matrix = sparse.csr_matrix(values).astype(np.float32, copy=False)
        matrix.sum_duplicates()
        return Cells(matrix, self.space, obs)

    def blocks(self, size: int) -> Iterator[tuple[slice, Cells]]:
        """Read all cells in order, `size` at a time, each block with its place."""
        for start in range(0, self.n_cells, size):
            stop = min(start + size, self.n_cells)
            yield slice(start, stop), self.block(start, stop)

    def rows(self, start: int, stop: int) -> "Expression":
        """Narrow to the cells from `start` up to `stop`, which are read when asked for.

        What all cells said about the input space holds for the part.

        Raises
        ------
        InputError
            There are no such cells.
        """
        if not 0 <= start < stop <= self.n_cells:
            raise InputError(f"Expected a range of rows within 0 to {self.n_cells:,}; found {start:,} to {stop:,}.")
        return self.take(np.arange(start, stop))

    def sample(self, n_cells: int) -> "Expression":
        """Take `n_cells` cells, spread evenly, or all if there are fewer, into memory."""
        positions = np.linspace(0, self.n_cells - 1, min(n_cells, self.n_cells)).astype(int)
        chosen = self.take(positions)
        return replace(chosen, _rows=MatrixRows(chosen.block(0, len(positions)).matrix))

    def expressed(self, n_cells: int = 256) -> np.ndarray:
        """Tell which genes are expressed in any of `n_cells` cells, spread evenly: (genes,) bool."""
        _, values = self._rows.sample(n_cells)
        return np.asarray((sparse.csr_matrix(values) != 0).sum(axis=0)).ravel() > 0

    def log_scale(self) -> float:
        """Total to which the counts under log1p were scaled, from cells spread evenly; NaN where their totals vary.

        Raises
        ------
        InputSpaceError
            The logarithm was taken twice.
        """
        _, values = self._rows.sample(_SCALE_ROWS)
        scale = log_scale(values)
        if np.isnan(scale) and was_logged_twice(values):
            raise InputSpaceError(
                f"{self.what} holds logarithms taken twice: cells have equal totals once two are undone. Pass a layer "
                "with counts, or undo one: adata.X = np.expm1(adata.X)."
            )
        return scale

    def take(self, positions: np.ndarray) -> "Expression":
        """Narrow to the cells at some positions, in their order, which are read when asked for; see `rows`."""
        return replace(self, obs=self.obs.iloc[positions], _rows=self._rows.selected(positions))


def _space_of(rows: MatrixRows, declared: InputSpace | None, what: str, names: Names) -> InputSpace:
    positions, values = rows.sample(_SAMPLE_ROWS)
    sampled = (names[0][positions], names[1])
    if declared is None:
        return detect_space(values, what=what, names=sampled)
    check_space(values, declared, what=what, names=sampled)
    return declared


def _refuse_empty(adata: AnnData) -> None:
    if 0 in adata.shape:
        raise InputError(f"adata holds {adata.n_obs:,} cells and {adata.n_vars:,} genes: there is nothing to read.")


def _refuse_duplicates(names: pd.Index, what: str, remedy: str) -> None:
    if not names.is_unique:
        repeated = names[names.duplicated()].unique()
        raise DuplicateNames(
            f"{what} must be unique, and {len(repeated):,} of them repeat, e.g. {list(repeated[:3])}. Remedy: {remedy}."
        )


def _alternatives(adata: AnnData, layer: str | None) -> str:
    """Say where else in the object usable values are."""
    places: dict[str, tuple[str, Callable[[], MatrixRows]]] = {}
    if layer is not None:
        places["adata.X"] = ("layer=None", partial(MatrixRows.from_adata, adata, None))
    for name in adata.layers:
        if name != layer:
            places[f"layer {name!r}"] = (f"layer={name!r}", partial(MatrixRows.from_adata, adata, name))
    if adata.raw is not None:
        raw = adata.raw.X
        loaded = "adata" if isinstance(raw, np.ndarray) or sparse.issparse(raw) else "adata.to_memory()"
        places["adata.raw"] = (f"{loaded}.raw.to_adata()", partial(MatrixRows, raw))
    spaces = {place: _space_or_none(find) for place, (_, find) in places.items()}
    found = [f"{place} holds {space}: pass {places[place][0]}" for place, space in spaces.items() if space]
    return f" In this object {'; '.join(found)}." if found else ""


def _space_or_none(find: Callable[[], MatrixRows]) -> InputSpace | None:
    try:
        return detect_space(find().sample(_SAMPLE_ROWS)[1])
    except InputError:
        return None
