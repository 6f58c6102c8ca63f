"""Whether technical noise moves a score: less depth, dropout, another batch; and what share technical genes have.

Each score is fitted on one study, and another is scored before and after noise is put on its counts. Reported: rank
correlation of genes in a cell, in a type's mean, and in the difference between a type and the others, before and after,
with the correlation to another type's mean as the control (a score that never changes would be stable too); how far
noise on half of the cells of one type makes hallmark sets look different (mean distance of their AUROC from a half; the
control compares two halves without noise); and how well known markers still tell types apart.

    python -m benchmarks.science.noise [--quick]
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from benchmarks.science import results
from benchmarks.science.disturb import NOISES, disturbed
from benchmarks.science.fits import Fits
from benchmarks.science.gene_lists import hallmarks, known_markers, technical
from benchmarks.science.measures import marker_measures, usable
from benchmarks.science.pairs import pair
from benchmarks.science.scores import scored
from benchmarks.science.studies import Study, type_means
from insignia.data import simulate_planted
from insignia.stats import auroc

SEEDS: Final = range(2)
LEAST_IN_SET: Final = 5
LARGEST_TYPE: Final = 200
PAIRS: Final = {"Kang to PBMC 5k": ("kang_control", "pbmc5k"), "10x chemistries to Kang": ("symphony", "kang_control")}


def real_pair(trains: str, scores: str, quick: bool) -> dict[str, Any]:
    """Put every noise on one study, once a seed, and measure every score."""
    first, second = pair(trains, scores)
    fits, own = Fits(first), usable(known_markers(), second.types, second.genes)
    rows, shares = [], []
    for seed in SEEDS[: 1 if quick else None]:
        seeds = range(seed, seed + 1)
        before = {name: values for name, _, values in scored(fits, second, seeds)}
        shares += [{"score": name, **technical_shares(values, second)} for name, values in before.items()]
        for noise in list(NOISES)[: 2 if quick else None]:
            noisy = disturbed(second, noise, np.random.default_rng(seed))
            for name, _, after in scored(fits, noisy, seeds):
                found = stability(before[name], after, second)
                found |= typing(after, second, own) | artefacts(before[name], after, second, seed)
                rows.append({"noise": noise, "score": name, **found})
    table = pd.DataFrame(rows)
    noises = {noise: results.spread(part) for noise, part in table.groupby("noise", sort=False)}
    for noise, means in noises.items():
        results.table(means, f"{trains} to {scores}, {noise}")
    technique = results.spread(pd.DataFrame(shares))
    results.table(technique, "share of technical genes, per cent")
    return {"genes": len(first.genes), "seeds": 1 if quick else len(SEEDS), "noises": noises, "technical": technique}


def planted(quick: bool) -> dict[str, Any]:
    """Thin simulated cells to 30 %: stability of type means on planted markers, a fresh simulation a seed."""
    rows = []
    for seed in range(1 if quick else len(SEEDS)):
        made = simulate_planted(rng=seed)
        made.adata.obs["donor"] = "one"
        half = np.arange(made.adata.n_obs) % 2 == 0
        study = Study("planted", made.adata)
        fits, second = Fits(study.where(half)), study.where(~half)
        noisy = disturbed(second, "thinned to 30 %", np.random.default_rng(seed))
        seeds = range(seed, seed + 1)
        before = {name: values for name, _, values in scored(fits, second, seeds)}
        rows += [
            {"score": name, **stability(before[name], after, second)} for name, _, after in scored(fits, noisy, seeds)
        ]
    means = results.spread(pd.DataFrame(rows))
    results.table(means, "planted markers, thinned to 30 %")
    return {"seeds": 1 if quick else len(SEEDS), "scores": means}


def stability(before: np.ndarray, after: np.ndarray, study: Study) -> dict[str, float]:
    """Rank correlations of genes before and after, within cells, type means and differences between types."""
    _, old = type_means(before, study.types)
    _, new = type_means(after, study.types)
    between = correlations(old, new)
    same = np.eye(len(old), dtype=bool)
    cells = np.random.default_rng(0).permutation(len(before))[:150]
    return {
        "cell_rank": float(np.mean([_spearman_of_expressed(before[i], after[i]) for i in cells])),
        "type_rank": float(between[same].mean()),
        "other_type_rank": float(between[~same].mean()),
        "difference_rank": float(correlations(_differences(old), _differences(new))[same].mean()),
        "shift": float(np.abs(_profile(old) - _profile(new)).sum(axis=1).mean() / 2),
    }


def correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Rank correlations of all rows of one with all rows of the other."""
    ranks = [np.apply_along_axis(rankdata, 1, rows) for rows in (first, second)]
    found: np.ndarray = np.corrcoef(*ranks)[: len(first), len(first) :]
    return found


def typing(after: np.ndarray, study: Study, own: Mapping[str, np.ndarray]) -> dict[str, float]:
    """How well the mean score of known markers tells types apart, with shuffled types as the control."""
    shuffled = np.random.default_rng(0).permutation(study.types)
    return {
        "typing": float(marker_measures(after, study.types, own)["typing"].mean()),
        "typing_shuffled": float(marker_measures(after, shuffled, own)["typing"].mean()),
    }


def artefacts(before: np.ndarray, after: np.ndarray, study: Study, seed: int) -> dict[str, float]:
    """Differences that hallmark sets show between halves of the largest type, one of them noisy."""
    names, counts = np.unique(study.types, return_counts=True)
    cells = np.random.default_rng(seed).permutation(np.flatnonzero(study.types == names[counts.argmax()]))
    cells = cells[:LARGEST_TYPE]
    is_noisy = np.arange(len(cells)) < len(cells) // 2
    sets = [np.isin(study.genes, sorted(found)) for found in hallmarks().values()]
    sets = [mine for mine in sets if mine.sum() >= LEAST_IN_SET]
    mixed = np.where(is_noisy[:, None], after[cells], before[cells])
    areas = [auroc(mixed[:, mine].mean(axis=1), is_noisy) for mine in sets]
    clean = [auroc(before[cells][:, mine].mean(axis=1), is_noisy) for mine in sets]
    return {
        "artefact": float(np.abs(np.array(areas) - 0.5).mean()),
        "artefact_control": float(np.abs(np.array(clean) - 0.5).mean()),
    }


def technical_shares(values: np.ndarray, study: Study) -> dict[str, float]:
    """Share of the positive score on mitochondrial, ribosomal and housekeeping genes, per cent; the same by number."""
    positive = np.clip(values, 0.0, None)
    kinds = technical(study.genes)
    share = {kind: 100 * float(positive[:, mine].sum() / positive.sum()) for kind, mine in kinds.items() if mine.any()}
    return share | {f"{kind}_genes": 100 * float(kinds[kind].mean()) for kind in share}


def _differences(means: np.ndarray) -> np.ndarray:
    total = means.sum(axis=0)
    difference: np.ndarray = means - (total - means) / (len(means) - 1)
    return difference


def _profile(means: np.ndarray) -> np.ndarray:
    positive = np.clip(means, 0.0, None)
    profile: np.ndarray = positive / np.maximum(positive.sum(axis=1, keepdims=True), 1e-12)
    return profile


def _spearman_of_expressed(before: np.ndarray, after: np.ndarray) -> float:
    kept = (before != 0) | (after != 0)
    if kept.sum() < 3:
        return 0.0
    ranks = rankdata(before[kept]), rankdata(after[kept])
    if min(rank.std() for rank in ranks) == 0:
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """Rank stability of type means and artefacts at 10 % depth, for every score, first pair."""
    found = next(iter(record.values()))["noises"]["thinned to 10 %"] if record else {}
    return {
        score: {name: row[name][0] for name in ("type_rank", "difference_rank", "artefact")}
        for score, row in found.items()
    }


PARTS: Final[dict[str, Callable[[bool], dict[str, Any]]]] = {
    **{name: partial(real_pair, *studies) for name, studies in PAIRS.items()},
    "planted": planted,
}

if __name__ == "__main__":
    results.main("noise", PARTS, __doc__ or "", summary)
