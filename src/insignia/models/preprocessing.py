"""What happens to expression before a network reads it."""

import numpy as np
from scipy.sparse import csr_matrix

from insignia.core.sparse_rows import scaled_rows
from insignia.data import Cells

__all__ = ["TARGET_SUM", "log_normalise"]

TARGET_SUM = 1e4


def log_normalise(cells: Cells, *, target_sum: float = TARGET_SUM) -> csr_matrix:
    """Scale each cell to `target_sum` over its genes and take log1p: (cells, genes), float32.

    Log-normalised cells are brought back by expm1 first. That is proportional to their counts, so scaling over the
    genes at hand gives what the counts would have given. A cell without counts stays empty.
    """
    matrix = cells.matrix
    amounts = matrix.data.astype(np.float64)
    if cells.space == "log1p":
        amounts = np.expm1(amounts)
    scaled, _ = scaled_rows(matrix, amounts, target_sum)
    return csr_matrix((np.log1p(scaled).astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)
