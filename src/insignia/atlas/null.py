"""A score beside those of random gene sets that are matched on detection and mean attribution.

Over all cells that are looked at, a random set scores as the signature does: that is what it is matched for. What
can stand out are cells, and groups of cells, beside the others.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from insignia.atlas.gene_values import gene_values, stored_share
from insignia.atlas.population import labels_of
from insignia.atlas.screens.divisors import SignatureMatrix
from insignia.core.errors import InputError
from insignia.genes import normaliser
from insignia.stats import closest_in_mean, draw_sets, monte_carlo, nearest_in_detection

if TYPE_CHECKING:
    from insignia.atlas.result import SearchResult

__all__ = ["NullOptions", "NullScores", "null_scores"]

_CANDIDATES: Final = 3
"""How many genes are read for each that is kept in the pool of a gene."""


@dataclass(frozen=True)
class NullOptions:
    """How scores are compared with random gene sets.

    Parameters
    ----------
    n_sets
        Random sets; the smallest p that can be reached is 1 / (n_sets + 1).
    n_cells
        Cells that are looked at, drawn at random among those with a score; of each group, where there are groups.
    pool
        Genes that may stand in for a gene of the signature: those most like it.
    rng
        Seed of the cells and of the sets.
    """

    n_sets: int = 200
    n_cells: int = 2000
    pool: int = 20
    rng: int = 0

    def __post_init__(self) -> None:
        for name in ("n_sets", "n_cells", "pool"):
            if getattr(self, name) < 2:
                raise InputError(f"{name} is at least 2; found {getattr(self, name)}.")


@dataclass(frozen=True, eq=False)
class NullScores:
    """Scores of some cells beside those of matched random sets.

    Attributes
    ----------
    rows
        Place in the search of each cell that was looked at, ascending, (cells,).
    scores, null
        Score of the signature, (cells,), and of each random set, (cells, sets).
    z, p
        How far a cell's score stands out, and how often a random set does as well: (1 + sets at least as high) over
        (1 + sets), one-sided.
    within, labels
        Metadata column that formed groups, or `None`, and the group of each cell.
    genes
        One row a gene of the signature: ``gene``, ``detection``, ``mean``, and ``null_detection`` and ``null_mean``
        of the genes that stood in for it.
    n_genes_read, n_values_read, seconds
        What it cost.
    """

    rows: np.ndarray = field(repr=False)
    scores: np.ndarray = field(repr=False)
    null: np.ndarray = field(repr=False)
    z: np.ndarray = field(repr=False)
    p: np.ndarray = field(repr=False)
    within: str | None
    labels: np.ndarray = field(repr=False)
    genes: pd.DataFrame = field(repr=False)
    options: NullOptions
    n_genes_read: int
    n_values_read: int
    seconds: float

    def __len__(self) -> int:
        return len(self.rows)

    def groups(self) -> pd.DataFrame:
        """Compare the mean score of each group's cells with the mean scores of the random sets in the same cells.

        One group has nothing to stand out from. It says that a program stands out among genes like its own, not that
        groups differ, and cells are no units of a test of groups; see `SampleTable.compare` for that.

        Returns
        -------
        One row a group, the highest z first: ``group``, ``cells``, ``score``, ``null_mean``, ``null_sd``, ``z``, ``p``.
        """
        names, place = np.unique(self.labels, return_inverse=True)
        cells = np.bincount(place)
        score = np.bincount(place, self.scores) / cells
        member = csr_matrix((1 / cells[place], (place, np.arange(place.size))), shape=(names.size, place.size))
        null = np.asarray(member @ self.null)
        z, p = monte_carlo(score, null)
        table = pd.DataFrame(
            {
                "group": names,
                "cells": cells,
                "score": score,
                "null_mean": null.mean(axis=1),
                "null_sd": null.std(axis=1, ddof=1),
                "z": z,
                "p": p,
            }
        )
        return table.sort_values(["z", "group"], ascending=[False, True], ignore_index=True)

    def summary(self) -> str:
        """One line for people: what was compared, and how well the random sets match."""
        there = self.genes[self.genes["mean"] > 0]
        off = float(np.expm1(np.log(there["null_mean"] / there["mean"]).mean()))
        return (
            f"{self.options.n_sets:,} random sets in {len(self):,} cells; the genes that stand in have a mean "
            f"attribution {abs(off):.0%} {'above' if off > 0 else 'below'} those of the signature, to which they are "
            "scaled. "
            f"{self.n_genes_read:,} genes, {self.n_values_read:,} values read in {self.seconds:.2f} s."
        )


def null_scores(
    result: "SearchResult", options: NullOptions, *, within: str | None = None, chosen: np.ndarray | None = None
) -> NullScores:
    """Compare the scores of some cells with those of random sets; see `SearchResult.null`."""
    began = time.perf_counter()
    rng = np.random.default_rng(options.rng)
    labels = np.array("all" if within is None else labels_of(result, within), dtype=object)
    labels = np.broadcast_to(labels, len(result))
    places = _sampled(result, labels, options, rng, chosen)
    rows = places if result.rows is None else result.rows[places]
    snapshot = result.snapshot
    own = SignatureMatrix.of([result.signature], [result.match])
    share, measured = stored_share(snapshot, rows)
    # a stand-in is measured wherever the gene is
    allowed = np.array([_covers(measured, gene) for gene in own.genes])
    candidates = nearest_in_detection(share, own.genes, allowed, n=_CANDIDATES * options.pool)
    read = np.unique(np.concatenate([own.genes, candidates[candidates >= 0]]))
    values, n_read = gene_values(snapshot, read, rows)
    mean, detection = _moments(result, rows, values, read, share.size)
    pools = closest_in_mean(mean, own.genes, candidates, n=options.pool)
    sets = draw_sets(pools, n_sets=options.n_sets, rng=rng)
    with np.errstate(divide="ignore", invalid="ignore"):
        # the nearest genes of a high one are lower: without this, high signatures would stand out everywhere
        ratio = np.where(mean[sets] > 0, mean[own.genes] / mean[sets], 1.0)
    null = _scores(result, rows, values, read, sets, ratio, own)
    z, p = monte_carlo(result.scores[places], null)
    return NullScores(
        rows=places,
        scores=result.scores[places].astype(np.float64),
        null=null,
        z=z,
        p=p,
        within=within,
        labels=labels[places],
        genes=_matched(result, own.genes, pools, detection, mean),
        options=options,
        n_genes_read=int(read.size),
        n_values_read=n_read,
        seconds=time.perf_counter() - began,
    )


def _moments(
    result: "SearchResult", rows: np.ndarray, values: csr_matrix, read: np.ndarray, n_genes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean size and detection of the genes that were read, over the cells whose study measured them, (all genes,)."""
    snapshot = result.snapshot
    cells = np.zeros(read.size)
    for entry, first in zip(snapshot.manifest.segments, snapshot.first_rows.tolist(), strict=False):
        low, high = np.searchsorted(rows, [first, first + entry.cells])
        if low < high:
            segment = snapshot.segments.get(entry.id)
            sizes = np.bincount(segment.range_of(rows[low:high] - first), minlength=len(segment.ranges))
            cells += sizes @ segment.measured[:, read]
    mean, detection = np.zeros(n_genes), np.zeros(n_genes)
    mean[read] = np.asarray(abs(values).sum(axis=0)).ravel() / np.maximum(cells, 1)
    detection[read] = np.diff(values.tocsc().indptr) / np.maximum(cells, 1)
    return mean, detection


def _covers(measured: np.ndarray, gene: int) -> np.ndarray:
    """Which genes are measured in every range in which this one is."""
    covers: np.ndarray = measured[measured[:, gene]].all(axis=0)
    return covers


def _sampled(
    result: "SearchResult",
    labels: np.ndarray,
    options: NullOptions,
    rng: np.random.Generator,
    chosen: np.ndarray | None,
) -> np.ndarray:
    """Draw up to `n_cells` cells of each group among those with a score."""
    scored = ~np.isnan(result.scores) if chosen is None else chosen & ~np.isnan(result.scores)
    if not scored.any():
        raise InputError("None of the cells has a score to compare with random gene sets.")
    order = rng.permutation(np.flatnonzero(scored))
    codes = pd.factorize(labels[order])[0]
    rank = pd.Series(codes).groupby(codes).cumcount().to_numpy()
    return np.sort(order[rank < options.n_cells])


def _scores(
    result: "SearchResult",
    rows: np.ndarray,
    values: csr_matrix,
    read: np.ndarray,
    sets: np.ndarray,
    ratio: np.ndarray,
    own: SignatureMatrix,
) -> np.ndarray:
    """Score every random set in every cell by the rules of the search, (cells, sets).

    Where a gene was not measured its stand-in is left out too, so that a set is divided by what the signature is.
    """
    n_sets, k = sets.shape
    column = np.searchsorted(read, sets)
    number = np.arange(n_sets).repeat(k)
    scores = np.empty((rows.size, n_sets))
    for here, measured in _panels(result, rows, own.genes):
        weights = (own.weights * measured * ratio).ravel()
        matrix = csr_matrix((weights, (column.ravel(), number)), shape=(read.size, n_sets))
        scores[here] = (values[here] @ matrix).toarray() / normaliser(own.weights[measured], result.agg)
    return scores


def _panels(result: "SearchResult", rows: np.ndarray, genes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of the rows in which the same of some genes were measured, and which these are."""
    snapshot = result.snapshot
    places: dict[bytes, list[np.ndarray]] = {}
    for entry, first in zip(snapshot.manifest.segments, snapshot.first_rows.tolist(), strict=False):
        low, high = np.searchsorted(rows, [first, first + entry.cells])
        if low == high:
            continue
        segment = snapshot.segments.get(entry.id)
        ranges = segment.range_of(rows[low:high] - first)
        for one in np.unique(ranges).tolist():
            measured = segment.measured[one, genes]
            places.setdefault(measured.tobytes(), []).append(low + np.flatnonzero(ranges == one))
    for packed, parts in places.items():
        yield np.concatenate(parts), np.frombuffer(packed, dtype=bool)


def _matched(
    result: "SearchResult", genes: np.ndarray, pools: np.ndarray, detection: np.ndarray, mean: np.ndarray
) -> pd.DataFrame:
    labels = result.snapshot.genes.labels
    there = np.where(pools >= 0, 1.0, np.nan)
    return pd.DataFrame(
        {
            "gene": [str(labels[gene]) for gene in genes],
            "detection": detection[genes],
            "mean": mean[genes],
            "null_detection": np.nanmean(detection[pools] * there, axis=1),
            "null_mean": np.nanmean(mean[pools] * there, axis=1),
        }
    )
