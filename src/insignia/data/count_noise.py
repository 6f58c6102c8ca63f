"""Counts around an expected expression, for simulators."""

from typing import Final

import numpy as np
from scipy import sparse

__all__ = ["gamma_poisson"]

_CHUNK_VALUES: Final = 1 << 22


def gamma_poisson(
    log_level: np.ndarray, depth: np.ndarray, shape: float, rng: np.random.Generator
) -> sparse.csr_matrix:
    """Draw counts: gamma-distributed rates of mean `depth` times each gene's share, then Poisson counts.

    Parameters
    ----------
    log_level
        (cells, genes) log of the expected expression, up to a constant for each cell.
    depth
        (cells,) expected counts in total.
    shape
        Shape of the gamma distribution: the squared coefficient of variation of the rates is 1 / shape.

    Returns
    -------
    (cells, genes) CSR float32.
    """
    n_cells, n_genes = log_level.shape
    step = max(1, _CHUNK_VALUES // max(1, n_genes))
    blocks = []
    for start in range(0, n_cells, step):
        level = np.exp(log_level[start : start + step])
        rate = level * (depth[start : start + step, None] / level.sum(axis=1, keepdims=True))
        rate *= rng.standard_gamma(shape, rate.shape, dtype=np.float32) / np.float32(shape)
        blocks.append(sparse.csr_matrix(rng.poisson(rate).astype(np.float32)))
    return sparse.vstack(blocks, format="csr") if blocks else sparse.csr_matrix((0, n_genes), dtype=np.float32)
