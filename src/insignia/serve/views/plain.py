"""Numbers and rows as JSON knows them."""

import math
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "number",
    "plain",
]


def number(value: float) -> float | None:
    """Give a number, or `None` where it is none."""
    return float(value) if math.isfinite(value) else None


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Give rows as plain values; what is no number becomes `None`."""
    rows = frame.astype(object).mask(frame.isna(), np.nan).replace({np.nan: None}).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]
