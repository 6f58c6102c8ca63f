"""How well a score of genes names known markers, and what a signature made of them tells apart."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmarks.science.studies import MIN_CELLS, type_means
from insignia.stats import auroc

__all__ = ["FIRST", "marker_measures", "usable", "with_random_genes"]

FIRST = 20
LEAST = 3


def usable(lists: Mapping[str, frozenset[str]], types: np.ndarray, genes: np.ndarray) -> dict[str, np.ndarray]:
    """Which genes are markers of a type, (genes,) bool, by types of at least 7 cells and 3 measured markers."""
    names, counts = np.unique(types, return_counts=True)
    kinds = [kind for kind in names[counts >= MIN_CELLS] if kind in lists]
    found = {kind: np.isin(genes, sorted(lists[kind])) for kind in kinds}
    return {kind: own for kind, own in found.items() if own.sum() >= LEAST}


def with_random_genes(
    own: Mapping[str, np.ndarray], values: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Replace each marker by a gene that as many cells express: the shuffled control.

    Genes are drawn among the 20 on either side in the order of detection, not among any type's markers.
    """
    order = np.argsort((values > 0).mean(axis=0), kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    markers = np.any(list(own.values()), axis=0)
    drawn = {}
    for kind, mine in own.items():
        chosen = np.zeros_like(mine)
        for gene in np.flatnonzero(mine):
            near = order[max(0, place[gene] - 20) : place[gene] + 21]
            near = near[~markers[near] & ~chosen[near]]
            if len(near):
                chosen[rng.choice(near)] = True
        drawn[kind] = chosen
    return drawn


def marker_measures(values: np.ndarray, types: np.ndarray, own: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Measure one score of a study, (cells, genes), one row a cell type.

    Returns
    -------
    ``share``, per cent of a cell's positive score on its own type's markers; ``alone``, chance that a marker is above
    another gene by the mean score in the type alone; ``first_alone``, markers among the first twenty genes then;
    ``against``, ``first_against``, the same by the mean in the type minus that over the other types; ``typing``, chance
    that a cell of the type has a higher mean score of the markers than another cell.
    """
    names, means = type_means(values, types)
    positive = np.clip(values, 0.0, None)
    shares = positive / np.maximum(positive.sum(axis=1, keepdims=True), 1e-12)
    rows = []
    for kind, mine in own.items():
        i, here = int(np.flatnonzero(names == kind)[0]), types == kind
        difference = means[i] - np.delete(means, i, axis=0).mean(axis=0)
        rows.append(
            {
                "type": kind,
                "share": 100 * float(shares[here][:, mine].sum(axis=1).mean()),
                "alone": auroc(means[i], mine),
                "first_alone": _among_first(means[i], mine),
                "against": auroc(difference, mine),
                "first_against": _among_first(difference, mine),
                "typing": auroc(values[:, mine].mean(axis=1), here),
            }
        )
    return pd.DataFrame(rows)


def _among_first(score: np.ndarray, mine: np.ndarray) -> int:
    return int(mine[np.argsort(-score, kind="stable")[:FIRST]].sum())
