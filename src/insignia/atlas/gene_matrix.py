"""Reading single genes of an atlas as a matrix."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from insignia.atlas.filters import select
from insignia.atlas.layout import BLOCK
from insignia.atlas.segment import Segment
from insignia.atlas.snapshot import Snapshot
from insignia.core.errors import GeneMatchError
from insignia.genes import GeneMatch, Signature, match_genes

__all__ = ["gene_matrix"]


def gene_matrix(
    snapshot: Snapshot, genes: Sequence[str] | Signature, *, where: str | None = None, rows: np.ndarray | None = None
) -> tuple[sparse.csr_matrix, pd.DataFrame, GeneMatch]:
    """Read some genes of the cells that `where` or, in ascending order, `rows` names; see `Atlas.gene_matrix`."""
    match = genes.match(snapshot.genes) if isinstance(genes, Signature) else match_genes(genes, snapshot.genes)
    positions = match.index[match.found]
    if not positions.size:
        raise GeneMatchError(
            f"None of the {len(match.query)} genes is in the gene table of the atlas: {match.summary()}."
        )
    rows = rows if where is None else select(snapshot, where)
    pieces = []
    for entry, first in zip(snapshot.manifest.segments, snapshot.first_rows.tolist(), strict=False):
        here = None if rows is None else rows[slice(*np.searchsorted(rows, [first, first + entry.cells]))] - first
        if here is None or here.size:
            matrix = _segment_matrix(snapshot.segments.get(entry.id), positions)
            pieces.append(matrix if here is None else matrix[here])
    matrix = sparse.vstack(pieces, format="csr") if pieces else sparse.csr_matrix((0, positions.size), dtype=np.float32)
    return matrix, snapshot.frame(rows=rows), match


def _segment_matrix(segment: Segment, positions: np.ndarray) -> sparse.csr_matrix:
    columns = [list(_column(segment, position)) for position in positions.tolist()]
    rows = [np.concatenate([cells for cells, _ in column]) for column in columns]
    values = [np.concatenate([values for _, values in column]) for column in columns]
    indptr = np.cumsum([0, *(one.size for one in rows)])
    shape = (segment.n_cells, positions.size)
    return sparse.csc_matrix((np.concatenate(values), np.concatenate(rows), indptr), shape=shape).tocsr()


def _column(segment: Segment, position: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and values of one gene, block by block, then NaN for the studies that did not measure it."""
    runs = segment.genes(np.array([position]))
    edges = runs.offsets[0]
    for block in range(segment.n_blocks):
        here = slice(edges[block], edges[block + 1])
        rows = runs.cells[here].astype(np.int64) + block * BLOCK
        if rows.size and rows.max() >= segment.n_cells:
            raise segment.damaged("cells.npy names a cell beyond the last one")
        yield rows, runs.values[here].view(np.float16).astype(np.float32)
    for part, measured in zip(segment.ranges, segment.measured[:, position], strict=True):
        if not measured:
            rows = np.arange(part.start, part.stop, dtype=np.int64)
            yield rows, np.full(rows.size, np.nan, dtype=np.float32)
