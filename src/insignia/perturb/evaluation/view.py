"""Predictions beside what was measured, as tables for figures: effects gene by gene, and cells along the effect."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.data.perturbation import PerturbationData
from insignia.data.splits import Split
from insignia.perturb.contract import Predictor
from insignia.perturb.evaluation.cell_metrics import effect_axis
from insignia.perturb.evaluation.job import Job, prepare
from insignia.perturb.evaluation.yardstick import Measured, in_common_space
from insignia.perturb.model import PerturbationModel

__all__ = ["PredictionView", "view_predictions"]


@dataclass(frozen=True, eq=False)
class PredictionView:
    """What fitted predictors say of some test conditions, beside what was measured.

    Parameters
    ----------
    effects
        One row a condition, context, gene and method: ``measured`` and ``predicted`` change of mean log expression,
        ``score``, Welch's statistic of the measured change, and ``stratum``.
    cells
        One row a cell: ``condition``, ``context``, ``kind`` (control, measured, or the name of a method), ``effect``,
        its place along the measured effect, and ``across``, its place along what varies most beside it.
    """

    effects: pd.DataFrame
    cells: pd.DataFrame


def view_predictions(
    data: PerturbationData,
    split: Split,
    methods: Mapping[str, Predictor | PerturbationModel],
    conditions: Sequence[str],
    *,
    learn_from: PerturbationData | None = None,
    seed: int = 0,
) -> PredictionView:
    """Ask fitted predictors for some test conditions, under the same rules as `benchmark`.

    Parameters
    ----------
    data, split, learn_from
        As for `benchmark`; with the same seed the same controls are kept aside.
    methods
        Models of `fit`, or fitted predictors, by label. Those that were given to `benchmark` by label are left fitted
        with its last seed.
    conditions
        Test conditions, in the order in which they are to be shown.
    seed
        The first seed of the benchmark.

    Raises
    ------
    InputError
        A condition is not among those that the split tests, or a model learned from one of them.
    """
    for one in methods.values():
        if isinstance(one, PerturbationModel):
            one.check_leaks(split)
    asked = {label: one.predictor if isinstance(one, PerturbationModel) else one for label, one in methods.items()}
    job = prepare(data, split, learn_from=learn_from, seed=seed)
    wanted = [Condition.parse(text) for text in conditions]
    known = {one.condition for one in job.measured}
    if absent := [str(one) for one in wanted if one not in known]:
        raise InputError(
            f"{', '.join(absent[:5])} is not among the {len(known)} test conditions of split {split.name!r}, e.g. "
            f"{', '.join(sorted(map(str, known))[:5])}."
        )
    places = [(i, one) for condition in wanted for i, one in enumerate(job.measured) if one.condition == condition]
    effects = [frame for i, one in places for frame in _effects(job, one, job.strata[i], asked)]
    cells = [frame for _, one in places for frame in _cells(job, one, asked, seed)]
    return PredictionView(pd.concat(effects, ignore_index=True), pd.concat(cells, ignore_index=True))


def _effects(job: Job, measured: Measured, stratum: str, methods: Mapping[str, Predictor]) -> Iterable[pd.DataFrame]:
    for label, predictor in methods.items():
        effect = predictor.effect(measured.condition, measured.context)
        yield pd.DataFrame(
            {
                "condition": str(measured.condition),
                "context": measured.context,
                "stratum": stratum,
                "method": label,
                "gene": job.data.genes,
                "measured": measured.delta,
                "predicted": effect.delta,
                "score": measured.scores,
            }
        )


def _cells(job: Job, measured: Measured, methods: Mapping[str, Predictor], seed: int) -> Iterable[pd.DataFrame]:
    condition, context = measured.condition, measured.context
    controls = job.yardstick.places[context].reference_latent
    found = {"control": controls, "measured": measured.latent}
    for label, predictor in methods.items():
        if predictor.effect(condition, context).status != "none":
            cells = predictor.cells(condition, context, job.sources[context], rng=np.random.default_rng(seed))
            found[label] = in_common_space(job.yardstick.latent, cells)
    axis = effect_axis(measured.latent, controls)
    across = _widest_beside(np.vstack([controls, measured.latent]), axis)
    for kind, points in found.items():
        centred = points - controls.mean(axis=0)
        yield pd.DataFrame(
            {
                "condition": str(condition),
                "context": context,
                "kind": kind,
                "effect": centred @ axis,
                "across": centred @ across,
            }
        )


def _widest_beside(points: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Direction in which points vary most once their place along an axis is taken away, (components,)."""
    rest = points - points.mean(axis=0)
    rest = rest - np.outer(rest @ axis, axis)
    widest: np.ndarray = np.linalg.svd(rest, full_matrices=False)[2][0]
    return widest
