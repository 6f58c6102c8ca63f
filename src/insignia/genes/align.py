"""Bring the genes of a data set into the order of a model, and attributions back."""

import warnings
from functools import cached_property
from typing import Any, Final

import numpy as np
from scipy import sparse

from insignia.core.errors import CoverageWarning, GeneMatchError, InputSpaceError
from insignia.genes.advice import refusal
from insignia.genes.match import GeneMatch, Resolution, report, resolve
from insignia.genes.renames import Renames
from insignia.genes.vocabulary import GeneVocabulary

__all__ = ["GeneAlignment"]

_LITTLE: Final = 0.5
_SPACES: Final = ("counts", "log1p")


class GeneAlignment:
    """Which model gene each gene of the data is.

    Parameters
    ----------
    data
        Genes of the data.
    model
        Genes of the model.
    min_overlap
        Smallest fraction of the model's genes that the data must measure.
    expressed
        (data genes,) which of them are expressed, for a model that reads a cell as the list of its expressed genes: the
        fraction is then that of these genes that the model knows.
    renames
        As for `match_genes`.

    Attributes
    ----------
    match
        Report on the model's genes: which of them the data measures, under which name.
    index
        (data genes,) int32 position in the model, -1 where the model lacks the gene.
    measured
        (model genes,) whether the data measures each gene of the model.

    Raises
    ------
    GeneMatchError
        Nothing matches, or less than `min_overlap`.
    OrganismMismatch
        Both organisms are known and differ.

    Warns
    -----
    CoverageWarning
        The data measures less than half of the model's genes, or the model knows less than half of those expressed.
    """

    def __init__(
        self,
        data: GeneVocabulary,
        model: GeneVocabulary,
        *,
        min_overlap: float = 0.05,
        expressed: np.ndarray | None = None,
        renames: Renames | None = None,
    ) -> None:
        found = resolve(data, model, renames)
        self.n_genes = len(model)
        self.index = found.index.astype(np.int32)
        self.measured = np.zeros(self.n_genes, dtype=bool)
        self.measured[self.index[self.index >= 0]] = True
        self.match = _model_report(data, model, found)
        coverage, found_text, warning = self._coverage(data, expressed)
        if not self.measured.any() or coverage < min_overlap:
            raise GeneMatchError(refusal(data, model, found_text, min_overlap))
        if coverage < _LITTLE:
            warnings.warn(f"{warning}.", CoverageWarning, 2)

    def __repr__(self) -> str:
        return (
            f"GeneAlignment({len(self.index):,} data genes -> {self.measured.sum():,} of {self.n_genes:,} model genes)"
        )

    def _coverage(self, data: GeneVocabulary, expressed: np.ndarray | None) -> tuple[float, str, str]:
        """Say which share of genes met, the model's or those that the cells express; in words, and in a warning."""
        if expressed is None or not expressed.any():
            match = self.match
            text = f"{match.n_found:,} of {self.n_genes:,} model genes found in var_names ({match.coverage:.1%})"
            return match.coverage, text, f"The data measures few of the model's genes: {match.summary()}"
        known = self.index[expressed] >= 0
        absent = ", ".join(data.labels[expressed][~known][:3])
        share = f"{known.sum():,} of {len(known):,} genes that the cells express ({known.mean():.1%})"
        text = f"The model knows {share}{f', not e.g. {absent}' if absent else ''}"
        return float(known.mean()), text, text

    def apply(self, matrix: Any, space: str) -> sparse.csr_matrix:
        """Bring (cells, data genes) to (cells, model genes).

        Several data genes of one model gene add up as counts do: log1p values are added in expm1 space.

        Parameters
        ----------
        matrix
            (cells, data genes), sparse or dense.
        space
            ``"counts"`` or ``"log1p"``.

        Returns
        -------
        (cells, model genes) float32 with sorted indices and no explicit zeros. Genes that the data does not
        measure are empty: ask `measured` before reading a zero as "not expressed".
        """
        matrix = _checked(matrix, space, len(self.index))
        one = _relabel(matrix, self._single_target, self.n_genes, is_sorted=self._is_sorted)
        if not len(self._shared_data):
            return one
        many = self._shared_amounts(matrix, space) @ self._groups
        many.data = np.log1p(many.data) if space == "log1p" else many.data
        return _canonical(one + _relabel(many, self._shared_models, self.n_genes, is_sorted=False))

    def back(self, values: Any, matrix: Any, space: str) -> sparse.csr_matrix:
        """Bring attributions of model genes back to the genes of the data.

        A model gene with several data genes is shared among them in proportion to their counts in the cell, equally
        where all of them are 0. Values of model genes that the data does not measure have no column to go to.

        Parameters
        ----------
        values
            (cells, model genes) attributions.
        matrix
            (cells, data genes), what `apply` was given.
        space
            ``"counts"`` or ``"log1p"``.

        Returns
        -------
        (cells, data genes) float32 with sorted indices and no explicit zeros.
        """
        values, matrix = _checked(values, space, self.n_genes), _checked(matrix, space, len(self.index))
        if values.shape[0] != matrix.shape[0]:
            raise GeneMatchError(
                f"Attributions and data do not belong together: {values.shape[0]:,} and {matrix.shape[0]:,} cells."
            )
        one = _relabel(values, self._single_source, len(self.index), is_sorted=self._is_sorted)
        if not len(self._shared_data):
            return one
        many = _divide(values[:, self._shared_models], self._shared_amounts(matrix, space), self._groups)
        return _canonical(one + _relabel(many, self._shared_data, len(self.index), is_sorted=False))

    def _shared_amounts(self, matrix: sparse.csr_matrix, space: str) -> sparse.csr_matrix:
        """(cells, shared data genes) float64, in a space where genes add up."""
        amounts = matrix[:, self._shared_data].astype(np.float64)
        amounts.data = np.expm1(amounts.data) if space == "log1p" else amounts.data
        return amounts

    @cached_property
    def _n_sources(self) -> np.ndarray:
        """(model genes,) number of data genes of each model gene."""
        return np.bincount(self.index[self.index >= 0], minlength=self.n_genes)

    @cached_property
    def _is_sorted(self) -> bool:
        return bool((np.diff(self.index[self.index >= 0]) > 0).all())

    @cached_property
    def _single_target(self) -> np.ndarray:
        """(data genes,) the model gene of a data gene that has it for itself, else -1."""
        target = self.index.copy()
        target[self._shared_data] = -1
        return target

    @cached_property
    def _single_source(self) -> np.ndarray:
        """(model genes,) the data gene of a model gene that has exactly one, else -1."""
        source = np.full(self.n_genes, -1, dtype=np.int32)
        columns = np.flatnonzero(self._single_target >= 0)
        source[self._single_target[columns]] = columns
        return source

    @cached_property
    def _shared_models(self) -> np.ndarray:
        """Model genes with several data genes."""
        return np.flatnonzero(self._n_sources > 1).astype(np.int32)

    @cached_property
    def _shared_data(self) -> np.ndarray:
        """Data genes of the shared model genes."""
        return np.flatnonzero(np.isin(self.index, self._shared_models)).astype(np.int32)

    @cached_property
    def _groups(self) -> sparse.csr_matrix:
        """(shared data genes, shared model genes) 1 where they belong together."""
        model = np.searchsorted(self._shared_models, self.index[self._shared_data])
        n_data = len(self._shared_data)
        return sparse.csr_matrix((np.ones(n_data), (np.arange(n_data), model)), (n_data, len(self._shared_models)))


def _checked(matrix: Any, space: str, n_genes: int) -> sparse.csr_matrix:
    if space not in _SPACES:
        raise InputSpaceError(f"The input space is 'counts' or 'log1p', not {space!r}.")
    if matrix.shape[1] != n_genes:
        raise GeneMatchError(f"The matrix has {matrix.shape[1]:,} genes, and {n_genes:,} were aligned.")
    rows = sparse.csr_matrix(matrix)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


def _relabel(matrix: sparse.csr_matrix, target: np.ndarray, n_columns: int, *, is_sorted: bool) -> sparse.csr_matrix:
    """Give every column its target, one to one; values of columns without one (-1) and explicit zeros are left out."""
    columns = target[matrix.indices]
    keep = (columns >= 0) & (matrix.data != 0)
    starts = np.concatenate([[0], np.cumsum(keep)])[matrix.indptr]
    shape = (matrix.shape[0], n_columns)
    result = sparse.csr_matrix((matrix.data[keep].astype(np.float32), columns[keep], starts), shape=shape)
    if not is_sorted:
        result.sort_indices()
    result.has_canonical_format = True
    return result


def _canonical(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def _divide(values: sparse.csr_matrix, amounts: sparse.csr_matrix, groups: sparse.csr_matrix) -> sparse.csr_matrix:
    """Share values of (cells, model genes) among (cells, data genes) in proportion to `amounts`."""
    spread = (values.astype(np.float64) @ groups.T).tocoo()
    if not spread.nnz:
        return spread.tocsr()
    model = groups.indices[spread.col]
    own = np.asarray(amounts[spread.row, spread.col]).ravel()
    total = np.asarray((amounts @ groups)[spread.row, model]).ravel()
    equal = 1 / np.asarray(groups.sum(axis=0)).ravel()[model]
    spread.data *= np.divide(own, total, out=equal, where=total > 0)
    return spread.tocsr()


def _model_report(data: GeneVocabulary, model: GeneVocabulary, found: Resolution) -> GeneMatch:
    """Turn "data gene -> model gene" around: of each model gene, the first data gene it has."""
    source = np.full(len(model), -1, dtype=np.int64)
    columns = np.flatnonzero(found.index >= 0)[::-1]
    source[found.index[columns]] = columns
    has_own_name = np.zeros(len(model), dtype=bool)
    has_own_name[found.index[(found.index >= 0) & ~found.is_renamed]] = True
    turned = Resolution(source, (source >= 0) & ~has_own_name, dict(found.ambiguous))
    return report(model.labels.tolist(), turned, data)
