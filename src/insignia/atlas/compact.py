"""The compact encoding: one uint16 a value, a short float16 above and the gap to the cell before below.

A float16 gives up the last 5 bits of its mantissa, and the gap stands in their place. Merging segments is exact,
because a value that was shortened once stays as it is. `docs/FORMAT.md` describes the encoding in words.
"""

import numpy as np

from insignia.atlas.layout import BLOCK
from insignia.core.compiled import compiled

__all__ = ["add_entries", "count_entries", "decode_entries", "encode_entries"]

_GAP_BITS = 5
_GAPS = 1 << _GAP_BITS
_GAP = np.uint16(_GAPS - 1)
_VALUE = np.uint16(0xFFFF - (_GAPS - 1))
_SIZE = np.uint16(0x7FFF - (_GAPS - 1))
"""Bits of an entry: the gap, the value with its sign, and the value without."""

_SMALLEST = np.uint32(_GAPS)
_LARGEST = np.uint32(0x7C00 - _GAPS)
_LONGEST_STEP = _GAPS * (_GAPS - 1)
_CELL = np.int64(BLOCK - 1)


@compiled()
def add_entries(
    offsets: np.ndarray,
    block: int,
    positions: np.ndarray,
    weights: np.ndarray,
    entries: np.ndarray,
    table: np.ndarray,
    out: np.ndarray,
) -> bool:
    """Add weight x value of some genes in one block into `out`, float32 (65536,).

    Returns False, having read nothing outside the arrays, where offsets do not fit them.
    """
    for k in range(positions.size):
        start, stop = offsets[positions[k], block], offsets[positions[k], block + 1]
        if start < 0 or stop < start or stop > entries.size:
            return False
        weight = weights[k]
        cell = np.int64(0)
        for entry in entries[start:stop]:
            # without a branch: an entry that only moves on adds 0, and damaged ones must not write outside the block
            shift = np.int64(0) if entry & _SIZE else np.int64(_GAP_BITS)
            cell = (cell + (np.int64(entry & _GAP) << shift)) & _CELL
            out[cell] += weight * table[entry & _VALUE]
    return True


@compiled()
def count_entries(bounds: np.ndarray, cells: np.ndarray, counts: np.ndarray) -> None:
    """Count the entries that each run of ascending cells between two neighbouring bounds takes."""
    for run in range(bounds.size - 1):
        before, n_entries = np.int64(0), bounds[run + 1] - bounds[run]
        for i in range(bounds[run], bounds[run + 1]):
            gap = np.int64(cells[i]) - before
            before = np.int64(cells[i])
            if gap >= _GAPS:
                n_entries += (gap - _GAPS) // _LONGEST_STEP + 1
        counts[run] = n_entries


@compiled()
def encode_entries(
    bounds: np.ndarray, cells: np.ndarray, values: np.ndarray, starts: np.ndarray, entries: np.ndarray
) -> None:
    """Encode runs of ascending cells and their float16 bits; `starts` holds where each run's entries begin."""
    for run in range(bounds.size - 1):
        before, place = np.int64(0), starts[run]
        for i in range(bounds[run], bounds[run + 1]):
            gap = np.int64(cells[i]) - before
            before = np.int64(cells[i])
            while gap >= _GAPS:
                step = min(gap >> _GAP_BITS, np.int64(_GAPS - 1))
                entries[place] = step
                place += 1
                gap -= step << _GAP_BITS
            half = np.uint32(values[i])
            size = half & np.uint32(0x7FFF)
            # round to nearest even; never 0, which stands for a step, and never infinite
            size = (size + np.uint32(_GAPS // 2 - 1) + ((size >> np.uint32(_GAP_BITS)) & np.uint32(1))) & np.uint32(
                _VALUE
            )
            size = min(max(size, _SMALLEST), _LARGEST)
            entries[place] = (half & np.uint32(0x8000)) | size | np.uint32(gap)
            place += 1


@compiled()
def decode_entries(
    starts: np.ndarray, stops: np.ndarray, entries: np.ndarray, cells: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Decode runs of entries into cells and float16 bits, one after another, and say where each starts there.

    Returns int64 (runs + 1,); `cells` and `values` have room for all entries. A cell number beyond the block, which
    only damage can make, starts again at 0.
    """
    ends = np.zeros(starts.size + 1, dtype=np.int64)
    place = np.int64(0)
    for run in range(starts.size):
        cell = np.int64(0)
        for entry in entries[starts[run] : stops[run]]:
            step = np.int64(entry & _GAP)
            if entry & _SIZE:
                cell = (cell + step) & _CELL
                cells[place], values[place] = cell, entry & _VALUE
                place += 1
            else:
                cell += step << _GAP_BITS
        ends[run + 1] = place
    return ends
