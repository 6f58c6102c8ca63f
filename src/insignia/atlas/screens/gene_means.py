"""Mean attribution of every gene in groups of cells, joined over segments; genes that were not measured have none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from insignia.atlas.screens.grouping import SegmentGroups, groups_of
from insignia.atlas.screens.places import Places
from insignia.atlas.snapshot import Snapshot

__all__ = ["GeneMeans", "gene_means"]


@dataclass(frozen=True, eq=False)
class GeneMeans:
    """Sums over groups of cells, for all genes of an atlas.

    Attributes
    ----------
    groups
        One row a group: its columns, and ``cells``.
    sums, detected
        Sum of the attributions, float64, and number of cells with any, (groups, genes), sparse.
    panels, measured
        Cells of each group with each set of measured genes, (groups, sets), sparse; and these, (sets, genes) bool.
    """

    groups: pd.DataFrame
    sums: sparse.csr_matrix
    detected: sparse.csr_matrix
    panels: sparse.csr_matrix
    measured: np.ndarray

    def cells(self, genes: np.ndarray) -> np.ndarray:
        """How many cells of each group measured some genes, (groups, genes)."""
        counted: np.ndarray = self.panels @ self.measured[:, genes].astype(np.float64)
        return counted

    def take(self, rows: np.ndarray) -> "GeneMeans":
        """Keep some groups, by their rows."""
        groups = self.groups.iloc[rows].reset_index(drop=True)
        return GeneMeans(groups, self.sums[rows], self.detected[rows], self.panels[rows], self.measured)

    def means(self, genes: np.ndarray) -> np.ndarray:
        """Mean attribution over the cells that measured a gene, (groups, genes); NaN where none did."""
        return _over(self.sums, genes, self.cells(genes))

    def detection(self, genes: np.ndarray) -> np.ndarray:
        """Share of the cells that measured a gene in which it counts, (groups, genes); NaN where none did."""
        return _over(self.detected, genes, self.cells(genes))


def _over(total: sparse.csr_matrix, genes: np.ndarray, cells: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = np.where(cells > 0, total[:, genes].toarray() / cells, np.nan)
    return mean


def gene_means(
    snapshot: Snapshot, *, by: Sequence[str], columns: Sequence[str] | None = None, where: str | None = None
) -> GeneMeans:
    """Add up all genes over groups of cells.

    Parameters
    ----------
    by
        Columns that form groups.
    columns, where
        As for `groups_of`; `by` must be among the columns.
    """
    parts = list(groups_of(snapshot, columns=columns, where=where))
    places = Places.of(parts, by=by)
    n_genes = snapshot.manifest.genes.count
    shape = (len(places.groups), n_genes)
    sums, detected = sparse.csr_matrix(shape), sparse.csr_matrix(shape)
    start = 0
    for part in parts:
        stop = start + int(part.is_wanted.sum())
        here = slice(start, stop)
        weights = places.weights(here)
        sums = sums + weights.multiply(places.cells[here]).tocsr() @ _pieces_by_genes(part, part.means.means)
        detected = detected + weights @ _pieces_by_genes(part, part.means.detected)
        start = stop
    panels = sparse.csr_matrix(
        (places.cells.astype(np.float64), (places.group, places.panel)),
        shape=(len(places.groups), len(places.measured)),
    )
    return GeneMeans(places.groups, sums.tocsr(), detected.tocsr(), panels, places.measured)


def _pieces_by_genes(part: SegmentGroups, values: np.ndarray) -> sparse.csr_matrix:
    """Entries of the wanted pieces of a segment, (pieces, genes)."""
    means = part.means
    shape = (len(means.table), len(means.offsets) - 1)
    columns = sparse.csc_matrix((values.astype(np.float64), means.pieces.astype(np.int32), means.offsets), shape=shape)
    return columns.tocsr()[part.is_wanted]
