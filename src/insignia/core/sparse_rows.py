"""Sums and scaling of the rows of a CSR matrix, in float64 whatever it holds."""

import numpy as np
from scipy.sparse import csr_matrix

__all__ = ["scaled_rows"]


def scaled_rows(matrix: csr_matrix, values: np.ndarray, total: float) -> tuple[np.ndarray, np.ndarray]:
    """Scale `values`, stored at the places of `matrix`, so that the absolute values of each row add up to `total`.

    Returns
    -------
    The scaled values, (non-zeros,) float64, and the sums that the rows had, (rows,) float64. Rows of zeros stay as they
    are.
    """
    per_row = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(len(per_row)), per_row)
    sums = np.bincount(rows, weights=np.abs(values, dtype=np.float64), minlength=len(per_row)).astype(np.float64)
    factor = np.divide(total, sums, out=np.zeros_like(sums), where=sums > 0)
    return values * factor[rows], sums
