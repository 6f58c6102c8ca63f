"""The interferon response, donor by donor: which genes a score says have changed.

Kang 2018. Unstimulated cells of six donors train; of two others, both conditions are scored, each cell type of each
donor alone. Reported: how high the genes of the hallmark interferon alpha response stand in the difference between
conditions (AUROC, and how many are among the first twenty), the rank of that set among all hallmark sets and how well
its mean tells stimulated cells from others, at full depth and with counts thinned to 10 %, and how alike the two donors
are in the difference (rank correlation). The control shuffles conditions within a donor and type.

    python -m benchmarks.science.interferon [--quick]
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks.science import results
from benchmarks.science.disturb import disturbed
from benchmarks.science.fits import Fits
from benchmarks.science.gene_lists import hallmarks
from benchmarks.science.measures import FIRST
from benchmarks.science.noise import correlations
from benchmarks.science.scores import DEFAULT, PLAIN, TUNED, scored
from benchmarks.science.studies import Study, shared_genes, study
from insignia.stats import auroc

SEEDS: Final = range(2)
RESPONSE: Final = "INTERFERON_ALPHA_RESPONSE"
STIMULATED: Final = "stim"
LEAST_CELLS: Final = 10
LEAST_IN_SET: Final = 5


def depth(noise: str | None, quick: bool) -> dict[str, Any]:
    """Measure all scores at one depth."""
    scores, fits = _prepared()
    scores = scores if noise is None else disturbed(scores, noise, np.random.default_rng(0))
    sets = {name: np.isin(scores.genes, sorted(found)) for name, found in hallmarks().items()}
    sets = {name: mine for name, mine in sets.items() if mine.sum() >= LEAST_IN_SET}
    rows, alike = [], []
    for name, seed, values in scored(fits, scores, SEEDS[: 1 if quick else None]):
        found, differences = by_donor_and_type(values, scores, sets)
        rows.append(found.assign(score=name, seed=seed))
        alike.append({"score": name, "donors_alike": agreement(differences)})
    table = pd.concat(rows, ignore_index=True)
    donors = {
        donor: results.spread(part.groupby(["score", "seed"], sort=False).mean(numeric_only=True).reset_index())
        for donor, part in table.groupby("donor")
    }
    means = results.spread(table.groupby(["score", "seed", "donor"], sort=False).mean(numeric_only=True).reset_index())
    for part in (means, *donors.values()):
        for row in part.values():
            row.pop("seed")
    for name, row in results.spread(pd.DataFrame(alike)).items():
        means[name] |= row
    results.table(means, f"{noise or 'full depth'}, spread over donors and seeds")
    return {"genes": len(scores.genes), "sets": len(sets), "seeds": int(table["seed"].nunique()), "scores": means} | {
        "donors": donors
    }


def by_donor_and_type(
    values: np.ndarray, scores: Study, sets: Mapping[str, np.ndarray]
) -> tuple[pd.DataFrame, dict[tuple[str, str], np.ndarray]]:
    """Measures, and the difference between conditions, (genes,), of each donor's each type."""
    stimulated = (scores.cells.obs["condition"] == STIMULATED).to_numpy()
    rows, differences = [], {}
    for donor in np.unique(scores.donors):
        for kind in np.unique(scores.types):
            here = (scores.donors == donor) & (scores.types == kind)
            if min((here & stimulated).sum(), (here & ~stimulated).sum()) < LEAST_CELLS:
                continue
            mine, is_on = values[here], stimulated[here]
            shuffled = np.random.default_rng(0).permutation(is_on)
            difference = differences[donor, kind] = mine[is_on].mean(axis=0) - mine[~is_on].mean(axis=0)
            control = mine[shuffled].mean(axis=0) - mine[~shuffled].mean(axis=0)
            areas = pd.Series({name: auroc(mine[:, found].mean(axis=1), is_on) for name, found in sets.items()})
            rows.append(
                {
                    "donor": donor,
                    "type": kind,
                    "genes": auroc(difference, sets[RESPONSE]),
                    "genes_control": auroc(control, sets[RESPONSE]),
                    "first": int(sets[RESPONSE][np.argsort(-difference, kind="stable")[:FIRST]].sum()),
                    "set_rank": float(areas.rank(ascending=False, method="min")[RESPONSE]),
                    "cells": float(areas[RESPONSE]),
                    "cells_control": auroc(mine[:, sets[RESPONSE]].mean(axis=1), shuffled),
                }
            )
    return pd.DataFrame(rows), differences


def agreement(differences: Mapping[tuple[str, str], np.ndarray]) -> float:
    """Mean rank correlation of the difference between two donors, over types that both have."""
    donors = sorted({donor for donor, _ in differences})
    kinds = sorted({kind for _, kind in differences})
    found = [
        correlations(differences[donors[0], kind][None], differences[donors[1], kind][None])[0, 0]
        for kind in kinds
        if all((donor, kind) in differences for donor in donors[:2])
    ]
    return float(np.mean(found))


@cache
def _prepared() -> tuple[Study, Fits]:
    """Give the cells to score, and what is fitted on those of other donors, with the genes of both."""
    scores, trains = study("kang_both"), study("kang_control")
    trains = trains.where(~np.isin(trains.donors, np.unique(scores.donors)))
    genes = shared_genes(trains, scores)
    return scores.of(genes), Fits(trains.of(genes))


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """Place of the interferon genes at each depth, default attribution beside expression."""
    return {
        name: {score: found["scores"][score]["genes"][0] for score in (PLAIN, "PCA", DEFAULT, TUNED)}
        for name, found in record.items()
    }


PARTS: Final[dict[str, Callable[[bool], dict[str, Any]]]] = {
    "full depth": partial(depth, None),
    "thinned to 10 %": partial(depth, "thinned to 10 %"),
}

if __name__ == "__main__":
    results.main("interferon", PARTS, __doc__ or "", summary)
