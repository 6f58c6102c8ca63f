"""Whether intervals hold what they promise."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from insignia.core.errors import InputError

__all__ = ["conformal_quantile", "conformal_width", "coverage_by_bin", "interval_coverage"]


def interval_coverage(lower: np.ndarray, upper: np.ndarray, measured: np.ndarray) -> tuple[float, float]:
    """Share of measured values within their intervals, ends included, and mean width of the intervals.

    Raises
    ------
    InputError
        Shapes differ, a bound is missing, or an interval ends before it begins.
    """
    lower, upper, measured = (np.asarray(values, dtype=np.float64) for values in (lower, upper, measured))
    if not lower.shape == upper.shape == measured.shape or not lower.size:
        raise InputError(f"Bounds {lower.shape}, {upper.shape} and values {measured.shape} must have one shape.")
    if not (lower <= upper).all():
        raise InputError(f"{int((~(lower <= upper)).sum()):,} of {lower.size:,} intervals end before they begin.")
    inside = (lower <= measured) & (measured <= upper)
    return float(inside.mean()), float((upper - lower).mean())


def coverage_by_bin(
    lower: np.ndarray, upper: np.ndarray, measured: np.ndarray, by: np.ndarray, edges: Sequence[float]
) -> pd.DataFrame:
    """Coverage and width among rows whose `by` falls between two edges.

    Parameters
    ----------
    lower, upper, measured
        (rows, columns).
    by
        (rows,), e.g. how well each spot is supported.
    edges
        Ascending, one more than there are bins; a bin holds its lower edge, and the last one both.

    Returns
    -------
    One row a bin that is not empty: ``from``, ``to``, ``rows``, ``coverage``, ``width``.
    """
    by = np.asarray(by, dtype=np.float64)
    edges = list(edges)
    if len(edges) < 2 or sorted(set(edges)) != edges:
        raise InputError(f"Edges of bins must ascend and be at least two, found {edges}.")
    place = np.minimum(np.searchsorted(edges, by, side="right") - 1, len(edges) - 2)
    place[(by < edges[0]) | (by > edges[-1])] = -1
    rows = []
    for number in range(len(edges) - 1):
        here = place == number
        if here.any():
            coverage, width = interval_coverage(lower[here], upper[here], measured[here])
            rows.append(
                {
                    "from": edges[number],
                    "to": edges[number + 1],
                    "rows": int(here.sum()),
                    "coverage": coverage,
                    "width": width,
                }
            )
    return pd.DataFrame(rows, columns=["from", "to", "rows", "coverage", "width"])


def conformal_quantile(values: np.ndarray, share: float) -> np.ndarray:
    """Return, for each column, the value that a new one is below with at least this chance: (columns,).

    The ``ceil((n + 1) share)``-th of n, and the largest where there are too few to promise it.
    """
    ordered = np.sort(values, axis=0)
    return np.asarray(ordered[min(_place(len(values), share), len(values)) - 1])


def conformal_width(errors: np.ndarray, *, level: float = 0.9) -> float:
    """Half width of an interval that holds a new value with at least this probability, from errors of like values.

    Split conformal prediction: the ``ceil((n + 1) level)``-th smallest absolute error; NaN where there are too few
    errors to promise it.

    References
    ----------
    Vovk et al. 2005, doi:10.1007/b106715
    """
    sizes = np.sort(np.abs(np.asarray(errors, dtype=np.float64)))
    place = _place(sizes.size, level)
    return float(sizes[place - 1]) if 0 < place <= sizes.size else float("nan")


def _place(n: int, share: float) -> int:
    """Which of n ordered values a new one is below with at least this chance; there may be none so far out."""
    return int(np.ceil((n + 1) * share))
