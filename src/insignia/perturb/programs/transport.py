"""Exact transport of genes to programs of bounded size."""

from itertools import pairwise

import numpy as np

from insignia.core.errors import InputError

__all__ = ["balanced_assignment"]


def balanced_assignment(cost: np.ndarray, smallest: int, largest: int) -> np.ndarray:
    """Give every row one column at the least total cost, with between `smallest` and `largest` rows a column.

    Each row starts at its cheapest column; then rows are moved along the cheapest paths between columns as long as a
    move mends a size or lowers the cost. Columns being few, the paths between them are found quickly, and the whole is
    far cheaper than an assignment of rows to replicated columns, at the same cost.

    Parameters
    ----------
    cost
        (rows, columns), finite.
    smallest, largest
        Rows of a column. Sizes as equal as can be are ``rows // columns`` and that plus one.

    Returns
    -------
    (rows,) the column of each row.

    Raises
    ------
    InputError
        No assignment has such sizes.

    References
    ----------
    Successive shortest paths: Ahuja, Magnanti & Orlin, Network Flows, 1993, chapter 9.
    """
    n_rows, n_columns = cost.shape
    if not (0 <= smallest <= largest and n_columns * smallest <= n_rows <= n_columns * largest):
        raise InputError(
            f"{n_rows} genes cannot be given to {n_columns} programs of {smallest} to {largest} genes each."
        )
    label = cost.argmin(axis=1)
    size = np.bincount(label, minlength=n_columns)
    step, mover = np.full((n_columns, n_columns), np.inf), np.zeros((n_columns, n_columns), dtype=np.int64)
    for column in range(n_columns):
        _cheapest_moves(cost, label, column, step, mover)
    penalty = 4.0 * n_columns * max(float(np.ptp(cost)), 1.0)
    while True:
        leave, enter = (penalty * _price(count, smallest, largest) for count in (size - 1, size))
        distance, before = _cheapest_paths(np.where(size > 0, -leave, np.inf), step)
        end = int((distance + enter).argmin())
        if distance[end] + enter[end] > -1e-12 * penalty:
            return np.asarray(label)
        path = _move(label, mover, before, end)
        size[path[0]] -= 1
        size[end] += 1
        for column in path:
            _cheapest_moves(cost, label, column, step, mover)


def _price(size: np.ndarray, smallest: int, largest: int) -> np.ndarray:
    """Marginal price, in penalties, of one more row in a column of this size."""
    return np.where(size < smallest, -1.0, np.where(size < largest, 0.0, 1.0))


def _cheapest_moves(cost: np.ndarray, label: np.ndarray, column: int, step: np.ndarray, mover: np.ndarray) -> None:
    """Note the cheapest way out of a column into each other one, and the row that goes."""
    rows = np.flatnonzero(label == column)
    step[column] = np.inf
    if len(rows):
        change = cost[rows] - cost[rows, column][:, None]
        best = change.argmin(axis=0)
        step[column], mover[column] = change[best, np.arange(change.shape[1])], rows[best]
    step[column, column] = np.inf


def _cheapest_paths(start: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least cost of reaching each column from any, and the column before it on the way; -1 where the way begins."""
    cost, before = start.copy(), np.full(len(start), -1)
    while True:
        through = cost[:, None] + step
        best = through.argmin(axis=0)
        reached = through[best, np.arange(len(cost))]
        shorter = reached < cost - 1e-13
        if not shorter.any():
            return cost, before
        cost[shorter], before[shorter] = reached[shorter], best[shorter]


def _move(label: np.ndarray, mover: np.ndarray, before: np.ndarray, end: int) -> list[int]:
    """Move one row along each step of the path to a column, and return the columns on it, from its start."""
    path = [end]
    while before[path[0]] >= 0:
        path.insert(0, int(before[path[0]]))
    steps = list(pairwise(path))
    rows = [mover[here, there] for here, there in steps]
    label[rows] = [there for _, there in steps]
    return path
