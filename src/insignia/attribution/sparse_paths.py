"""The ends of paths as sparse matrices: what moves, and where."""

import numpy as np
from scipy.sparse import csr_matrix
from torch import Tensor

from insignia.models import Inputs

__all__ = ["difference", "on_union", "start_of", "times"]


def start_of(baseline: Inputs | None, cells: np.ndarray) -> Inputs | None:
    """Take the baselines of some cells: those of their own, or the one that all share."""
    return baseline.rows(cells) if baseline is not None and baseline.n_cells > 1 else baseline


def difference(values: csr_matrix, baseline: csr_matrix) -> csr_matrix:
    """Subtract the baseline, one row or one a cell, from every cell: canonical CSR over the union of both."""
    moved = csr_matrix(values - _one_a_cell(baseline, values.shape[0]), dtype=np.float32)
    moved.sort_indices()
    return moved


def on_union(values: csr_matrix, baseline: csr_matrix | None) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
    """Bring cells and baseline to the places that either has: a matrix of these places, and the values of both there.

    A gene of equal value in both does not move, but what the first layer makes of it is needed on the way.
    """
    if baseline is None:
        return values, values.data, np.zeros_like(values.data)
    starts = _one_a_cell(baseline, values.shape[0])
    union = csr_matrix(abs(values) + abs(starts))
    union.sort_indices()
    keys = _keys(union)
    found = []
    for matrix in (values, starts):
        data = np.zeros(union.nnz, dtype=np.float32)
        stored = matrix.data != 0
        data[np.searchsorted(keys, _keys(matrix)[stored])] = matrix.data[stored]
        found.append(data)
    return union, found[0], found[1]


def times(places: csr_matrix, way: Tensor, slopes: Tensor) -> csr_matrix:
    """Multiply the way by the mean slope at the places of a matrix, on the host."""
    return csr_matrix(((way * slopes).cpu().numpy(), places.indices, places.indptr), places.shape)


def _keys(matrix: csr_matrix) -> np.ndarray:
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    keys: np.ndarray = rows * matrix.shape[1] + matrix.indices
    return keys


def _one_a_cell(baseline: csr_matrix, n_cells: int) -> csr_matrix:
    if baseline.shape[0] == n_cells:
        return baseline
    return csr_matrix(np.ones((n_cells, 1), dtype=np.float32)) @ baseline
