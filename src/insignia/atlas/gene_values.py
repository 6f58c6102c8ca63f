"""Values of some genes in some cells, and how much is stored of every gene, with few bytes read."""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from insignia.atlas.screens.pieces import Pieces, piece_sums
from insignia.atlas.segment import Segment
from insignia.atlas.snapshot import Snapshot

__all__ = ["gene_values", "segments_of", "stored_share"]

_DENSE = 4_000_000
"""Values that are held densely at a time."""


def stored_share(snapshot: Snapshot, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Say how much is stored of each gene in the segments that hold some cells; no value is read for it.

    Parameters
    ----------
    rows
        Rows of the atlas in ascending order.

    Returns
    -------
    share
        Stored entries over the cells whose study measured the gene, (genes,); 0 where none did. This is the share of
        cells with a value; the compact encoding adds entries for rare genes, the same for all that are as rare.
    measured
        Which genes were measured in each range that holds some of the cells, bool, (ranges, genes).
    """
    n_genes = snapshot.manifest.genes.count
    values, cells = np.zeros(n_genes), np.zeros(n_genes)
    measured = []
    for segment, here in segments_of(snapshot, rows):
        values += segment.offsets[:, -1] - segment.offsets[:, 0]
        sizes = np.array([part.stop - part.start for part in segment.ranges])
        cells += sizes @ segment.measured
        used = np.unique(segment.range_of(here))
        measured.append(segment.measured[used])
    with np.errstate(invalid="ignore"):
        share = np.where(cells > 0, values / cells, 0.0)
    return share, np.concatenate(measured)


def gene_values(snapshot: Snapshot, positions: np.ndarray, rows: np.ndarray) -> tuple[sparse.csr_matrix, int]:
    """Read some genes of some cells, each value once.

    Parameters
    ----------
    positions
        Genes by their position in the gene table, int64.
    rows
        Rows of the atlas in ascending order.

    Returns
    -------
    (cells, genes) float64, and how many values were read to find them: all that the segments hold of these genes. A
    gene that a study did not measure is 0.
    """
    blocks, n_read = [], 0
    for segment, here in segments_of(snapshot, rows):
        codes = np.full(segment.n_cells, -1, dtype=np.int64)
        codes[here] = np.arange(here.size)
        # one piece a cell: the sum over it is its value
        pieces = Pieces.of(segment.ranges, codes)
        step = max(1, _DENSE // max(1, here.size))
        parts = [
            sparse.csr_matrix(piece_sums(segment, positions[start : start + step], pieces)[0].T)
            for start in range(0, positions.size, step)
        ]
        found = sparse.hstack(parts, format="csr")
        # pieces are sorted by range and by cell, as cells are
        blocks.append(found[np.argsort(pieces.group, kind="stable")])
        n_read += int((segment.offsets[positions, -1] - segment.offsets[positions, 0]).sum())
    return sparse.vstack(blocks, format="csr"), n_read


def segments_of(snapshot: Snapshot, rows: np.ndarray) -> Iterator[tuple[Segment, np.ndarray]]:
    """Segments that hold some rows, with the rows counted from the start of each."""
    for entry, first in zip(snapshot.manifest.segments, snapshot.first_rows.tolist(), strict=False):
        low, high = np.searchsorted(rows, [first, first + entry.cells])
        if low < high:
            yield snapshot.segments.get(entry.id), rows[low:high] - first
