"""Total to which counts were scaled before the logarithm, told from the logs themselves."""

from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix

__all__ = ["log_scale", "was_logged_twice"]

_CONSTANT: Final = 0.01
_FEWEST: Final = 10
"""Totals of fewer cells may agree by chance."""
_HIGHEST_TWICE: Final = 3.0
"""log1p of log1p of more than a hundred million."""


def log_scale(logs: Any) -> float:
    """Median total of expm1 of the rows, where rows that are not empty agree within 1 %; NaN where they vary.

    Totals vary where genes were left out after scaling, which is no fault.

    Parameters
    ----------
    logs
        (cells, genes), dense or sparse.
    """
    found = np.asarray(csr_matrix(logs).astype(np.float64).expm1().sum(axis=1)).ravel()
    found = found[found > 0]
    middle = float(np.median(found)) if len(found) else float("nan")
    return middle if len(found) and np.ptp(found) < _CONSTANT * middle else float("nan")


def was_logged_twice(logs: Any) -> bool:
    """Whether rows, of which there must be ten, have equal totals once two logarithms are undone, not after one."""
    logs = csr_matrix(logs).astype(np.float64)
    if (np.diff(logs.indptr) > 0).sum() < _FEWEST or logs.data.max() > _HIGHEST_TWICE or np.isfinite(log_scale(logs)):
        return False
    return bool(np.isfinite(log_scale(logs.expm1())))
