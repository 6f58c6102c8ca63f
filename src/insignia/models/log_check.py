"""Logs of counts that were scaled to another total than models read."""

import warnings
from typing import Final

import numpy as np

from insignia.core.errors import InputSpaceWarning
from insignia.data import Expression
from insignia.models.preprocessing import TARGET_SUM

__all__ = ["check_logs"]

_CLOSE: Final = 0.02
_FEWEST: Final = 10
"""Totals of fewer cells may be equal by chance."""


def check_logs(expression: Expression, model: str) -> None:
    """Look at the totals of cells that are logs, where all genes to which they were scaled are there.

    Raises
    ------
    InputSpaceError
        The logarithm was taken twice.

    Warns
    -----
    InputSpaceWarning
        The counts were scaled to another total than 10,000.
    """
    if expression.space != "log1p" or expression.n_cells < _FEWEST:
        return
    scale = expression.log_scale()
    if np.isfinite(scale) and abs(scale - TARGET_SUM) > _CLOSE * TARGET_SUM:
        warnings.warn(
            f"{expression.what} is log1p of counts scaled to {scale:,.4g}, and {model} reads those scaled to "
            f"{TARGET_SUM:,.0f}. Pass the counts, scale them with sc.pp.normalize_total(adata, target_sum=1e4), or "
            f"bring the logs there: adata.X = np.log1p(np.expm1(adata.X) * {TARGET_SUM / scale:.4g}). Leave it only "
            "for a model that was trained on such cells.",
            InputSpaceWarning,
            stacklevel=3,
        )
