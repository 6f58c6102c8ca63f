"""One harness for all predictors: the truth is taken away first, and all meet the same baselines and controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import pandas as pd

from insignia.core.errors import InputError
from insignia.core.progress import progress
from insignia.data.condition import Condition
from insignia.data.gene_priors import GeneEmbedding, GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.data.perturbation_splits import check_leaks, stratum
from insignia.data.splits import Split
from insignia.perturb.contract import Predictor, predictors
from insignia.perturb.effects import group_effects
from insignia.perturb.evaluation.metrics import cell_figures, discrimination, mean_figures
from insignia.perturb.evaluation.scoreboard import Scoreboard
from insignia.perturb.evaluation.yardstick import Measured, Yardstick, divide_controls

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
_CELLS = 200


@dataclass(frozen=True, eq=False)
class _Job:
    train: PerturbationData
    sources: dict[str, np.ndarray]
    offsets: dict[str, np.ndarray]
    measured: tuple[Measured, ...]
    strata: tuple[str, ...]
    yardstick: Yardstick
    notes: tuple[str, ...]


def benchmark(
    data: PerturbationData,
    split: Split,
    *,
    methods: Sequence[str] | Mapping[str, Predictor] = ("flow",),
    priors: GenePriors | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    shuffled: bool = True,
    show_progress: bool | None = None,
) -> Scoreboard:
    """Fit methods and baselines on the training side of a split, and score them on its test side.

    All cells of test conditions are taken away before anything is fitted. In contexts with fewer than 1,000 controls
    half of them are kept from the predictors and serve as the reference of effects, so that truth and prediction share
    no noise. Methods that read an embedding are run once more with its rows shuffled. Half of each test condition
    against the other half is the ceiling.

    Parameters
    ----------
    data
        The screen.
    split
        Train and test conditions, by their text.
    methods
        Registered predictors, or predictors by label; the baselines always stand beside them.
    priors
        Embedding of the perturbed genes and the like.
    seeds
        Seeds to run the methods on; baselines have nothing random.
    shuffled
        Whether to run the shuffled control.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Raises
    ------
    InputError
        No test condition has cells, or a test condition is among the training cells.
    """
    job = _prepare(data, split, seed=seeds[0])
    chosen = methods if isinstance(methods, Mapping) else {name: predictors[name]() for name in methods}
    runs: list[tuple[str, str, Predictor, GenePriors | None, int]] = []
    for name in BASELINES:
        predictor = predictors[name]()
        if not predictor.needs_embedding or (priors is not None and priors.embedding is not None):
            runs.append(("baseline", name, predictor, priors, seeds[0]))
    for label, predictor in chosen.items():
        if label in BASELINES:
            continue
        runs += [("method", label, predictor, priors, seed) for seed in seeds]
        if shuffled and priors is not None and priors.embedding is not None:
            runs.append(("control", f"{label}, shuffled embedding", predictor, _shuffled(priors, seeds[0]), seeds[0]))
    rows, seconds = [], {}
    with progress("fitting and scoring predictors", len(runs), show=show_progress) as advance:
        for role, label, predictor, known, seed in runs:
            started = perf_counter()
            predictor.fit(job.train, priors=known, seed=seed, show_progress=False)
            rows += _score(job, predictor, role=role, label=label, seed=seed)
            seconds[f"{label}, seed {seed}"] = round(perf_counter() - started, 2)
            advance(1)
    rows += _ceiling(job, np.random.default_rng(seeds[0]))
    about = {"split": split.name, "split_hash": split.fingerprint, "seeds": list(seeds), "seconds": seconds}
    return Scoreboard(pd.DataFrame(rows), job.notes, about)


def _prepare(data: PerturbationData, split: Split, *, seed: int) -> _Job:
    rng = np.random.default_rng(seed)
    test = {Condition.parse(unit) for unit in split.test}
    groups = [(condition, context) for condition, context in data.groups if condition in test]
    if not groups:
        raise InputError(f"None of the {len(test)} test conditions of split {split.name!r} has cells in this screen.")
    rest, reference, divided = divide_controls(data, rng=rng)
    train = rest.without(sorted(test, key=str))
    check_leaks(split, train)
    effects = group_effects(train)
    yardstick = Yardstick.make(train, effects, reference, seed=seed)
    cells = [np.asarray(data.expression[data.rows(*group)].toarray()) for group in groups]
    measured = tuple(yardstick.measure(*group, found) for group, found in zip(groups, cells, strict=True))
    contexts = sorted({context for _, context in groups})
    offsets = {
        context: train.mean(train.controls(context)) - reference[context].mean(axis=0, dtype=np.float64)
        for context in contexts
    }
    notes = [f"{context}: half of the controls are kept aside as reference of the effects" for context in divided]
    return _Job(
        train,
        {context: _sources(train, context, rng) for context in contexts},
        offsets,
        measured,
        tuple(stratum(condition, train.conditions) for condition, _ in groups),
        yardstick,
        tuple(notes),
    )


def _sources(train: PerturbationData, context: str, rng: np.random.Generator) -> np.ndarray:
    rows = train.controls(context)
    return np.asarray(train.expression[rng.permutation(rows)[:_CELLS]].toarray())


def _score(job: _Job, predictor: Predictor, *, role: str, label: str, seed: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    answered: list[tuple[int, np.ndarray]] = []
    for i, measured in enumerate(job.measured):
        condition, context = measured.condition, measured.context
        effect = predictor.effect(condition, context)
        row = _row(job, i, role, label, seed) | {"status": effect.status}
        if effect.status != "none":
            source = job.sources[context]
            cells = predictor.cells(condition, context, source, rng=np.random.default_rng(seed))
            row |= mean_figures(effect.delta, measured, job.yardstick) | cell_figures(cells, measured, job.yardstick)
            answered.append((len(rows), effect.delta))
        rows.append(row)
    if answered:
        places, deltas = zip(*answered, strict=True)
        known = [job.measured[place] for place in places]
        for name, metric in (("pds_l1", "cityblock"), ("pds_cosine", "cosine")):
            for place, share in zip(places, discrimination(deltas, known, metric=metric), strict=True):
                rows[place][name] = share
    return rows


def _row(job: _Job, i: int, role: str, label: str, seed: int) -> dict[str, object]:
    measured = job.measured[i]
    return {
        "role": role,
        "method": label,
        "seed": seed,
        "condition": str(measured.condition),
        "context": measured.context,
        "stratum": job.strata[i],
        "cells": len(measured.cells),
    }


def _ceiling(job: _Job, rng: np.random.Generator) -> list[dict[str, object]]:
    """Score half of each test condition against its other half: what a second, smaller experiment would reach."""
    halves, rows = [], []
    for measured in job.measured:
        order = rng.permutation(len(measured.cells))
        halves.append([measured.cells[part] for part in np.array_split(order, 2)])
    for i, (measured, (first, second)) in enumerate(zip(job.measured, halves, strict=True)):
        if min(len(first), len(second)) < 2:
            continue
        truth = job.yardstick.measure(measured.condition, measured.context, second)
        delta = first.mean(axis=0, dtype=np.float64) - job.yardstick.controls[measured.context].mean(axis=0)
        delta = delta - job.offsets[measured.context]
        figures = mean_figures(delta, truth, job.yardstick) | cell_figures(first, truth, job.yardstick)
        rows.append(_row(job, i, "ceiling", "half against half", 0) | {"status": "ok"} | figures)
    return rows


def _shuffled(priors: GenePriors, seed: int) -> GenePriors:
    embedding = priors.embedding
    assert embedding is not None
    order = np.random.default_rng(seed).permutation(len(embedding.genes))
    mixed = GeneEmbedding(embedding.genes, embedding.matrix[order], f"{embedding.source}, shuffled")
    return replace(priors, embedding=mixed)
