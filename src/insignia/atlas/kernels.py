"""The compiled loops of the atlas: counting, scattering and sorting values, and adding genes into scores.

Compiled code is kept in the user's cache folder, so only the first use ever compiles.
"""

import numpy as np

from insignia.atlas.layout import BLOCK, MAX_VALUE
from insignia.core.compiled import compiled

__all__ = [
    "FLOAT_OF_HALF",
    "add_genes",
    "check_runs",
    "count_moved",
    "count_rows",
    "count_values",
    "gather_rows",
    "move_values",
    "scatter_values",
    "sort_runs",
]

FLOAT_OF_HALF = np.arange(BLOCK, dtype=np.uint16).view(np.float16).astype(np.float32)
"""float32 value of every float16, by its bits: numba has no float16 on the CPU."""

_SMALLEST_NORMAL = np.uint32(0x38800000)
_STEPS_OF_SUBNORMAL = np.float32(2.0**24)
_LARGEST = np.float32(MAX_VALUE)


@compiled()
def add_genes(
    offsets: np.ndarray,
    block: int,
    positions: np.ndarray,
    weights: np.ndarray,
    cells: np.ndarray,
    values: np.ndarray,
    table: np.ndarray,
    out: np.ndarray,
) -> bool:
    """Add weight x value of some genes in one block into `out`, float32 (65536,).

    Returns False, having read nothing outside the arrays, where offsets do not fit them.
    """
    for k in range(positions.size):
        start, stop = offsets[positions[k], block], offsets[positions[k], block + 1]
        if start < 0 or stop < start or stop > cells.size or stop > values.size:
            return False
        weight = weights[k]
        run, halves = cells[start:stop], values[start:stop]
        whole = run.size // 4
        for four in range(whole):
            # a gene names a cell once, so four can be read before the first is written: a third faster
            i = 4 * four
            a, b, c, d = run[i], run[i + 1], run[i + 2], run[i + 3]
            at_a = out[a] + weight * table[halves[i]]
            at_b = out[b] + weight * table[halves[i + 1]]
            at_c = out[c] + weight * table[halves[i + 2]]
            at_d = out[d] + weight * table[halves[i + 3]]
            out[a], out[b], out[c], out[d] = at_a, at_b, at_c, at_d
        for i in range(4 * whole, run.size):
            out[run[i]] += weight * table[halves[i]]
    return True


@compiled()
def count_values(
    indptr: np.ndarray, indices: np.ndarray, data: np.ndarray, blocks: np.ndarray, counts: np.ndarray
) -> bool:
    """Count the non-zero values of sparse rows into (blocks, genes); False if one is not finite or too large."""
    for row in range(blocks.size):
        for i in range(indptr[row], indptr[row + 1]):
            if not abs(data[i]) <= _LARGEST:
                return False
            if data[i] != 0:
                counts[blocks[row], indices[i]] += 1
    return True


@compiled()
def scatter_values(
    indptr: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray,
    rows: np.ndarray,
    cursor: np.ndarray,
    cells: np.ndarray,
    values: np.ndarray,
) -> bool:
    """Write the non-zero values of sparse rows to their gene-major places, as bits of float16.

    `rows` is the row of each within the segment, or -1 to leave it out; `cursor`, (blocks, genes), is the next free
    place. Returns False, having written nothing outside the arrays, when there are more values than were counted.
    """
    bits = data.view(np.uint32)
    for row in range(rows.size):
        if rows[row] < 0:
            continue
        block, cell = rows[row] // BLOCK, rows[row] % BLOCK
        for i in range(indptr[row], indptr[row + 1]):
            if data[i] == 0:
                continue
            place = cursor[block, indices[i]]
            if place >= cells.size:
                return False
            cursor[block, indices[i]] = place + 1
            cells[place] = cell
            sign, size = (bits[i] >> np.uint32(16)) & np.uint32(0x8000), bits[i] & np.uint32(0x7FFFFFFF)
            if size >= _SMALLEST_NORMAL:
                # exponent from bias 127 to 15, then round to nearest even
                half = (size - np.uint32(0x38000000) + np.uint32(0xFFF) + ((size >> np.uint32(13)) & 1)) >> np.uint32(
                    13
                )
            else:
                # never 0: a stored value says that the gene counted in this cell
                half = max(np.uint32(1), np.uint32(np.rint(abs(data[i]) * _STEPS_OF_SUBNORMAL)))
            values[place] = sign | half
    return True


@compiled()
def count_moved(offsets: np.ndarray, cells: np.ndarray, rows: np.ndarray, counts: np.ndarray) -> bool:
    """Count the values that cells keep when their rows change, into (genes, new blocks); False if a cell has no row.

    `offsets`, (genes, blocks + 1), gives the runs of values; `rows` the new row of each old one, or -1 to drop it.
    """
    for gene in range(offsets.shape[0]):
        for block in range(offsets.shape[1] - 1):
            for i in range(offsets[gene, block], offsets[gene, block + 1]):
                row = block * BLOCK + np.int64(cells[i])
                if row >= rows.size:
                    return False
                if rows[row] >= 0:
                    counts[gene, rows[row] // BLOCK] += 1
    return True


@compiled()
def move_values(
    offsets: np.ndarray,
    cells: np.ndarray,
    values: np.ndarray,
    rows: np.ndarray,
    cursor: np.ndarray,
    out_cells: np.ndarray,
    out_values: np.ndarray,
) -> None:
    """Move values to their new rows, as counted by `count_moved`; `cursor`, (genes, new blocks), is the next place."""
    for gene in range(offsets.shape[0]):
        for block in range(offsets.shape[1] - 1):
            for i in range(offsets[gene, block], offsets[gene, block + 1]):
                row = rows[block * BLOCK + np.int64(cells[i])]
                if row >= 0:
                    place = cursor[gene, row // BLOCK]
                    cursor[gene, row // BLOCK] = place + 1
                    out_cells[place] = row % BLOCK
                    out_values[place] = values[i]


@compiled()
def check_runs(
    offsets: np.ndarray,
    cells: np.ndarray,
    values: np.ndarray,
    table: np.ndarray,
    range_of: np.ndarray,
    measured: np.ndarray,
    sums: np.ndarray,
) -> int:
    """Look for values that no writer writes, and add |value| to the sum of its row, float64 (cells,).

    `range_of` is the range of each row, and `measured`, (ranges, genes), what it measured. Returns 0 if all is well,
    1 if cells do not ascend, 2 for a cell that is not there, 3 for a value of 0 or not finite, 4 for a gene that was
    not measured.
    """
    for gene in range(offsets.shape[0]):
        for block in range(offsets.shape[1] - 1):
            before = np.int64(-1)
            for i in range(offsets[gene, block], offsets[gene, block + 1]):
                cell = np.int64(cells[i])
                row = block * BLOCK + cell
                if cell <= before:
                    return 1
                if row >= sums.size:
                    return 2
                size = abs(table[values[i]])
                if not (size > 0 and size <= _LARGEST):
                    return 3
                if not measured[range_of[row], gene]:
                    return 4
                before = cell
                sums[row] += size
    return 0


@compiled()
def count_rows(offsets: np.ndarray, cells: np.ndarray, row_of: np.ndarray, counts: np.ndarray) -> None:
    """Count the values of each wanted cell of one block; `row_of`, (65536,), is its row in `counts`, or -1."""
    for gene in range(offsets.shape[0]):
        for i in range(offsets[gene, 0], offsets[gene, 1]):
            row = row_of[cells[i]]
            if row >= 0:
                counts[row] += 1


@compiled()
def gather_rows(
    offsets: np.ndarray,
    cells: np.ndarray,
    values: np.ndarray,
    table: np.ndarray,
    row_of: np.ndarray,
    columns: np.ndarray,
    cursor: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray,
) -> None:
    """Write the values of wanted cells of one block row by row; `columns` is the new place of each gene, or -1.

    `cursor`, (rows,), is the next free place of each row in `indices` and `data`.
    """
    for gene in range(offsets.shape[0]):
        column = columns[gene]
        for i in range(offsets[gene, 0], offsets[gene, 1]):
            row = row_of[cells[i]]
            if row >= 0 and column >= 0:
                place = cursor[row]
                cursor[row] = place + 1
                indices[place] = column
                data[place] = table[values[i]]


@compiled()
def sort_runs(bounds: np.ndarray, cells: np.ndarray, values: np.ndarray) -> None:
    """Sort each run of values between two neighbouring bounds by cell."""
    for run in range(bounds.size - 1):
        start, stop = bounds[run], bounds[run + 1]
        in_order = True
        for i in range(start + 1, stop):
            if cells[i] < cells[i - 1]:
                in_order = False
                break
        if not in_order:
            order = np.argsort(cells[start:stop], kind="mergesort")
            cells[start:stop] = cells[start:stop][order]
            values[start:stop] = values[start:stop][order]
