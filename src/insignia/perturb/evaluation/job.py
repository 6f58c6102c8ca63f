"""What a benchmark prepares once: training cells without the test conditions, and the test side as it was measured."""

from dataclasses import dataclass

import numpy as np

from insignia.core.errors import GeneMatchError, InputError
from insignia.data.condition import Condition
from insignia.data.perturbation import PerturbationData
from insignia.data.perturbation_splits import check_leaks, held_groups, stratum, training_cells
from insignia.data.splits import Split
from insignia.perturb.contract import Predictor
from insignia.perturb.effects import group_effects
from insignia.perturb.evaluation.cell_metrics import cell_figures
from insignia.perturb.evaluation.mean_metrics import mean_figures, rank_figures
from insignia.perturb.evaluation.yardstick import Measured, Yardstick, divide_controls

__all__ = ["Job", "prepare"]

_CELLS = 200


@dataclass(frozen=True, eq=False)
class Job:
    """One split of one screen, ready to score.

    Parameters
    ----------
    data
        The screen whose test side is scored.
    other
        The screen that is learned from, where it is another one; its test side is a ceiling.
    train
        What predictors may see.
    sources
        By context, (cells, genes) control cells that predictions start from.
    measured, strata
        The test conditions, and how much of each was seen in training.
    yardstick
        What they are held against.
    notes
        What to be careful with.
    """

    data: PerturbationData
    other: PerturbationData | None
    train: PerturbationData
    sources: dict[str, np.ndarray]
    measured: tuple[Measured, ...]
    strata: tuple[str, ...]
    yardstick: Yardstick
    notes: tuple[str, ...]

    def row(self, i: int, *, role: str, label: str, seed: int, status: str = "ok", note: str = "") -> dict[str, object]:
        """Start a row of the scoreboard for one test condition."""
        measured = self.measured[i]
        return {
            "role": role,
            "method": label,
            "seed": seed,
            "condition": str(measured.condition),
            "context": measured.context,
            "stratum": self.strata[i],
            "cells": measured.n_cells,
            "status": status,
            "note": note,
        }

    def score(self, predictor: Predictor, *, role: str, label: str, seed: int) -> list[dict[str, object]]:
        """Score a fitted predictor on every test condition."""
        rows: list[dict[str, object]] = []
        answered: list[int] = []
        deltas: list[np.ndarray] = []
        for i, measured in enumerate(self.measured):
            condition, context = measured.condition, measured.context
            try:
                effect = predictor.effect(condition, context)
            except GeneMatchError as error:
                rows.append(self.row(i, role=role, label=label, seed=seed, status="none", note=str(error)))
                continue
            rows.append(self.row(i, role=role, label=label, seed=seed, status=effect.status, note=effect.note))
            if effect.status == "none":
                continue
            rng = np.random.default_rng(seed)
            cells = predictor.cells(condition, context, self.sources[context], rng=rng)
            rows[-1] |= mean_figures(effect.delta, measured, self.yardstick)
            rows[-1] |= cell_figures(cells, measured, self.yardstick)
            answered.append(i)
            deltas.append(effect.delta)
        for i, figures in zip(answered, rank_figures(deltas, self._known(answered), self.yardstick), strict=True):
            rows[i] |= figures
        return rows

    def _known(self, places: list[int]) -> list[Measured]:
        return [self.measured[i] for i in places]


def prepare(data: PerturbationData, split: Split, *, learn_from: PerturbationData | None, seed: int) -> Job:
    """Take the test conditions away, put controls aside, and measure the test side.

    Raises
    ------
    InputError
        No test condition has cells, the two screens have other genes, or a test condition leaks.
    """
    rng = np.random.default_rng(seed)
    groups = held_groups(data, split)
    if not groups:
        raise InputError(
            f"None of the {len(split.test)} test conditions of split {split.name!r} has cells in this screen."
        )
    few = [group for group in groups if len(data.rows(*group)) < 2]
    groups = [group for group in groups if group not in few]
    notes = [f"{condition} in {context}: left out, it has one cell" for condition, context in few]
    contexts = sorted({context for _, context in groups})
    if learn_from is None:
        rest, reference, divided = divide_controls(data, rng=rng)
        train = training_cells(rest, split)
        base = {context: train.expression[train.controls(context)] for context in contexts}
        notes += [f"{context}: half of the controls are kept aside as reference of the effects" for context in divided]
    else:
        _check_genes(data, learn_from)
        train = training_cells(learn_from, split)
        reference = base = {context: data.expression[data.controls(context)] for context in contexts}
        notes.append("learned from another measurement, with controls of its own")
    check_leaks(split, train)
    effects = group_effects(train)
    controls = {context: (reference[context], base[context]) for context in contexts}
    yardstick = Yardstick.make(train, effects, controls, seed=seed)
    return Job(
        data,
        learn_from,
        train,
        {context: np.asarray(cells[_some(cells.shape[0], rng)].toarray()) for context, cells in base.items()},
        tuple(yardstick.measure(*group, data.expression[data.rows(*group)]) for group in groups),
        tuple(_stratum(train, *group) for group in groups),
        yardstick,
        tuple(notes),
    )


def _stratum(train: PerturbationData, condition: Condition, context: str) -> str:
    known = {where for one, where in train.groups if not one.is_control}
    return f"{'' if context in known else 'unseen context, '}{stratum(condition, train.conditions)}"


def _some(n: int, rng: np.random.Generator) -> np.ndarray:
    return np.sort(rng.permutation(n)[:_CELLS])


def _check_genes(data: PerturbationData, other: PerturbationData) -> None:
    if data.genes != other.genes:
        shared = len(set(data.genes) & set(other.genes))
        raise InputError(
            f"Both screens need the same genes in the same order; {shared} of {len(data.genes)} and {len(other.genes)} "
            "are shared. Read both files with the same list of genes."
        )
