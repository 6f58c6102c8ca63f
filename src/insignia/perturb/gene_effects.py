"""Which genes, or which programs, a perturbation moves: the effect in every gene, tested over guides or replicates."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.data.perturbation import PerturbationData
from insignia.genes import Signature
from insignia.perturb.effect_record import GROUP, GeneEffects
from insignia.perturb.model import PerturbationModel
from insignia.perturb.predicted_cells import answered
from insignia.perturb.signature_weights import signature_weights
from insignia.perturb.unit_sums import CellUnits, UnitComparison, UnitSums, compare_units
from insignia.stats.multiple import benjamini_hochberg

__all__ = ["asked_groups", "gene_effects", "predicted_effects", "program_effects", "ranked"]


def gene_effects(
    data: PerturbationData,
    conditions: Sequence[str | Condition] | str | None = None,
    *,
    contexts: Sequence[str] | None = None,
    units: "pd.Series | Sequence[str] | None" = None,
    min_cells: int = 25,
    alpha: float = 0.05,
) -> GeneEffects:
    """Measure the effect of each perturbation on every gene, against controls of the same context and replicate.

    The effect is the mean difference within replicates. It is tested twice: over units, which are what was drawn
    independently (guides if they are named, else replicates), and over cells, as is customary, which takes the cells of
    one guide for independent and calls too much.

    Parameters
    ----------
    data
        The screen.
    conditions
        Which perturbations, e.g. ``["KLF1", "KLF1+MAP2K6"]``; `None` takes all.
    contexts
        `None` takes all.
    units
        The guide of each cell: one label a cell, or an `obs` column by the names of the cells. Guides are held against
        guides of the controls. `None` takes replicates, each a difference of its own.
    min_cells
        Guides, or replicates, with fewer cells are left out of the test over units.
    alpha
        False discovery rate within a condition, and the p-value that a test must be able to reach.

    Raises
    ------
    InputError
        A condition or context is not in the screen, no condition can be compared, or units do not fit the cells.
    """
    of = CellUnits.of(data, units)
    tables, rows, left_out = [], [], {}
    for context, wanted in asked_groups(data, conditions, contexts).items():
        controls = data.controls(context)
        control = UnitSums.of(data.expression[controls], of.unit[controls], of.replicate[controls])
        for condition in wanted:
            cells = data.rows(condition, context)
            case = UnitSums.of(data.expression[cells], of.unit[cells], of.replicate[cells])
            found = compare_units(case, control, has_units=of.is_named, min_cells=min_cells)
            if found is None:
                left_out[f"{condition} in {context}"] = "no replicate has two of its cells and two controls"
                continue
            name = {keys.CONDITION: str(condition), keys.CONTEXT: context}
            tables.append(ranked(pd.DataFrame({**name, "gene": data.genes, **found.columns(alpha)})))
            rows.append(name | {"cells": len(cells), "controls": len(controls)} | _tested(found, tables[-1], alpha))
    return _record(tables, rows, of.kind, alpha, left_out)


def program_effects(
    data: PerturbationData,
    programs: Sequence[Signature],
    conditions: Sequence[str | Condition] | str | None = None,
    *,
    contexts: Sequence[str] | None = None,
    units: "pd.Series | Sequence[str] | None" = None,
    min_cells: int = 25,
    alpha: float = 0.05,
    min_coverage: float = 0.5,
) -> GeneEffects:
    """Measure the effect of each perturbation on every program, or on any gene sets.

    Parameters
    ----------
    data, conditions, contexts, units, min_cells, alpha
        As for `gene_effects`.
    programs
        Signatures, e.g. ``programs.signatures(loadings)`` or those of a GMT file. The activity of one in a cell is the
        mean of its genes, by weight and sign.
    min_coverage
        Share of a signature's genes that was measured below which it is refused.

    Returns
    -------
    As `gene_effects`, with programs in place of genes.

    Raises
    ------
    GeneMatchError
        The screen measured less than `min_coverage` of a signature's genes.
    InputError
        As `gene_effects`, or two programs share a name.
    """
    made = list(programs)
    names = tuple(one.name for one in made)
    if not names or len(set(names)) < len(names):
        raise InputError(f"Programs are signatures of different names; found {list(names)[:5]}.")
    weights = [
        signature_weights(one, data.genes, min_coverage=min_coverage, purpose="measure its effect")[0] for one in made
    ]
    activity = replace(data, genes=names, expression=csr_matrix(data.expression @ csr_matrix(np.column_stack(weights))))
    found = gene_effects(activity, conditions, contexts=contexts, units=units, min_cells=min_cells, alpha=alpha)
    return replace(found, table=found.table.rename(columns={"gene": keys.PROGRAM}), programs=tuple(made))


def predicted_effects(
    model: PerturbationModel,
    conditions: Sequence[str | Condition] | str,
    *,
    contexts: Sequence[str] | None = None,
) -> GeneEffects:
    """Give the effect that a fitted predictor expects of each perturbation, in the form of measured ones.

    Parameters
    ----------
    model
        From `fit` or `load_model`.
    conditions, contexts
        As for `PerturbationModel.predict`.

    Returns
    -------
    The effects without any test: ``z`` is the effect in standard deviations over the members of the predictor, where it
    has several; p-values are NaN.

    Raises
    ------
    GeneMatchError, InputError
        As `PerturbationModel.predict`.
    """
    tables: list[pd.DataFrame] = []
    rows: list[dict[str, object]] = []
    for context in model.chosen_contexts(contexts):
        for condition in model.parse_conditions(conditions):
            effect = answered(model, condition, context)
            spread = np.full(len(model.genes), np.nan) if effect.sd is None else np.asarray(effect.sd, dtype=np.float64)
            with np.errstate(divide="ignore", invalid="ignore"):
                z = np.where(spread > 0, effect.delta / spread, np.nan)
            name: dict[str, object] = {keys.CONDITION: str(condition), keys.CONTEXT: context}
            numbers = {"effect": effect.delta, "z": z, "p_cells": np.nan, "p": np.nan, "testable": False}
            tables.append(ranked(pd.DataFrame({**name, "gene": model.genes, **numbers}), by="effect"))
            rows.append(name | {keys.STATUS: effect.status})
    return _record(tables, rows, "prediction", np.nan, {})


def asked_groups(
    data: PerturbationData, conditions: Sequence[str | Condition] | str | None, contexts: Sequence[str] | None
) -> dict[str, list[Condition]]:
    """Give the perturbed groups that are asked for, by context.

    Raises
    ------
    InputError
        A condition or context is not in the screen, or nothing is perturbed.
    """
    known = [(one, where) for one, where in data.groups if not one.is_control]
    places = data.contexts if contexts is None else [contexts] if isinstance(contexts, str) else list(contexts)
    texts = [conditions] if isinstance(conditions, str | Condition) else conditions
    wanted = None if texts is None else [Condition.parse(one) if isinstance(one, str) else one for one in texts]
    absent = [str(one) for one in wanted or () if one not in {known_one for known_one, _ in known}]
    absent += [where for where in places if where not in data.contexts]
    if absent:
        raise InputError(
            f"The screen has no perturbed cells of {', '.join(absent[:5])}; it has e.g. "
            f"{', '.join(str(one) for one, _ in known[:5])}, in {', '.join(data.contexts[:5])}."
        )
    found = {
        where: [one for one, there in known if there == where and (wanted is None or one in wanted)] for where in places
    }
    if not any(found.values()):
        raise InputError("Nothing was perturbed there: the screen has control cells only.")
    return {where: ones for where, ones in found.items() if ones}


def ranked(table: pd.DataFrame, *, by: str = "z", is_signed: bool = False) -> pd.DataFrame:
    """Add q-values over the rows of one condition, and ``rank`` by a column or its size; the first comes first."""
    table = table.assign(
        q_cells=benjamini_hochberg(table["p_cells"].to_numpy()),
        q=benjamini_hochberg(np.where(table["testable"], table["p"], np.nan)),
    )
    size = (table[by] if is_signed else table[by].abs()).fillna(-np.inf).to_numpy()
    order = np.lexsort([-table["effect"].abs().to_numpy(), -size])
    table = table.iloc[order].reset_index(drop=True)
    return table.assign(rank=np.arange(1, len(table) + 1))


def _tested(found: UnitComparison, table: pd.DataFrame, alpha: float) -> dict[str, object]:
    """Say in the table of conditions what was tested, and how much changed."""
    return {
        "units": found.n_units,
        "control_units": found.n_control_units,
        "smallest_p": float(np.min(found.smallest_p)),
        "changed": int((table["q"] <= alpha).sum()),
        "changed_by_cells": int((table["q_cells"] <= alpha).sum()),
    }


def _record(
    tables: list[pd.DataFrame], rows: list[dict[str, object]], kind: str, alpha: float, left_out: dict[str, str]
) -> GeneEffects:
    if not tables:
        reason = next(iter(left_out.items()))
        raise InputError(f"No condition can be compared with controls, e.g. {reason[0]}: {reason[1]}.")
    conditions = pd.DataFrame(rows).set_index(list(GROUP))
    return GeneEffects(pd.concat(tables, ignore_index=True), conditions, kind, alpha, left_out)
