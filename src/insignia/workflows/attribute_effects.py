"""Which genes carry what a perturbation does to cells, as a model sees it: perturbed cells against their controls."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.attribution import AttributeOptions, Interpolate, PathOptions
from insignia.core import keys
from insignia.core.errors import InputError
from insignia.core.executors import run_tasks
from insignia.core.progress import progress
from insignia.data import Condition, PerturbationData
from insignia.models import Encoder, Precision, as_encoder
from insignia.perturb.effect_record import GROUP
from insignia.perturb.gene_effects import asked_groups, ranked
from insignia.perturb.unit_sums import UnitComparison
from insignia.workflows.contrast_cells import ContrastCells
from insignia.workflows.contrast_plan import MEASURED, ContrastJobs, ContrastPlan, ContrastTask, Named, ScreenCells
from insignia.workflows.contrast_record import AttributedEffects
from insignia.workflows.contrast_run import ContrastResult

__all__ = ["attribute_effects"]

Null = Literal["controls", "shuffled"]
Start = Literal["controls", "zero"]

_KEPT: Final = ["gene", "effect", "z", "q_cells", "q", "rank"]


def attribute_effects(
    data: PerturbationData,
    model: Encoder | str | Path,
    conditions: Sequence[str | Condition] | str | None = None,
    *,
    contexts: Sequence[str] | None = None,
    units: "pd.Series | Sequence[str] | None" = None,
    counts: AnnData | None = None,
    method: str = "integrated_gradients",
    n_steps: int = 50,
    interpolate: Interpolate = "values",
    start: Start = "controls",
    nulls: Sequence[Null] = ("controls", "shuffled"),
    max_controls: int = 1000,
    min_cells: int = 25,
    alpha: float = 0.05,
    device: str = "auto",
    precision: Precision = "float32",
    executor: int = 1,
    seed: int = 0,
    show_progress: bool | None = None,
) -> AttributedEffects:
    r"""Attribute what each perturbation does to cells to their genes.

    The target is the contrast :math:`s(x') = (a - b) \cdot f(x')` of the centroids of perturbed cells and of controls.
    Both are taken within replicates, and from the other side of the cells: guides are divided in two, or replicates, or
    halves of the only one, and each side is attributed in the direction that the other one shows. Perturbed cells are
    then compared with controls that were attributed in the same way. So the attributions of a perturbation without any
    effect are 0 on average, and their sum is the squared distance that the population moved. (With a direction of their
    own, cells of noise would all seem to move along it.)

    Parameters
    ----------
    data
        The screen.
    model
        A loaded model, or the directory of one.
    conditions, contexts, units, min_cells, alpha
        As for `insignia.perturb.gene_effects`.
    counts
        The same cells as counts, found by name, for models that do not read log expression.
    method, n_steps, interpolate, device, precision
        As for `insignia.tl.attribute`.
    start
        Where paths start: ``"controls"``, the mean profile of the controls of the side and replicate, or ``"zero"``.
    nulls
        Comparisons with nothing to find, as many of each kind and as large as the real ones: ``"controls"`` against
        controls, and ``"shuffled"`` labels.
    max_controls
        Controls of a comparison, drawn evenly from its replicates.
    executor
        Number of processes that share the comparisons; others than this one need the directory of a model.
    seed
        Of what is drawn.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Returns
    -------
    Tables of genes and conditions, with plain differences of expression beside.

    Raises
    ------
    GeneMatchError, OrganismMismatch, InputSpaceError
        As `insignia.tl.attribute`.
    InputError
        As `insignia.perturb.gene_effects`; `counts` lacks cells of the screen; or an option is not one of its choices.
    """
    unknown = [name for name in nulls if name not in get_args(Null)]
    if unknown or start not in get_args(Start):
        raise InputError(f"nulls are controls and shuffled, and start is controls or zero; found {unknown}, {start!r}.")
    if executor != 1 and isinstance(model, Encoder):
        raise InputError("Other processes load the model themselves: give its directory, or executor=1.")
    encoder = as_encoder(model)
    cells = ScreenCells.make(data, encoder, counts, units, device)
    settings = {
        "options": AttributeOptions(
            method, path=PathOptions(n_steps=n_steps, interpolate=interpolate), device=device, precision=precision
        ),
        "start": start,
        "min_cells": min_cells,
    }
    plan = ContrastPlan(cells, settings, max_controls, seed)
    asked = [
        (kind, condition, context)
        for context, wanted in asked_groups(data, conditions, contexts).items()
        for condition in wanted
        for kind in (MEASURED, *nulls)
    ]
    todo = [name for name in asked if plan.cells_of(*name) is not None]
    done = {}
    with progress("attributing perturbations", len(todo), show=show_progress) as advance:
        for name, result in run_tasks(ContrastTask(model), ContrastJobs(plan, todo), executor=executor):
            done[name] = result
            advance(1)
    return _record(plan, asked, done, encoder.name, alpha)


def _record(
    plan: ContrastPlan,
    asked: Sequence[Named],
    done: dict[Named, ContrastResult | None],
    model: str,
    alpha: float,
) -> AttributedEffects:
    tables, rows, left_out = [], [], {}
    for kind, condition, context in asked:
        result = done.get((kind, condition, context))
        if result is None:
            if kind == MEASURED:
                left_out[f"{condition} in {context}"] = (
                    "no replicate has enough of its cells, or of controls, to divide"
                )
            continue
        cells = plan.cells_of(kind, condition, context)
        assert cells is not None
        plain = plan.expression(cells)
        name = {keys.CONDITION: str(condition), keys.CONTEXT: context}
        table = _gene_table(plan, result, plain, alpha)
        rows.append({"kind": kind, **name, **_summary(cells, result, table, alpha)})
        if kind == MEASURED:
            tables.append(table.assign(**name)[[*name, *table.columns]])
    if not tables:
        reason = next(iter(left_out.items()))
        raise InputError(f"No condition can be attributed against controls, e.g. {reason[0]}: {reason[1]}.")
    found = pd.DataFrame(rows)
    real, nulls = found[found["kind"] == MEASURED], found[found["kind"] != MEASURED]
    against = np.sort(nulls.loc[nulls["kind"] == "controls", "shift_z"].to_numpy())
    beyond = len(against) - np.searchsorted(against, real["shift_z"])
    p_null = (1 + beyond) / (1 + len(against)) if len(against) else np.full(len(real), np.nan)
    conditions = real.drop(columns="kind").assign(p_null=p_null).set_index(list(GROUP))
    return AttributedEffects(
        pd.concat(tables, ignore_index=True),
        conditions,
        nulls.reset_index(drop=True),
        model,
        plan.cells.units.kind,
        alpha,
        left_out,
    )


def _gene_table(plan: ContrastPlan, result: ContrastResult, plain: UnitComparison | None, alpha: float) -> pd.DataFrame:
    table = pd.DataFrame({"gene": plan.cells.genes, **result.genes.columns(alpha)})
    # where noise chooses the direction, both sides agree on a wrong one as often as on the right one: only what goes
    # with the population is called, which keeps the level
    table.loc[table["effect"] <= 0, ["p_cells", "p"]] = 1.0
    # a gene that the model does not know is not one that carries nothing
    table.loc[~plan.cells.known, ["effect", "z", "p_cells", "p"]] = np.nan
    table.loc[~plan.cells.known, "testable"] = False
    table = ranked(table, by="effect", is_signed=True)[[*_KEPT, "testable"]]
    names = {"effect": "attribution"} | {name: f"attribution_{name}" for name in _KEPT[2:]}
    table = table.rename(columns=names)
    if plain is None:
        return table
    beside = ranked(pd.DataFrame({"gene": plan.cells.data.genes, **plain.columns(alpha)}))[_KEPT]
    return table.merge(beside, on="gene", how="left")


def _summary(cells: ContrastCells, result: ContrastResult, table: pd.DataFrame, alpha: float) -> dict[str, Any]:
    by_units = bool(table["testable"].any())
    column = "q" if by_units else "q_cells"
    shift = result.shift
    return {
        "cells": int(cells.is_case.sum()),
        "controls": int((~cells.is_case).sum()),
        "units": result.genes.n_units,
        "control_units": result.genes.n_control_units,
        "divided": result.divided,
        "shift": float(shift.cells.difference[0]),
        # both sides tell of one product, so that two of them are no more sure than one
        "shift_z": float(shift.cells.statistic[0] / np.sqrt(2)),
        "shift_p": result.shift_p,
        "gap": result.gap,
        "by": "units" if by_units else "cells",
        "genes": int((table[f"attribution_{column}"] <= alpha).sum()),
        "genes_by_expression": int((table[column] <= alpha).sum()) if column in table else 0,
    }
