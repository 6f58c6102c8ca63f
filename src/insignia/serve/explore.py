"""The explorer's answers as plain functions of an open atlas and a question; no server is needed for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from insignia.atlas import Hits, SampleTable, SearchResult
from insignia.atlas.screens.gene_means import gene_means
from insignia.core import keys
from insignia.core.errors import InputError
from insignia.serve.predicates import where_of
from insignia.serve.question import Question, by_column, check_group
from insignia.serve.shelf import OpenAtlas

__all__ = [
    "Found",
    "HeatMap",
    "cells_of_sample",
    "find",
    "genes_of_sample",
    "heat_map",
    "joined_samples",
    "rank_correlation",
]


@dataclass(frozen=True, eq=False)
class Found:
    """A search that was made: its cells, which of them are hits, and its samples."""

    atlas: OpenAtlas
    result: SearchResult
    hits: Hits
    table: SampleTable
    filters: Mapping[str, tuple[str, ...]]

    @property
    def nbytes(self) -> int:
        """Memory it keeps."""
        arrays = (self.result.scores, self.result.rows, self.hits.is_hit, self.hits.is_called)
        return sum(array.nbytes for array in arrays if array is not None) + 2000 * len(self.table)

    def codes(self, column: str) -> tuple[np.ndarray, list[str]]:
        """Place of each cell's value in the list of values of a column."""
        labels = self.atlas.labels(column)
        codes = labels.codes if self.result.rows is None else labels.codes[self.result.rows]
        return codes.astype(np.int64), [str(value) for value in labels.categories]


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Hits over two columns, (rows, columns) each: scored cells, hits, and mean score, NaN where no cell is."""

    rows: list[str]
    columns: list[str]
    cells: np.ndarray
    hits: np.ndarray
    mean_score: np.ndarray


def find(atlas: OpenAtlas, question: Question, *, max_genes: int) -> Found:
    """Search, call hits and count samples as `insignia search` does."""
    if question.within is not None:
        check_group(question.within, atlas.facets)
    filters = question.by_column()
    result = atlas.atlas.search(
        question.to_signature(max_genes),
        where=where_of(atlas, filters),
        agg=question.agg,
        min_coverage=question.min_coverage,
    )
    reference = where_of(atlas, by_column(question.reference))
    hits = result.call(question.rule, within=question.within, reference=reference, **question.rule_params())
    return Found(atlas, result, hits, hits.by_sample(min_cells=question.min_cells), filters)


def heat_map(found: Found, rows: str, columns: str) -> HeatMap:
    """Add up scored cells and hits over two columns; values without a cell are left out, most cells first."""
    (down, row_names), (across, column_names) = found.codes(rows), found.codes(columns)
    shape = (len(row_names), len(column_names))
    called = found.hits.is_called
    place = (down * shape[1] + across)[called]
    scores = found.result.scores[called].astype(np.float64)
    cells = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape)
    hits = np.bincount(place, found.hits.is_hit[called], minlength=cells.size).reshape(shape)
    sums = np.bincount(place, scores, minlength=cells.size).reshape(shape)
    kept = [np.argsort(-cells.sum(axis=axis), kind="stable") for axis in (1, 0)]
    kept = [order[cells.sum(axis=axis)[order] > 0] for order, axis in zip(kept, (1, 0), strict=True)]
    grid = np.ix_(*kept)
    with np.errstate(invalid="ignore"):
        mean = np.where(cells > 0, sums / np.maximum(cells, 1), np.nan)
    return HeatMap(
        [row_names[i] for i in kept[0]],
        [column_names[i] for i in kept[1]],
        cells[grid],
        hits[grid].astype(np.int64),
        mean[grid],
    )


def cells_of_sample(found: Found, sample: Mapping[str, str]) -> pd.DataFrame:
    """List the searched cells of one sample, the highest score first: metadata, score, ``is_hit``, ``place`` in it.

    Parameters
    ----------
    sample
        Values of columns that choose it: study, sample, and where these are not enough donor, tissue and disease.

    Raises
    ------
    InputError
        No cell of the search belongs to it.
    """
    cells = found.result.cells_of(sample[keys.STUDY], sample[keys.SAMPLE], n_genes=0)
    for column, value in sample.items():
        cells = cells[(cells[column] == value).to_numpy()]
    if not len(cells):
        named = ", ".join(f"{column} {value!r}" for column, value in sample.items())
        raise InputError(f"No cell of this search has {named}.")
    rows = cells["row"].to_numpy()
    place = rows if found.result.rows is None else np.searchsorted(found.result.rows, rows)
    return cells.assign(place=place, is_hit=found.hits.is_hit[place])


def genes_of_sample(found: Found, sample: Mapping[str, str], *, top: int) -> pd.DataFrame:
    """Genes of the whole atlas with the highest mean attribution in the searched cells of a sample.

    Returns
    -------
    ``gene``, ``attribution``, ``detection`` and ``in_signature``, the highest first.
    """
    filters = {**found.filters, **{column: (value,) for column, value in sample.items()}}
    means = gene_means(found.atlas.snapshot, by=[keys.STUDY, keys.SAMPLE], where=where_of(found.atlas, filters))
    everything = np.arange(found.atlas.snapshot.manifest.genes.count)
    attribution = means.means(everything)[0]
    best = np.argsort(-np.nan_to_num(attribution, nan=-1.0), kind="stable")[:top]
    match = found.result.match
    return pd.DataFrame(
        {
            "gene": found.atlas.atlas.genes.labels[best].astype(str),
            "attribution": attribution[best],
            "detection": means.detection(best)[0],
            "in_signature": np.isin(best, match.index[match.found]),
        }
    )


def joined_samples(one: Found, other: Found) -> pd.DataFrame:
    """Join the samples of two searches: metadata, ``fraction`` and ``mean_score`` of the first, and of the other."""
    unit = [keys.STUDY, keys.SAMPLE, keys.DONOR, keys.TISSUE, keys.DISEASE]
    kept = ["cells", "hits", "fraction", "mean_score"]
    joined: pd.DataFrame = one.table.table[[*unit, *kept]].merge(
        other.table.table[[*unit, *kept]], on=unit, suffixes=("", "_other"), validate="one_to_one"
    )
    return joined


def rank_correlation(first: Any, second: Any) -> float:
    """Spearman's correlation of values that both have; NaN where there are fewer than three, or one does not vary."""
    values = pd.DataFrame({"a": np.asarray(first), "b": np.asarray(second)}).dropna()
    if len(values) < 3 or values.nunique().min() < 2:
        return float("nan")
    return float(values["a"].rank().corr(values["b"].rank()))
