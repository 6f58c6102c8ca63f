"""The compiled loops of screens: values added up by group of cells, and group means by signature."""

import numpy as np

from insignia.atlas.layout import BLOCK
from insignia.core.compiled import compiled

__all__ = ["add_groups", "add_signatures"]


@compiled()
def add_groups(
    offsets: np.ndarray,
    positions: np.ndarray,
    cells: np.ndarray,
    values: np.ndarray,
    table: np.ndarray,
    codes: np.ndarray,
    sums: np.ndarray,
    counts: np.ndarray,
) -> bool:
    """Add the values of some genes into `sums` and their number into `counts`, (genes, groups) each.

    `codes`, (cells,), is the group of each cell, or -1. Returns False, having read nothing outside the arrays, where
    offsets or cells do not fit them.
    """
    for k in range(positions.size):
        for block in range(offsets.shape[1] - 1):
            start, stop = offsets[positions[k], block], offsets[positions[k], block + 1]
            if start < 0 or stop < start or stop > cells.size or stop > values.size:
                return False
            for i in range(start, stop):
                row = block * BLOCK + cells[i]
                if row >= codes.size:
                    return False
                code = codes[row]
                if code >= 0:
                    sums[k, code] += table[values[i]]
                    counts[k, code] += 1
    return True


@compiled()
def add_signatures(
    offsets: np.ndarray,
    groups: np.ndarray,
    means: np.ndarray,
    starts: np.ndarray,
    genes: np.ndarray,
    weights: np.ndarray,
    out: np.ndarray,
) -> None:
    """Add weight x mean of every signature's genes into `out`, (signatures, groups).

    Means are gene-major, those of a gene between two neighbouring `offsets`; a signature's genes and weights stand
    between two neighbouring `starts`.
    """
    for k in range(starts.size - 1):
        total = out[k]
        for j in range(starts[k], starts[k + 1]):
            weight = weights[j]
            for i in range(offsets[genes[j]], offsets[genes[j] + 1]):
                total[groups[i]] += weight * means[i]
