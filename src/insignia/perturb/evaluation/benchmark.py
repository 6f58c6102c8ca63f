"""One harness for all predictors: the truth is taken away first, and all meet the same baselines and controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, cast

import numpy as np
import pandas as pd

from insignia.core.progress import progress
from insignia.data.gene_priors import GeneEmbedding, GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.data.splits import Split
from insignia.perturb.contract import Predictor, predictors
from insignia.perturb.evaluation.ceiling import ceiling_rows
from insignia.perturb.evaluation.job import Job, prepare
from insignia.perturb.evaluation.scoreboard import Scoreboard

__all__ = ["BASELINES", "benchmark"]

BASELINES = (
    "control",
    "perturbed_mean",
    "matching_mean",
    "additive",
    "ridge_onehot",
    "ridge_embedding",
    "bilinear",
    "knn_embedding",
    "pairwise_ridge",
)


@dataclass(frozen=True, eq=False)
class _Run:
    role: str
    label: str
    predictor: Predictor
    priors: GenePriors | None
    seed: int


def benchmark(
    data: PerturbationData,
    split: Split,
    *,
    methods: Sequence[str] | Mapping[str, Predictor] = ("flow",),
    priors: GenePriors | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    shuffled: int = 1,
    learn_from: PerturbationData | None = None,
    show_progress: bool | None = None,
) -> Scoreboard:
    """Fit methods and baselines on the training side of a split, and score them on its test side.

    All cells of test conditions are taken away before anything is fitted. In contexts with fewer than 1,000 controls
    half of them are kept from the predictors and serve as the reference of effects, so that truth and prediction share
    no noise. Half of each test condition against the other half is the ceiling.

    Parameters
    ----------
    data
        The screen.
    split
        Train and test conditions, by their text.
    methods
        Registered predictors, or predictors by label, which are left fitted with the last seed; the baselines always
        stand beside them. A gene without an embedding is not answered by a method that refuses it, and by baselines
        with the mean, flagged.
    priors
        Embedding of the perturbed genes and the like.
    seeds
        Seeds to run the methods on; baselines have nothing random.
    shuffled
        How many times each method is run with shuffled rows of the embedding, as a control.
    learn_from
        Another measurement of the same genes to learn from, such as a replicate; each then keeps its own controls, and
        what this one measured of the test conditions stands as the ceiling.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Raises
    ------
    InputError
        No test condition has cells, the two measurements differ in genes, or a test condition is among the training
        cells.
    """
    job = prepare(data, split, learn_from=learn_from, seed=seeds[0])
    runs = [*_baseline_runs(priors, seeds[0]), *_method_runs(methods, priors, seeds, int(shuffled))]
    rows: list[dict[str, object]] = []
    about: dict[str, dict[str, Any]] = {"seconds_fit": {}, "seconds_predict": {}, "described": {}}
    with progress("fitting and scoring predictors", len(runs), show=show_progress) as advance:
        for run in runs:
            rows += _carry_out(job, run, about)
            advance(1)
    rows += ceiling_rows(job, rng=np.random.default_rng(seeds[0]))
    return Scoreboard(pd.DataFrame(rows), job.notes, _settings(job, split, priors, seeds) | about)


def _baseline_runs(priors: GenePriors | None, seed: int) -> list[_Run]:
    runs = []
    for name in BASELINES:
        predictor = predictors[name]()
        if predictor.needs_embedding:
            if priors is None or priors.embedding is None:
                continue
            predictor = cast("Any", predictors[name])(on_missing="mean")
        runs.append(_Run("baseline", name, predictor, priors, seed))
    return runs


def _method_runs(
    methods: Sequence[str] | Mapping[str, Predictor], priors: GenePriors | None, seeds: Sequence[int], shuffled: int
) -> list[_Run]:
    chosen = methods if isinstance(methods, Mapping) else {name: predictors[name]() for name in methods}
    runs = []
    for label, predictor in chosen.items():
        if label in BASELINES:
            continue
        if priors is not None and priors.embedding is not None and not predictor.is_fixed:
            control = f"{label}, shuffled embedding"
            order = [seeds[i] if i < len(seeds) else max(seeds) + 1 + i for i in range(shuffled)]
            runs += [_Run("control", control, predictor, _shuffled(priors, seed), seed) for seed in order]
        # last, so that a predictor of the caller is left as a user would fit it
        runs += [_Run("method", label, predictor, priors, seed) for seed in seeds[: 1 if predictor.is_fixed else None]]
    return runs


def _carry_out(job: Job, run: _Run, about: dict[str, dict[str, Any]]) -> list[dict[str, object]]:
    started = perf_counter()
    run.predictor.fit(job.train, priors=run.priors, seed=run.seed, show_progress=False)
    fitted = perf_counter()
    rows = job.score(run.predictor, role=run.role, label=run.label, seed=run.seed)
    name = f"{run.label}, seed {run.seed}"
    about["seconds_fit"][name] = round(fitted - started, 3)
    about["seconds_predict"][name] = round(perf_counter() - fitted, 3)
    about["described"][name] = run.predictor.describe()
    return rows


def _settings(job: Job, split: Split, priors: GenePriors | None, seeds: Sequence[int]) -> dict[str, Any]:
    genes = sorted({gene for one in job.measured for gene in one.condition.genes})
    known = 0 if priors is None or priors.embedding is None else int(priors.embedding.rows(genes)[1].sum())
    return {
        "split": split.name,
        "split_hash": split.fingerprint,
        "seeds": list(seeds),
        "train_cells": len(job.train),
        "test_cells": sum(one.n_cells for one in job.measured),
        "test_conditions": len({one.condition for one in job.measured}),
        "genes": len(job.data.genes),
        "perturbed_genes_with_embedding": f"{known} of {len(genes)}",
        "components": job.yardstick.latent.size,
        "mmd_bandwidth": round(job.yardstick.bandwidth, 4),
    }


def _shuffled(priors: GenePriors, seed: int) -> GenePriors:
    embedding = priors.embedding
    assert embedding is not None
    order = np.random.default_rng(seed).permutation(len(embedding.genes))
    mixed = GeneEmbedding(embedding.genes, embedding.matrix[order], f"{embedding.source}, shuffled")
    return replace(priors, embedding=mixed)
