"""Writing values in the compact encoding, from the two arrays of the fast one."""

from pathlib import Path

import numpy as np

from insignia.atlas import compact, layout
from insignia.atlas.stored import by_gene
from insignia.core.files import reserve

__all__ = ["write_entries"]


def write_entries(folder: Path, cells: np.ndarray, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Write `entries.npy` from values whose cells ascend within each gene and block.

    Parameters
    ----------
    folder
        Folder of the segment.
    cells, values, offsets
        As in the fast encoding, `values` as the bits of float16.

    Returns
    -------
    Where each (gene, block) starts in the entries, int64 (genes, blocks + 1).
    """
    bounds = np.append(offsets[:, :-1].ravel(), offsets[-1, -1])
    counts = np.zeros(bounds.size - 1, dtype=np.int64)
    compact.count_entries(bounds, cells, counts)
    ends = np.concatenate([[0], np.cumsum(counts)])
    path = folder / layout.ENTRIES
    entries = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint16, shape=(int(ends[-1]),))
    reserve(path)
    compact.encode_entries(bounds, cells, values, ends[:-1], entries.view(np.ndarray))
    entries.flush()
    return by_gene(ends, offsets.shape)
