"""Attributed cells, read block by block in the gene order of the model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata
from insignia.data.attribution_record import AttributionRecord
from insignia.data.matrix_rows import MatrixRows

__all__ = ["Attributed"]

_SUM_TOLERANCE: Final = 1e-3
_REMEDY: Final = "Run ins.tl.attribute(adata, model) first"


@dataclass(frozen=True, eq=False)
class Attributed:
    """Attributions of cells, in memory or in a file, brought to the gene order of the model as they are read.

    Make it with `from_adata`.

    Parameters
    ----------
    record
        How the attributions were made.
    index
        (genes of the data,) int64, position of each gene in the model's gene table, -1 where the model lacks it.
    measured
        (genes of the model,) whether the data measured the gene.
    obs
        Metadata of the cells, with the completeness gap and the row sum before scaling.
    obsm
        Further arrays with one row a cell, such as embeddings.
    """

    record: AttributionRecord
    index: np.ndarray
    measured: np.ndarray
    obs: pd.DataFrame
    _rows: MatrixRows = field(repr=False)
    obsm: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_adata(cls, adata: AnnData, *, key: str = keys.ATTRIBUTION, n_genes: int) -> "Attributed":
        """Find the attributions of an AnnData object, in memory or backed by a file.

        Parameters
        ----------
        adata
            Cells with `layers[key]`, `var[f"{key}_index"]` and `uns[key]`.
        key
            Name under which the attributions were stored.
        n_genes
            Number of genes of the model.

        Raises
        ------
        MissingMetadata
            Attributions, the positions of their genes or their record are absent.
        InputError
            A gene's position is not within the model's gene table.
        """
        if key not in adata.layers:
            raise MissingMetadata(
                f"adata has no attributions: layer {key!r} is absent (layers: {', '.join(adata.layers) or 'none'}). "
                f"{_REMEDY}, or name the layer with key=."
            )
        if key not in adata.uns:
            raise MissingMetadata(f"adata.uns[{key!r}] is absent, so how layer {key!r} was made is unknown. {_REMEDY}.")
        index = _index(adata.var, key, n_genes)
        measured = np.zeros(n_genes, dtype=bool)
        measured[index[index >= 0]] = True
        record = AttributionRecord.from_dict(adata.uns[key])
        return cls(record, index, measured, adata.obs, MatrixRows.from_adata(adata, key), adata.obsm)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self._rows.shape[0]

    def blocks(self, size: int) -> Iterator[sparse.csr_matrix]:
        """Read all cells in order, `size` at a time: (cells, genes of the model), CSR float32, sorted columns.

        Values of several data genes that are one gene of the model are summed. May be called again.

        Raises
        ------
        InputError
            Values are NaN or infinite, negative though recorded as absolute, or rows do not add up to the recorded
            scale, so that genes were dropped after the attribution. Rows without any value are fine.
        """
        for start in range(0, self.n_cells, size):
            stop = min(start + size, self.n_cells)
            matrix = self._to_model(sparse.csr_matrix(self._rows.read(start, stop)))
            self._check(matrix, start)
            yield matrix

    def _to_model(self, values: Any) -> sparse.csr_matrix:
        if np.array_equal(self.index, np.arange(len(self.measured))):
            # all genes in the order of the model: nothing to move
            matrix = sparse.csr_matrix(values, dtype=np.float32)
            matrix.sum_duplicates()
            return matrix
        places = self.index[values.indices]
        known = places >= 0
        ends = np.concatenate([[0], np.cumsum(known)])[values.indptr]
        shape = (values.shape[0], len(self.measured))
        matrix = sparse.csr_matrix((values.data[known].astype(np.float32), places[known], ends), shape=shape)
        matrix.sum_duplicates()
        return matrix

    def _check(self, matrix: sparse.csr_matrix, start: int) -> None:
        sizes = abs(matrix)
        sums = np.asarray(sizes.sum(axis=1, dtype=np.float64)).ravel()
        self._refuse(~np.isfinite(sums), start, "hold attributions that are NaN or infinite", "Attribute them again.")
        if self.record.sign == "absolute":
            negative = np.diff(np.concatenate([[0], np.cumsum(matrix.data < 0)])[matrix.indptr]) > 0
            remedy = "Attribute them again, or correct the record."
            self._refuse(negative, start, "hold negative attributions though they are recorded as absolute", remedy)
        if self.record.scale:
            off = (abs(sums - self.record.scale) > _SUM_TOLERANCE * self.record.scale) & (sums > 0)
            found = f" (the first adds up to {sums[off][0]:.5g})" if off.any() else ""
            self._refuse(
                off,
                start,
                f"hold attributions whose absolute values do not add up to {self.record.scale:g}{found}: "
                "genes were dropped or values changed after the attribution",
                "Take the cells as they were before, or attribute them again.",
            )

    def _refuse(self, bad: np.ndarray, start: int, problem: str, remedy: str) -> None:
        if bad.any():
            culprits = list(self.obs.index[start + np.flatnonzero(bad)[:3]])
            raise InputError(f"{int(bad.sum()):,} of {len(bad):,} cells, e.g. {culprits}, {problem}. {remedy}")


def _index(var: pd.DataFrame, key: str, n_genes: int) -> np.ndarray:
    column = keys.gene_index(key)
    if column not in var:
        raise MissingMetadata(f"adata.var[{column!r}], the genes' positions in the model, is absent. {_REMEDY}.")
    index = var[column].to_numpy(dtype=np.float64, na_value=np.nan)
    if not ((index >= -1) & (index < n_genes) & (index == np.rint(index))).all():
        raise InputError(
            f"adata.var[{column!r}] must hold positions from -1 to {n_genes - 1}, for a model of {n_genes:,} genes, "
            f"and holds {np.nanmin(index):g} to {np.nanmax(index):g}. Was another model used? {_REMEDY}."
        )
    return index.astype(np.int64)
