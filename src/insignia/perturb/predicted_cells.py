"""Predictions as AnnData that scanpy and `tl.score` take as they are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.perturb.contract import Effect

if TYPE_CHECKING:
    from insignia.perturb.model import PerturbationModel

__all__ = ["CELLS_FORMAT", "answered", "mean_table", "predicted_cells"]

CELLS_FORMAT: Final = "insignia predicted cells 1"
MEANS_FORMAT: Final = "insignia predicted means 1"


def predicted_cells(
    model: "PerturbationModel", groups: Sequence[tuple[Condition, str]], *, n_cells: int, seed: int
) -> AnnData:
    """Predict `n_cells` cells of every group, a condition in a context; see `PerturbationModel.predict`."""
    sources = {context: _sources(model, context, n_cells, seed) for _, context in groups}
    cells, deltas, obs = [], [], []
    for condition, context in groups:
        source, names = sources[context]
        effect = answered(model, condition, context)
        made = model.predictor.cells(condition, context, source, rng=np.random.default_rng(seed))
        cells.append(np.asarray(made, dtype=np.float32))
        deltas.append(cells[-1] - source)
        obs.append(_obs(condition, context, effect, names))
    table = pd.concat(obs, ignore_index=True)
    table.index = pd.Index([f"predicted{i + 1:06d}" for i in range(len(table))])
    about = _about(model, seed) | {"format": CELLS_FORMAT, "n_cells": n_cells}
    return _adata(model, np.concatenate(cells), table, {keys.DELTA: np.concatenate(deltas)}, about)


def mean_table(model: "PerturbationModel", groups: Sequence[tuple[Condition, str]]) -> AnnData:
    """Predict mean expression, one row a group; see `PerturbationModel.means`."""
    level = {
        context: np.asarray(model.controls[context].expression.mean(axis=0, dtype=np.float64)).ravel()
        for context in {where for _, where in groups}
    }
    effects, obs, means = [], [], []
    for condition, context in groups:
        effects.append(answered(model, condition, context))
        means.append(np.maximum(level[context] + effects[-1].delta, 0))
        obs.append(_obs(condition, context, effects[-1], [""]).drop(columns=keys.SOURCE_CELL))
    table = pd.concat(obs, ignore_index=True)
    table.index = pd.Index(table[keys.CONDITION].astype(str) + " | " + table[keys.CONTEXT].astype(str))
    layers = {keys.DELTA: np.array([effect.delta for effect in effects], dtype=np.float32)}
    if all(effect.sd is not None for effect in effects):
        layers[keys.SD] = np.array([effect.sd for effect in effects], dtype=np.float32)
    about = _about(model, model.about["seed"]) | {"format": MEANS_FORMAT}
    return _adata(model, np.array(means, dtype=np.float32), table, layers, about)


def _sources(model: "PerturbationModel", context: str, n_cells: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Control cells, each once while there are enough."""
    kept = model.controls[context]
    order = np.random.default_rng(seed).permutation(len(kept.names))
    rows = np.resize(order, n_cells)
    return np.asarray(kept.expression[rows].toarray(), dtype=np.float32), [kept.names[row] for row in rows]


def answered(model: "PerturbationModel", condition: Condition, context: str) -> Effect:
    """Predict an effect, and refuse where there is no answer.

    Raises
    ------
    InputError
        The predictor has no answer for the condition.
    """
    effect = model.predictor.effect(condition, context)
    if effect.status == "none":
        raise InputError(
            f"{model.method} has no answer for {condition} in {context}: {effect.note}. Leave it out, or use a method "
            "that predicts unseen genes from their embedding."
        )
    return effect


def _obs(condition: Condition, context: str, effect: Effect, names: Sequence[str]) -> pd.DataFrame:
    facts = effect.facts or {}
    return pd.DataFrame(
        {
            keys.CONDITION: str(condition),
            keys.CONTEXT: context,
            keys.SOURCE_CELL: list(names),
            keys.STATUS: effect.status,
            keys.EMBEDDING_DISTANCE: float(facts.get(keys.EMBEDDING_DISTANCE, np.nan)),
            keys.SHRINKAGE: float(facts.get(keys.SHRINKAGE, np.nan)),
        }
    )


def _about(model: "PerturbationModel", seed: int) -> dict[str, Any]:
    return {
        "space": "log1p",
        "scale": model.about["scale"],
        "method": model.method,
        "model_hash": model.fingerprint,
        "split": model.about["split"],
        "split_hash": model.about["split_hash"],
        "seed": seed,
    }


def _adata(
    model: "PerturbationModel",
    values: np.ndarray,
    obs: pd.DataFrame,
    layers: dict[str, np.ndarray],
    about: dict[str, Any],
) -> AnnData:
    for name in (keys.CONDITION, keys.CONTEXT, keys.STATUS):
        obs[name] = obs[name].astype("category")
    var = pd.DataFrame(index=pd.Index(model.genes))
    return AnnData(values, obs=obs, var=var, layers=layers, uns={keys.PERTURB: about})
