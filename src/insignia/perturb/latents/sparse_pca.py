"""Principal components of a sparse matrix, which is never made dense."""

from typing import Final

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csr_matrix

__all__ = ["principal_components"]

_FEW_GENES: Final = 2000
_CHUNK: Final = 4096
_MORE: Final = 10
_ROUNDS: Final = 4


def principal_components(
    cells: csr_matrix, n_components: int, *, seed: int = 0, rank: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Take the leading principal components of the rows.

    Up to 2,000 columns they are exact, from the covariance; above, they come from randomised subspace iteration, whose
    products read the sparse matrix as it is (Halko, Martinsson & Tropp 2011, doi:10.1137/090771806).

    Parameters
    ----------
    cells
        (cells, genes) float32.
    n_components
        At most the smaller side.
    seed
        Of the random start.
    rank
        (genes,) place of each column in some order, such as that of names, by which the start is dealt out; `None`
        takes the columns as they come.

    Returns
    -------
    (genes,) centre, and (components, genes) orthonormal rows, largest variance first, float32; the entry of each with
    the largest size is positive.
    """
    centre = np.asarray(cells.mean(axis=0, dtype=np.float64)).ravel()
    few = cells.shape[1] <= _FEW_GENES
    axes = _exact(cells, centre, n_components) if few else _randomised(cells, centre, n_components, seed, rank)
    sign = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    return centre.astype(np.float32), (axes * sign[:, None]).astype(np.float32)


def _exact(cells: csr_matrix, centre: np.ndarray, n_components: int) -> np.ndarray:
    n_genes = cells.shape[1]
    square = np.zeros((n_genes, n_genes))
    for start in range(0, cells.shape[0], _CHUNK):
        off = cells[start : start + _CHUNK].toarray() - centre
        square += off.T @ off
    return np.asarray(eigh(square, subset_by_index=(n_genes - n_components, n_genes - 1))[1][:, ::-1].T)


def _randomised(
    cells: csr_matrix, centre: np.ndarray, n_components: int, seed: int, rank: np.ndarray | None
) -> np.ndarray:
    n_axes = min(n_components + _MORE, *cells.shape)
    basis = np.random.default_rng(seed).normal(size=(cells.shape[1], n_axes)).astype(np.float32)
    basis = basis if rank is None else basis[rank]
    middle = centre.astype(np.float32)
    turned = cells.T.tocsr()
    for _ in range(_ROUNDS):
        basis = np.linalg.qr(_covariance_product(cells, turned, middle, basis))[0]
    small = basis.T @ _covariance_product(cells, turned, middle, basis)
    _, axes = np.linalg.eigh((small + small.T) / 2)
    return np.asarray((basis @ axes[:, ::-1][:, :n_components]).T)


def _covariance_product(cells: csr_matrix, turned: csr_matrix, centre: np.ndarray, basis: np.ndarray) -> np.ndarray:
    # centred scores add up to nothing, so that the other side need not be centred
    return np.asarray(turned @ (cells @ basis - centre @ basis))
