"""Whether a score carries a cell type from one study or technology to another.

A third study trains. Two units (studies, chemistries or donors) are scored; each type mean of one is compared with the
means in the other, by cosine and by ranks, as they are and less the mean over the unit's types. Reported: how often the
most similar mean is that of the same type, the margin between the same and the best other type, and how often a single
cell is most similar to its own type in the other unit (mean over types). The control shuffles types in the other unit.

    python -m benchmarks.science.transfer [--quick]
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import permutations
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks.science import results
from benchmarks.science.fits import Fits
from benchmarks.science.noise import correlations
from benchmarks.science.scores import DEFAULT, PLAIN, TUNED, scored
from benchmarks.science.studies import Study, shared_genes, study, type_means

SEEDS: Final = range(1)
LEAST_CELLS: Final = 5
LEAST_TYPES: Final = 3


def technologies() -> tuple[Study, list[Study]]:
    """Train on Kang (3' v1); compare three chemistries of 10x and PBMC 5k (3' v3)."""
    chemistries = study("symphony")
    names = np.unique(chemistries.donors)
    units = [chemistries.where(chemistries.donors == name, f"10x {name}") for name in names]
    return study("kang_control"), [*units, study("pbmc5k")]


def donors() -> tuple[Study, list[Study]]:
    """Train on three chemistries of 10x; compare donors of Kang with each other and with PBMC 5k."""
    kang = study("kang_control")
    names, counts = np.unique(kang.donors, return_counts=True)
    units = [kang.where(kang.donors == name, f"Kang {name}") for name in names[counts >= 80]]
    return study("symphony"), [*units, study("pbmc5k")]


def one_set(make: Callable[[], tuple[Study, list[Study]]], quick: bool) -> dict[str, Any]:
    """Compare all ordered pairs of units by all scores."""
    trains, units = make()
    genes = shared_genes(trains, *units)
    fits, units = Fits(trains.of(genes)), [_common_cells(unit.of(genes)) for unit in units]
    values: dict[tuple[str, int], list[np.ndarray]] = {}
    for unit in units:
        for name, seed, found in scored(fits, unit, SEEDS[: 1 if quick else None]):
            values.setdefault((name, seed), []).append(found)
    rows = [
        {"score": name, "seed": seed, "pair": f"{units[i].name} / {units[j].name}", **measured}
        for (name, seed), found in values.items()
        for i, j in permutations(range(len(units)), 2)
        if (measured := compared((found[i], units[i].types), (found[j], units[j].types)))
    ]
    table = pd.DataFrame(rows)
    means = results.spread(table.groupby(["score", "pair"], sort=False).mean(numeric_only=True).reset_index())
    for row in means.values():
        row.pop("seed")
    results.table(means, f"trained on {trains.name}, {len(genes):,} genes, spread over pairs of units")
    return {
        "trained_on": trains.name,
        "genes": len(genes),
        "units": [unit.name for unit in units],
        "pairs": int(table["pair"].nunique()),
        "seeds": int(table["seed"].nunique()),
        "scores": means,
    }


def compared(query: tuple[np.ndarray, np.ndarray], target: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Compare two scored units over the types that both have; nothing if these are fewer than three."""
    kinds = sorted(set(query[1]) & set(target[1]))
    if len(kinds) < LEAST_TYPES:
        return {}
    (first, mine), (second, yours) = (_only(values, types, kinds) for values, types in (query, target))
    shuffled = np.random.default_rng(0).permutation(yours)
    a, b = type_means(first, mine)[1], type_means(second, yours)[1]
    control = type_means(second, shuffled)[1]
    centred_a, centred_b = a - a.mean(axis=0), b - b.mean(axis=0)
    codes = np.searchsorted(kinds, mine)
    return {
        "types": len(kinds),
        "cosine": _retrieved(_cosines(a, b)),
        "rank": _retrieved(correlations(a, b)),
        "cosine_centred": _retrieved(_cosines(centred_a, centred_b)),
        "margin": _margin(_cosines(a, b)),
        "margin_centred": _margin(_cosines(centred_a, centred_b)),
        "cells": _accuracy(_cosines(first, b), codes),
        "cells_centred": _accuracy(_cosines(first - a.mean(axis=0), centred_b), codes),
        "cells_control": _accuracy(_cosines(first - a.mean(axis=0), control - control.mean(axis=0)), codes),
    }


def _common_cells(unit: Study) -> Study:
    names, counts = np.unique(unit.types, return_counts=True)
    return unit.where(np.isin(unit.types, names[counts >= LEAST_CELLS]))


def _only(values: np.ndarray, types: np.ndarray, kinds: list[str]) -> tuple[np.ndarray, np.ndarray]:
    kept = np.isin(types, kinds)
    return values[kept], types[kept]


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    unit = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in (first, second)]
    found: np.ndarray = unit[0] @ unit[1].T
    return found


def _retrieved(similarity: np.ndarray) -> float:
    return float((similarity.argmax(axis=1) == np.arange(len(similarity))).mean())


def _margin(similarity: np.ndarray) -> float:
    others = np.where(np.eye(len(similarity), dtype=bool), -np.inf, similarity).max(axis=1)
    return float((np.diag(similarity) - others).mean())


def _accuracy(similarity: np.ndarray, codes: np.ndarray) -> float:
    right = similarity.argmax(axis=1) == codes
    return float(np.mean([right[codes == code].mean() for code in np.unique(codes)]))


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """Share of cells that are most similar to their own type in another unit, default attribution beside expression."""
    return {
        name: {score: found["scores"][score]["cells_centred"][0] for score in (PLAIN, "PCA", DEFAULT, TUNED)}
        for name, found in record.items()
    }


PARTS: Final[dict[str, Callable[[bool], dict[str, Any]]]] = {
    "technologies": partial(one_set, technologies),
    "donors": partial(one_set, donors),
}

if __name__ == "__main__":
    results.main("transfer", PARTS, __doc__ or "", summary)
