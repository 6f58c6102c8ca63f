"""Whether a score of genes names the known markers of a cell's type, in studies that no model has seen.

Models are trained on one study and score another. Markers are ScType's lists of the types that are there. Reported per
score: share of a cell's score on its own markers, rank of the markers in their type (AUROC; and how many are among the
first twenty genes), by the type alone and against the other types, and how well their mean tells the type's cells from
others. The control draws other genes, as often detected, in place of the markers. Beside real studies stands a
simulated one whose markers are planted.

    python -m benchmarks.science.markers [--quick]
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from benchmarks.science import results
from benchmarks.science.fits import Fits
from benchmarks.science.gene_lists import HALLMARKS, hallmarks, known_markers
from benchmarks.science.measures import marker_measures, usable, with_random_genes
from benchmarks.science.pairs import REPORTED, pair
from benchmarks.science.scores import DEFAULT, PLAIN, SCORES, TUNED, scored
from benchmarks.science.studies import DONOR, TYPE, Study
from insignia.data import simulate_planted
from insignia.stats import auroc

SEEDS: Final = range(2)
MEASURES: Final = ("share", "alone", "first_alone", "against", "first_against", "typing")
CONTROLLED: Final = ("share", "alone", "against", "typing")
LEAST_IN_SET: Final = 5


def one_pair(
    trains: Study, scores: Study, lists: Mapping[str, frozenset[str]], seeds: range
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All scores of one study: measures of markers, and places of hallmark sets; a row a score, seed and cell type."""
    own = usable(lists, scores.types, scores.genes)
    random = with_random_genes(own, scores.logged, np.random.default_rng(0))
    shuffled = np.random.default_rng(0).permutation(scores.types)
    markers, sets = [], []
    for name, seed, values in scored(Fits(trains), scores, seeds):
        found = marker_measures(values, scores.types, own)
        control = marker_measures(values, scores.types, random)
        for measure in CONTROLLED:
            found[f"{measure}_control"] = control[measure]
        found["typing_shuffled"] = marker_measures(values, shuffled, own)["typing"]
        markers.append(found.assign(score=name, seed=seed))
        sets.append(hallmark_places(values, scores).assign(score=name, seed=seed))
    return pd.concat(markers, ignore_index=True), pd.concat(sets, ignore_index=True)


def hallmark_places(values: np.ndarray, scores: Study) -> pd.DataFrame:
    """Where the hallmark set expected of a type stands among all sets that tell its cells from the others."""
    sets = {name: np.isin(scores.genes, sorted(found)) for name, found in hallmarks().items()}
    means = {name: values[:, mine].mean(axis=1) for name, mine in sets.items() if mine.sum() >= LEAST_IN_SET}
    shuffled = np.random.default_rng(0).permutation(scores.types)
    rows = []
    for kind in sorted(set(HALLMARKS) & set(scores.types)):
        areas = pd.Series({name: auroc(mean, scores.types == kind) for name, mean in means.items()})
        ranks = areas.rank(ascending=False, method="min")
        for expected in set(HALLMARKS[kind]) & set(areas.index):
            chance = auroc(means[expected], shuffled == kind)
            rows.append(
                {
                    "type": kind,
                    "hallmark_place": (ranks[expected] - 1) / (len(ranks) - 1),
                    "hallmark": areas[expected],
                    "hallmark_control": chance,
                }
            )
    return pd.DataFrame(rows, columns=["type", "hallmark_place", "hallmark", "hallmark_control"])


def against_expression(rows: pd.DataFrame) -> dict[str, dict[str, list[float]]]:
    """In how many cell types of how many a score is better than expression, with the p of a sign test.

    Seeds are averaged first. Types of one study are not independent, so that p is a lower bound.
    """
    mean = rows.groupby(["score", "pair", "type"], sort=False)[list(MEASURES)].mean()
    plain = mean.loc[PLAIN]
    found: dict[str, dict[str, list[float]]] = {}
    for score in SCORES:
        if score != PLAIN:
            gain = mean.loc[score] - plain
            found[score] = {
                name: [int((gain[name] > 0).sum()), int((gain[name] != 0).sum()), _sign_p(gain[name])]
                for name in MEASURES
            }
    return found


def _sign_p(gain: pd.Series) -> float:
    better, counted = int((gain > 0).sum()), int((gain != 0).sum())
    return float(binomtest(better, counted).pvalue) if counted else 1.0


def real_pairs(pairs: Mapping[str, tuple[str, str]], quick: bool) -> dict[str, Any]:
    """Measure pairs of real studies, and sum them up over pairs, types and seeds."""
    lists = known_markers()
    markers, sets, about = [], [], {}
    for name, (trains, scores) in list(pairs.items())[: 1 if quick else None]:
        first, second = pair(trains, scores)
        found, places = one_pair(first, second, lists, range(1 if quick else len(SEEDS)))
        markers.append(found.assign(pair=name))
        sets.append(places.assign(pair=name))
        means = results.spread(_by_seed(markers[-1]))
        results.table(means, f"{name}: {len(first.genes):,} genes")
        about[name] = {
            "genes": len(first.genes),
            "cells_trained": len(first.types),
            "cells_scored": len(second.types),
            "types": sorted(found["type"].unique()),
            "scores": means,
        }
    rows, places = pd.concat(markers, ignore_index=True), pd.concat(sets, ignore_index=True)
    overall = results.spread(rows.groupby(["score", "pair"], sort=False)[_numbers(rows)].mean().reset_index())
    results.table(overall, "all pairs, spread over pairs")
    hallmark = results.spread(places.groupby(["score", "pair"], sort=False)[_numbers(places)].mean().reset_index())
    results.table(hallmark, "hallmark sets, spread over pairs")
    return {
        "seeds": int(rows["seed"].nunique()),
        "pairs": about,
        "overall": overall,
        "hallmarks": hallmark,
        "against_expression": against_expression(rows),
    }


def planted(quick: bool) -> dict[str, Any]:
    """Measure simulated cells with planted markers: half train, half are scored; a fresh simulation a seed."""
    rows = []
    for seed in range(1 if quick else len(SEEDS)):
        made = simulate_planted(rng=seed)
        made.adata.obs[TYPE] = made.adata.obs[TYPE].astype(str)
        made.adata.obs[DONOR] = "one"
        half = np.arange(made.adata.n_obs) % 2 == 0
        study = Study("planted", made.adata)
        trains, scores = study.where(half), study.where(~half)
        lists = {kind: frozenset(genes) for kind, genes in made.markers.items()}
        own = usable(lists, scores.types, scores.genes)
        random = with_random_genes(own, scores.logged, np.random.default_rng(0))
        house = np.isin(scores.genes, made.housekeeping)
        for name, _, values in scored(Fits(trains), scores, range(seed, seed + 1)):
            found = marker_measures(values, scores.types, own)
            found["share_control"] = marker_measures(values, scores.types, random)["share"]
            positive = np.clip(values, 0, None)
            found["housekeeping"] = 100 * positive[:, house].sum() / positive.sum()
            rows.append(found.assign(score=name, seed=seed))
    means = results.spread(_by_seed(pd.concat(rows, ignore_index=True)))
    results.table(means, "planted markers")
    return {"seeds": 1 if quick else len(SEEDS), "scores": means}


def _by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby(["score", "seed"], sort=False)[_numbers(rows)].mean().reset_index().drop(columns="seed")


def _numbers(rows: pd.DataFrame) -> list[str]:
    return [name for name in rows.select_dtypes("number").columns if name != "seed"]


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """Default attribution beside expression, over all reported pairs."""
    overall = record["reported"]["overall"] if "reported" in record else {}
    return {
        score: {name: overall[score][name][0] for name in MEASURES}
        for score in (PLAIN, "PCA", DEFAULT, TUNED)
        if overall
    }


PARTS: Final[dict[str, Callable[[bool], dict[str, Any]]]] = {
    "reported": partial(real_pairs, REPORTED),
    "planted": planted,
}

if __name__ == "__main__":
    results.main("markers", PARTS, __doc__ or "", summary)
