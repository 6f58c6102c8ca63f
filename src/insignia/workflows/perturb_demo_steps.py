"""What the perturbation demo computes: a screen with hidden conditions, its programs, predictions and their scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.data import SimulatedScreen, Split, simulate_screen
from insignia.data.perturbation_splits import combo_split, training_cells
from insignia.perturb import (
    PerturbationModel,
    PredictionView,
    Programs,
    Scoreboard,
    benchmark,
    fit,
    induce_programs,
    predictors,
    view_predictions,
)
from insignia.perturb.effects import group_effects
from insignia.perturb.programs.expression import residual_correlation
from insignia.workflows.demo_steps import Timings

__all__ = ["FULL", "QUICK", "DemoScreen", "ScreenSize", "predict_hidden_conditions"]


@dataclass(frozen=True)
class ScreenSize:
    """How large the demo is; `QUICK` checks that all parts work."""

    screen: Mapping[str, int]
    n_programs: int
    flow: Mapping[str, Any]
    seeds: tuple[int, ...]


FULL: Final = ScreenSize({}, 16, {}, (0,))
QUICK: Final = ScreenSize(
    {
        "n_genes": 120,
        "n_programs": 8,
        "n_perturbations": 24,
        "n_doubles": 30,
        "n_controls": 240,
        "cells_per_condition": 50,
    },
    8,
    {"epochs": 5, "n_folds": 2, "width": 128, "n_latent": 20},
    (0,),
)


@dataclass(frozen=True, eq=False)
class DemoScreen:
    """What the demo computed."""

    screen: SimulatedScreen
    split: Split
    programs: Programs
    correlation: np.ndarray
    effects: pd.DataFrame
    board: Scoreboard
    view: PredictionView
    model: PerturbationModel
    predicted: AnnData
    pair: str


def predict_hidden_conditions(timings: Timings, size: ScreenSize, show_progress: bool | None) -> DemoScreen:
    """Simulate, hide, induce programs, predict, score, and predict a pair that nobody measured."""
    with timings.step("simulate"):
        screen = simulate_screen(rng=1, **size.screen)
        split = combo_split(screen.data, rng=0)
        train = training_cells(screen.data, split)
    with timings.step("programs"):
        programs = induce_programs(train, n_programs=size.n_programs, split=split)
        correlation, _ = residual_correlation(train)
        known = group_effects(train)
        effects = pd.DataFrame(known.delta, index=list(map(str, known.conditions)), columns=list(train.genes))
    make: Any = predictors["flow"]
    flow, additive = make(**size.flow), predictors["additive"]()
    ridge = predictors["ridge_embedding"]()
    with timings.step("benchmark"):
        board = benchmark(
            screen.data,
            split,
            methods={"flow": flow},
            priors=screen.priors,
            seeds=size.seeds,
            show_progress=show_progress,
        )
    with timings.step("view"):
        additive.fit(train)
        ridge.fit(train, priors=screen.priors)
        methods = {"flow": flow, "ridge_embedding": ridge, "additive": additive}
        view = view_predictions(screen.data, split, methods, _shown(board), seed=size.seeds[0])
    with timings.step("fit"):
        # from all that was measured, as one would for what was not
        model = fit(screen.data, priors=screen.priors, show_progress=show_progress, **size.flow)
        pair = _unmeasured_pair(screen)
        predicted = model.predict(pair, n_cells=200)
    return DemoScreen(screen, split, programs, correlation, effects, board, view, model, predicted, pair)


def _shown(board: Scoreboard) -> list[str]:
    """Three conditions of each of two strata: the largest, the median and the smallest effect."""
    rows = board.rows[board.rows["method"] == "control"]
    shown: list[str] = []
    for stratum in ("unseen single", "seen 2 of 2"):
        by_size = rows[rows["stratum"] == stratum].sort_values("l2", ascending=False, kind="stable")
        names = [str(name) for name in by_size["condition"]]
        shown += list(dict.fromkeys((names[0], names[len(names) // 2], names[-1])))
    return shown


def _unmeasured_pair(screen: SimulatedScreen) -> str:
    """Name the pair of strong genes that was not measured."""
    measured = {str(condition) for condition in screen.data.conditions}
    strength = np.argsort(-np.abs(screen.truth.single).sum(axis=1), kind="stable")
    targets = [screen.truth.targets[i] for i in strength]
    pairs = ("+".join(sorted((first, second))) for i, first in enumerate(targets) for second in targets[:i])
    return next(pair for pair in pairs if pair not in measured)
