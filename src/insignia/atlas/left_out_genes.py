"""How much a comparison hangs on one gene: scores, hits and tests again without each gene of the signature in turn."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from insignia.atlas.left_out import KEYED, again
from insignia.atlas.samples import UNIT, sample_table, unit_columns
from insignia.atlas.scan import scan
from insignia.atlas.screens.divisors import Divisors, SignatureMatrix
from insignia.core import keys
from insignia.core.errors import InputError

if TYPE_CHECKING:
    from insignia.atlas.calls import Hits
    from insignia.atlas.comparison import Comparison
    from insignia.atlas.result import SearchResult

__all__ = ["scores_without_each_gene", "without_each_gene"]


def without_each_gene(comparison: "Comparison", hits: "Hits") -> pd.DataFrame:
    """Compare again without each gene of the signature in turn.

    Each time the scores are those of the other genes, divided as a search divides them, and hits are called again by
    the same rule; a cut-off that came from another search, or from random gene sets, stays where it is.

    Returns
    -------
    One row a group, stratum and gene (``without``): ``shift``, ``p`` and ``rank``; ``shift_change`` against all genes;
    ``score``, how much higher the mean score of the group's donors is than that of the reference's in the studies
    compared, and ``score_change``.

    Raises
    ------
    InputError
        The comparison was not made from these hits.
    """
    cells = _CellsOfUnits.of(comparison, hits)
    whole = _score_differences(comparison, cells.units(hits))
    # the null of random gene sets is that of the whole signature, and dear; such a cut-off stays too
    own = hits.rule != "null" and hits.is_own
    parts = []
    for gene, scores in scores_without_each_gene(hits.result):
        if np.isnan(scores).all():
            continue
        result = replace(hits.result, scores=scores)
        units = cells.units(hits.called_again(result) if own else hits.apply_to(result))
        if comparison.reference not in set(units[comparison.by]):
            continue
        found = again(comparison, units).merge(_score_differences(comparison, units), on=KEYED)
        parts.append(found.assign(without=gene))
    columns = [*KEYED, "without", "score", "score_change", "shift", "shift_change", "p", "rank"]
    if not parts:
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts, ignore_index=True)
    before = comparison.table[[*KEYED, "shift"]].merge(whole, on=KEYED)
    table = table.merge(before, on=KEYED, suffixes=("", "_whole"))
    changes = {f"{name}_change": table[name] - table[f"{name}_whole"] for name in ("score", "shift")}
    return table.assign(**changes)[columns]


def scores_without_each_gene(result: "SearchResult") -> Iterator[tuple[str, np.ndarray]]:
    """Give the scores of a search without each of the found genes in turn, in the order of the gene table.

    Cells whose study measured no other gene, or too few for a score to begin with, have NaN.
    """
    match = result.match
    found = np.flatnonzero(match.index >= 0)
    found = found[np.argsort(match.index[found], kind="stable")]
    positions = match.index[found].astype(np.int64)
    weights = result.signature.weight_array[found].astype(np.float32)
    measured, lengths = _measured(result, positions)
    divisor = _divisors(measured, weights, result.agg)
    sums = result.scores.astype(np.float64) * np.repeat(divisor, lengths)
    names = result.snapshot.genes.labels
    for k, position in enumerate(positions):
        left = np.delete(np.arange(positions.size), k)
        part = np.concatenate(
            [
                one.sums_of(cells)
                for one in scan(result.snapshot, positions[k : k + 1], weights[k : k + 1], result.rows)
                for cells in one.ranges
            ]
        )
        rest = _divisors(measured[:, left], weights[left], result.agg)
        yield str(names[position]), ((sums - part) / np.repeat(rest, lengths)).astype(np.float32)


def _measured(result: "SearchResult", positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which genes each span of cells measured, (spans, genes), and how many cells each span has."""
    measured, lengths = [], []
    snapshot = result.snapshot
    for part in scan(snapshot, positions[:1], np.zeros(1, dtype=np.float32), result.rows):
        measured.append(snapshot.segments.get(part.name).measured[:, positions])
        lengths += [part.sums_of(cells).size for cells in part.ranges]
    return np.concatenate(measured), np.array(lengths)


def _divisors(measured: np.ndarray, weights: np.ndarray, agg: str) -> np.ndarray:
    """Give what the sums of each span are divided by; NaN where nothing is left, or the weights cancel."""
    n = weights.size
    one = SignatureMatrix(np.array([0, n]), np.arange(n), weights, np.array([n]))
    return Divisors.of(measured, one, agg=agg, min_coverage=0.0).values[:, 0]


@dataclass(frozen=True, eq=False)
class _CellsOfUnits:
    """Which unit of a comparison each cell of a search belongs to, -1 where to none."""

    table: pd.DataFrame
    place: np.ndarray

    @classmethod
    def of(cls, comparison: "Comparison", hits: "Hits") -> "_CellsOfUnits":
        units = comparison.units
        kept = sample_table(hits, stratum=units.stratum, min_cells=units.min_cells).table
        cells = unit_columns(hits.result, units.stratum)
        codes = cells.groupby(UNIT, sort=False, observed=True, dropna=False).ngroup().to_numpy()
        first = np.unique(codes, return_index=True)[1]
        labels = pd.MultiIndex.from_frame(cells.iloc[first].astype(dict.fromkeys(UNIT, str)))
        sample = pd.MultiIndex.from_frame(kept[UNIT]).get_indexer(labels)
        named = list(dict.fromkeys([keys.STUDY, keys.DONOR, comparison.by, "stratum"]))
        unit = pd.MultiIndex.from_frame(units.table[named]).get_indexer(pd.MultiIndex.from_frame(kept[named]))
        of_group = np.append(unit, -1)[sample]
        made = cls(units.table.reset_index(drop=True), of_group[codes])
        counted = made.units(hits)
        if len(counted) != len(made.table) or not counted[["hits", "cells"]].equals(made.table[["hits", "cells"]]):
            raise InputError(
                "The comparison was not made from these hits: its donors have other numbers of cells or hits. Pass the "
                "hits whose sample table was compared."
            )
        return made

    def units(self, hits: "Hits") -> pd.DataFrame:
        """Count the hits of every unit again."""
        here = (self.place >= 0) & hits.is_called
        place, n = self.place[here], len(self.table)
        cells = np.bincount(place, minlength=n)
        counted = np.bincount(self.place[self.place >= 0], hits.is_hit[self.place >= 0], minlength=n).astype(np.int64)
        total = np.bincount(place, hits.result.scores[here].astype(np.float64), minlength=n)
        with np.errstate(invalid="ignore"):
            table = self.table.assign(hits=counted, cells=cells, fraction=counted / cells, mean_score=total / cells)
        return table[cells > 0].reset_index(drop=True)


def _score_differences(comparison: "Comparison", units: pd.DataFrame) -> pd.DataFrame:
    """How much higher the mean score of each group is than that of the reference, in the studies compared."""
    from insignia.atlas.comparison import compared_rows, pairs

    rows = []
    for group, stratum, members, is_case in pairs(units, comparison.by, comparison.reference):
        both = compared_rows(members, is_case)
        scores = members["mean_score"].to_numpy()
        others = scores[~is_case & both]
        difference = scores[is_case & both].mean() - others.mean() if others.size else np.nan
        rows.append((group, stratum, difference))
    return pd.DataFrame(rows, columns=[*KEYED, "score"])
