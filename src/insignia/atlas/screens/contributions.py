"""How much each gene of a signature adds to its score: w a / divisor, which adds up to the score of every group."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from insignia.atlas.gene_matrix import gene_matrix
from insignia.atlas.screens.divisors import Divisors, SignatureMatrix
from insignia.atlas.screens.means import group_codes
from insignia.atlas.screens.pieces import Pieces, piece_sums
from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata
from insignia.genes import Signature

if TYPE_CHECKING:
    from insignia.atlas.result import SearchResult

__all__ = ["Contributions", "Unit", "cell_contributions", "group_contributions"]

Unit: TypeAlias = Literal["donor", "cell"]


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each gene adds to the mean score of groups of cells.

    Attributes
    ----------
    groups
        One row a group: the columns that formed it, ``donors``, ``cells`` (scored), ``unscored`` and ``score``, the
        mean score.
    genes, weights
        Found genes of the signature, as the atlas calls them, in the order of its gene table, and their weights.
    values
        What each gene adds to the score, (groups, genes); rows add up to ``score``.
    attribution, detection
        Mean attribution, and share of cells with any, over the cells whose study measured the gene; NaN where none did.
    measured
        Share of the cells whose study measured the gene.
    unit
        What a mean is over: ``"donor"`` gives each donor one voice, ``"cell"`` each cell.
    """

    signature: Signature
    agg: str
    by: tuple[str, ...]
    unit: str
    groups: pd.DataFrame = field(repr=False)
    genes: tuple[str, ...] = field(repr=False)
    weights: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)
    attribution: np.ndarray = field(repr=False)
    detection: np.ndarray = field(repr=False)
    measured: np.ndarray = field(repr=False)

    @property
    def labels(self) -> list[str]:
        """Name of each group; the values of several columns are joined by " · "."""
        return [" · ".join(map(str, row)) for row in self.groups[list(self.by)].itertuples(index=False)]

    def row(self, group: str) -> int:
        """Place of a group by its label.

        Raises
        ------
        InputError
            There is no such group.
        """
        labels = self.labels
        if group not in labels:
            raise InputError(f"There is no group {group!r}. There are: {', '.join(labels[:12])}.")
        return labels.index(group)

    def matrix(self) -> pd.DataFrame:
        """Contributions as a table, genes x groups."""
        return pd.DataFrame(self.values.T, index=pd.Index(self.genes, name="gene"), columns=self.labels)

    def frame(self) -> pd.DataFrame:
        """One row a group and gene, the largest contribution of each group first.

        Columns: those that formed the groups, ``gene``, ``weight``, ``contribution``, ``share`` (of the score),
        ``attribution``, ``detection``, ``measured``.
        """
        n_groups, n_genes = self.values.shape
        with np.errstate(divide="ignore", invalid="ignore"):
            share = self.values / self.groups["score"].to_numpy()[:, None]
        table = self.groups[list(self.by)].loc[np.repeat(self.groups.index, n_genes)].reset_index(drop=True)
        table = table.assign(
            gene=np.tile(self.genes, n_groups),
            weight=np.tile(self.weights, n_groups),
            contribution=self.values.ravel(),
            share=share.ravel(),
            attribution=self.attribution.ravel(),
            detection=self.detection.ravel(),
            measured=self.measured.ravel(),
        )
        order = np.lexsort((-self.values.ravel(), np.repeat(np.arange(n_groups), n_genes)))
        return table.iloc[order].reset_index(drop=True)

    def difference(self, group: str, reference: str) -> pd.DataFrame:
        """Say what makes one group score higher than another, gene by gene, the largest difference first.

        Returns
        -------
        One row a gene: ``gene``, ``group``, ``reference`` and ``difference`` of the contributions; the differences
        add up to that of the scores.
        """
        ours, theirs = self.values[self.row(group)], self.values[self.row(reference)]
        table = pd.DataFrame({"gene": self.genes, "group": ours, "reference": theirs, "difference": ours - theirs})
        order = np.argsort(-np.abs(table["difference"].to_numpy()), kind="stable")
        return table.iloc[order].reset_index(drop=True)


@dataclass(eq=False)
class _Totals:
    """Sums over the cells of each group, while segments are read."""

    values: np.ndarray
    sums: np.ndarray
    detected: np.ndarray
    measured: np.ndarray
    cells: np.ndarray
    unscored: np.ndarray

    @classmethod
    def zero(cls, groups: int, genes: int) -> "_Totals":
        return cls(*(np.zeros((groups, genes)) for _ in range(4)), *(np.zeros(groups) for _ in range(2)))

    def means(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Contribution, attribution, detection and measured share of each group and gene."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return (
                self.values / self.cells[:, None],
                self.sums / self.measured,
                self.detected / self.measured,
                self.measured / self.cells[:, None],
            )


def group_contributions(result: "SearchResult", by: str | Sequence[str], *, unit: Unit = "donor") -> Contributions:
    """Work out contributions over groups of cells; see `SearchResult.contributions`."""
    columns = (by,) if isinstance(by, str) else tuple(by)
    _check(result, columns, unit)
    obs = result.metadata(list(dict.fromkeys([*columns, keys.STUDY, keys.DONOR])))
    named = [*columns, *(name for name in (keys.STUDY, keys.DONOR) if unit == "donor" and name not in columns)]
    table, codes = group_codes(obs[named])
    one = SignatureMatrix.of([result.signature], [result.match])
    totals = _totals(result, one, codes, len(table))
    table = table.assign(cells=totals.cells.astype(int), unscored=totals.unscored.astype(int))
    groups, means = _joined(table, totals.means(), list(columns), unit)
    names = result.snapshot.genes.labels
    return Contributions(
        signature=result.signature,
        agg=result.agg,
        by=columns,
        unit=unit,
        groups=groups.assign(score=means[0].sum(axis=1)),
        genes=tuple(str(names[position]) for position in one.genes),
        weights=one.weights,
        values=means[0],
        attribution=means[1],
        detection=means[2],
        measured=means[3],
    )


def _check(result: "SearchResult", columns: tuple[str, ...], unit: str) -> None:
    known = result.snapshot.columns
    if absent := [name for name in columns if name not in known]:
        raise MissingMetadata(f"The atlas has no column {absent[0]!r} to group cells by. It has {', '.join(known)}.")
    if not columns or unit not in ("donor", "cell"):
        raise InputError(f"Contributions are means over a unit of 'donor' or 'cell', by a column; found {unit!r}.")


def _totals(result: "SearchResult", one: SignatureMatrix, codes: np.ndarray, n_groups: int) -> _Totals:
    totals, snapshot = _Totals.zero(n_groups, one.genes.size), result.snapshot
    rows = np.arange(len(result)) if result.rows is None else result.rows
    for entry, first in zip(snapshot.manifest.segments, snapshot.first_rows.tolist(), strict=False):
        here = slice(*np.searchsorted(rows, [first, first + entry.cells]))
        if here.start == here.stop:
            continue
        segment = snapshot.segments.get(entry.id)
        local = np.full(entry.cells, -1, dtype=np.int64)
        local[rows[here] - first] = codes[here]
        pieces = Pieces.of(segment.ranges, local)
        divisors = Divisors.of(segment.measured, one, agg=result.agg, min_coverage=result.min_coverage)
        divisor = divisors.values[pieces.range, 0]
        scored = ~np.isnan(divisor)
        np.add.at(totals.unscored, pieces.group[~scored], pieces.cells[~scored])
        sums, counts = (part[:, scored].T for part in piece_sums(segment, one.genes, pieces))
        group, cells = pieces.group[scored], pieces.cells[scored]
        has = segment.measured[:, one.genes][pieces.range[scored]]
        np.add.at(totals.values, group, one.weights * sums / divisor[scored][:, None])
        np.add.at(totals.sums, group, sums)
        np.add.at(totals.detected, group, counts)
        np.add.at(totals.measured, group, has * cells[:, None])
        np.add.at(totals.cells, group, cells)
    return totals


def _joined(
    table: pd.DataFrame, means: Sequence[np.ndarray], columns: list[str], unit: Unit
) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Join the donors of each group, each with one voice, or leave groups of cells as they are."""
    kept = table["cells"].to_numpy() > 0
    if unit == "donor":
        kept &= ~table[keys.DONOR].map(keys.is_not_one_person).to_numpy(dtype=bool)
    if not kept.any():
        raise InputError(
            "No group has a scored cell of a donor that is one person (donors called 'pooled' or 'unknown' are not). "
            "Pass unit='cell' to give each cell a voice."
        )
    table, means = table[kept], [part[kept] for part in means]
    if unit == "cell":
        return table[[*columns, "cells", "unscored"]].reset_index(drop=True), list(means)
    grouped = table.groupby(columns, sort=True)
    place = grouped.ngroup().to_numpy()
    joined = grouped[["cells", "unscored"]].sum().assign(donors=grouped.size()).reset_index()
    return joined[[*columns, "donors", "cells", "unscored"]], [_nan_mean(part, place, len(joined)) for part in means]


def _nan_mean(values: np.ndarray, place: np.ndarray, n: int) -> np.ndarray:
    there = ~np.isnan(values)
    total, count = np.zeros((n, values.shape[1])), np.zeros((n, values.shape[1]))
    np.add.at(total, place, np.where(there, values, 0))
    np.add.at(count, place, there)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = total / count
    return mean


def cell_contributions(result: "SearchResult") -> tuple[sparse.csr_matrix, tuple[str, ...]]:
    """Work out contributions cell by cell; see `SearchResult.cell_contributions`."""
    one = SignatureMatrix.of([result.signature], [result.match])
    labels = result.snapshot.genes.labels
    names = [str(labels[position]) for position in one.genes]
    matrix, _, _ = gene_matrix(result.snapshot, result.signature, rows=result.rows)
    # the matrix is in the order of the signature
    order = np.argsort(result.match.index[result.match.found], kind="stable")
    matrix = sparse.csr_matrix(matrix[:, order], dtype=np.float32)
    divisor = np.repeat(_cell_divisors(result, one), np.array([length for length, _ in result.spans], dtype=np.int64))
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    values = matrix.data * one.weights[matrix.indices] / divisor[row]
    matrix.data = np.nan_to_num(values, nan=0.0).astype(np.float32)
    matrix.eliminate_zeros()
    return matrix, tuple(names)


def _cell_divisors(result: "SearchResult", one: SignatureMatrix) -> np.ndarray:
    """Divisor of each span of cells of a search, in order."""
    found: list[float] = []
    snapshot = result.snapshot
    rows = np.arange(len(result)) if result.rows is None else result.rows
    for entry, first in zip(snapshot.manifest.segments, snapshot.first_rows.tolist(), strict=False):
        here = rows[slice(*np.searchsorted(rows, [first, first + entry.cells]))] - first
        if not here.size:
            continue
        segment = snapshot.segments.get(entry.id)
        divisors = Divisors.of(segment.measured, one, agg=result.agg, min_coverage=result.min_coverage).values[:, 0]
        edges = np.searchsorted(here, [0, *(part.stop for part in segment.ranges)])
        found.extend(divisors[np.diff(edges) > 0])
    return np.array(found)
