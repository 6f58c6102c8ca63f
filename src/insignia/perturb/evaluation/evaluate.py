"""Score what was fitted before or elsewhere, by the same harness and beside the same baselines."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.data.gene_priors import GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.data.splits import Split
from insignia.perturb.contract import Effect, Predictor
from insignia.perturb.evaluation.benchmark import BASELINES, benchmark
from insignia.perturb.evaluation.scoreboard import Scoreboard
from insignia.perturb.evaluation.yardstick import divide_controls
from insignia.perturb.external import ExternalPredictions
from insignia.perturb.model import PerturbationModel

__all__ = ["evaluate"]


class _Fitted(Predictor):
    """A model that is asked as it is."""

    is_fixed = True

    def __init__(self, model: PerturbationModel) -> None:
        self.model = model

    def fit(self, data: PerturbationData, **_: Any) -> "_Fitted":  # noqa: ARG002 - it was fitted before
        return self

    def effect(self, condition: Condition, context: str) -> Effect:
        return self.model.effect(condition, context)

    def cells(self, condition: Condition, context: str, source: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
        return self.model.predictor.cells(condition, context, source, rng=rng)

    def describe(self) -> dict[str, Any]:
        return self.model.describe()


def evaluate(
    data: PerturbationData,
    split: Split,
    predictions: Mapping[str, PerturbationModel | ExternalPredictions],
    *,
    priors: GenePriors | None = None,
    show_progress: bool | None = None,
) -> Scoreboard:
    """Score fitted models and predictions of other programs on the test side of a split, beside all baselines.

    Parameters
    ----------
    data
        The screen.
    split
        What was held out.
    predictions
        By label: models of `fit` or `load_model`, and what `read_predictions` read.
    priors
        For the baselines that read an embedding.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Raises
    ------
    InputError
        There is nothing to score, a label is that of a baseline, or a model learned from the test side.
    GeneMatchError
        A model has genes that the screen does not measure, or other ones than another model.
    """
    if not predictions or (taken := sorted(set(predictions) & set(BASELINES))):
        said = f"{', '.join(taken)} is a baseline, which always stands beside them" if predictions else "found none"
        raise InputError(f"Expected predictions to score, under labels of their own; {said}.")
    models = {label: one for label, one in predictions.items() if isinstance(one, PerturbationModel)}
    for model in models.values():
        model.check_leaks(split)
    wanted = {model.genes for model in models.values()}
    if len(wanted) > 1 or (wanted and len(models) < len(predictions) and next(iter(wanted)) != data.genes):
        raise InputError(
            "Models and predictions that are scored together need the same genes in the same order as the screen. "
            "Score them one by one, or narrow the screen with data.with_genes(model.genes) before reading and fitting."
        )
    data = data.with_genes(next(iter(wanted))) if wanted else data
    methods = {label: _Fitted(one) if isinstance(one, PerturbationModel) else one for label, one in predictions.items()}
    board = benchmark(data, split, methods=methods, priors=priors, seeds=(0,), shuffled=0, show_progress=show_progress)
    return replace(board, notes=(*board.notes, *_notes(data, predictions)))


def _notes(data: PerturbationData, predictions: Mapping[str, PerturbationModel | ExternalPredictions]) -> list[str]:
    rest, _, halved = divide_controls(data, rng=np.random.default_rng(0))
    aside = set(data.cells.tolist()) - set(rest.cells.tolist())
    notes = []
    for label, one in predictions.items():
        if isinstance(one, ExternalPredictions):
            notes += [f"{label}: {note}" for note in one.notes]
            if halved:
                notes.append(
                    f"{label}: made elsewhere; if it has seen all control cells, it shares their noise with the truth"
                )
        elif any(aside & set(cells.names) for cells in one.controls.values()):
            notes.append(
                f"{label}: it has seen reference control cells, and shares their noise with the truth: fit it with the "
                "split to keep them apart"
            )
    return notes
