"""The compiled loop that reads all genes of a few cells."""

import numpy as np

from insignia.atlas.layout import BLOCK
from insignia.core.compiled import compiled

__all__ = ["pick_cells"]


@compiled()
def pick_cells(
    offsets: np.ndarray,
    cells: np.ndarray,
    values: np.ndarray,
    table: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    codes: np.ndarray,
    out: np.ndarray,
) -> bool:
    """Write the values of some cells into `out`, float32 (cells, genes), reading only their stretch of each run.

    `first` and `last`, (blocks,), are the lowest and highest wanted cell of each block, -1 where there is none;
    `codes`, (cells of the segment,), is the row of each in `out`, or -1. Returns False, having read nothing outside
    the arrays, where offsets or cells do not fit them.
    """
    for k in range(offsets.shape[0]):
        for block in range(first.size):
            if first[block] < 0:
                continue
            start, stop = offsets[k, block], offsets[k, block + 1]
            if start < 0 or stop < start or stop > cells.size or stop > values.size:
                return False
            low, high = start, stop
            while low < high:
                middle = (low + high) // 2
                if cells[middle] < first[block]:
                    low = middle + 1
                else:
                    high = middle
            while low < stop and cells[low] <= last[block]:
                row = block * BLOCK + cells[low]
                if row >= codes.size:
                    return False
                if codes[row] >= 0:
                    out[codes[row], k] = table[values[low]]
                low += 1
    return True
