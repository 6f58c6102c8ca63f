"""What was tried to make attribution name markers better: encoders, targets, baselines and signs, on the tuning pairs.

These pairs only choose; what was chosen is reported on other studies by `benchmarks.science.markers`.

    python -m benchmarks.science.tried [--quick]
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import pandas as pd

from benchmarks.science import results
from benchmarks.science.fits import KINDS, Fits
from benchmarks.science.gene_lists import known_markers
from benchmarks.science.measures import marker_measures, usable
from benchmarks.science.pairs import TUNED, pair
from benchmarks.science.recipes import Recipe, attributed
from benchmarks.science.scores import scored

SEEDS: Final = range(1)
BESIDE: Final = ("expression", "TF-IDF", "expression x specificity", "linear contrast", "PCA")
DEEPLY: Final = ("labelled", "unlabelled", "unlabelled, one spread")
RECIPES: Final = (
    Recipe(""),
    Recipe("", sign="positive"),
    Recipe("", "centred"),
    Recipe("", "contrast"),
    Recipe("", "contrast", sign="positive"),
    Recipe("", "self", "mean", "positive", expressed=False),
    Recipe("", "self", "mean", "positive"),
    Recipe("", "contrast", "mean", "positive"),
    Recipe("", "contrast", n_encoders=2),
)


def one_pair(trains: str, scores: str, quick: bool) -> dict[str, Any]:
    """Measure every recipe with the main encoders, and the default and the contrast with the others."""
    first, second = pair(trains, scores)
    fits, own = Fits(first), usable(known_markers(), second.types, second.genes)
    rows = [
        marker_measures(values, second.types, own).assign(score=name, seed=seed)
        for name, seed, values in scored(fits, second, range(1), BESIDE)
    ]
    for kind in list(KINDS)[: 1 if quick else None]:
        for recipe in RECIPES if kind in DEEPLY else (RECIPES[0], RECIPES[3]):
            made = replace(recipe, encoder=kind)
            for seed in SEEDS[: 1 if quick else None]:
                values = attributed(made, fits, second, seed)
                name = f"{kind}: {made}"
                rows.append(marker_measures(values, second.types, own).assign(score=name, seed=seed))
    found = pd.concat(rows, ignore_index=True)
    means = results.spread(found.groupby(["score", "seed"], sort=False).mean(numeric_only=True).reset_index())
    for row in means.values():
        row.pop("seed")
    results.table(means, f"{trains} to {scores}")
    return {"genes": len(first.genes), "scores": means}


PARTS: Final[dict[str, Callable[[bool], dict[str, Any]]]] = {
    name: partial(one_pair, *studies) for name, studies in TUNED.items()
}


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """How many ways were tried."""
    return {"ways": {name: len(found["scores"]) for name, found in record.items()}}


if __name__ == "__main__":
    results.main("tried", PARTS, __doc__ or "", summary)
