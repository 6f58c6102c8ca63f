"""Which perturbations are predicted to move cells towards or away from a signature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, get_args

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.data.perturbation import PerturbationData
from insignia.data.perturbation_splits import parse_unit
from insignia.genes import Signature
from insignia.genes import signature as to_signature
from insignia.perturb.effects import GroupEffects, group_effects
from insignia.perturb.model import PerturbationModel
from insignia.perturb.predicted_cells import answered
from insignia.perturb.signature_ranking import Direction, SignatureRanking, made_ranking
from insignia.perturb.signature_weights import against_controls, signature_weights

__all__ = ["rank"]


def rank(
    model: PerturbationModel,
    signature: str | Signature | Sequence[str] | Mapping[str, float],
    conditions: Sequence[str | Condition] | None = None,
    *,
    direction: Direction = "towards",
    contexts: Sequence[str] | None = None,
    pairs_of_best: int = 0,
    baselines: Mapping[str, PerturbationModel] | None = None,
    measured: PerturbationData | None = None,
    min_coverage: float = 0.5,
    n_controls: int = 0,
) -> SignatureRanking:
    r"""Rank perturbations by the predicted change of a signature.

    The change is :math:`\sum w \delta / \sum |w|` over the signature's genes that the screen measured, where
    :math:`\delta` is the predicted change of mean log expression: the change of what `tl.score` gives on predicted
    cells, before values below 0 are cut.

    Parameters
    ----------
    model
        A fitted predictor.
    signature
        Name of a bundled signature, a gene list, a mapping of genes to weights, or a `Signature`.
    conditions
        Perturbations to rank, e.g. ``["KLF1", "KLF1+MAP2K6"]``, also of genes that were never perturbed where the
        predictor answers for them; `None` takes the single ones that the model learned from.
    direction
        What comes first: the largest rise (``"towards"``) or the largest fall (``"away"``).
    contexts
        `None` takes all of the model.
    pairs_of_best
        Also rank all pairs among this many best single perturbations of each context.
    baselines
        Other fitted models by name, whose changes stand beside; a good ranking beats them on what was measured.
    measured
        A screen, e.g. the whole one of which the model saw a part: its changes stand beside the predicted ones, and
        the errors on groups that the model did not learn from give intervals and the accuracy.
    min_coverage
        Share of the signature's genes below which it is refused.
    n_controls
        Take from the change of each gene of the signature the mean change of this many genes outside of it that come
        closest in mean log expression in control cells. Totals are fixed, so a perturbation that raises other programs
        lowers every gene a little, and without controls looks as if it quieted the signature. 20 suits whole
        transcriptomes; 0 compares with nothing.

    Raises
    ------
    GeneMatchError
        The screen measured less than `min_coverage` of the signature's genes, or nothing but them where controls are
        asked for, or a predictor refuses a gene.
    InputError
        `n_controls` is negative, a condition has no answer, a baseline predicts other genes, or an argument is not one
        of its choices.
    """
    if direction not in get_args(Direction):
        raise InputError(f"direction is one of {', '.join(get_args(Direction))}, not {direction!r}.")
    if n_controls < 0:
        raise InputError(f"n_controls is a number of genes, or 0 for none; found {n_controls}.")
    made = to_signature(signature)
    weights, coverage = signature_weights(made, model.genes, min_coverage=min_coverage, purpose="rank")
    others = dict(baselines or {})
    for name, other in others.items():
        if other.genes != model.genes:
            raise InputError(f"The baseline {name!r} predicts other genes than the model. Fit both on one screen.")
    effects = None if measured is None else group_effects(measured.with_genes(model.genes))
    asked = _learned_singles(model) if conditions is None else model.parse_conditions(conditions)
    learned = {parse_unit(unit) for unit in model.about["trained"]}
    sign = 1 if direction == "towards" else -1
    tables = []
    for context in model.chosen_contexts(contexts):
        level = np.asarray(model.controls[context].expression.mean(axis=0)).ravel()
        held = against_controls(weights, level, n_controls)
        scorer = _Scorer(model, context, others, effects, held, learned, sign)
        rows = scorer.rows(asked)
        if pairs_of_best:
            pairs = _pairs_of_best(rows, pairs_of_best, is_rise=direction == "towards")
            rows = pd.concat([rows, scorer.rows([pair for pair in pairs if pair not in asked])])
        tables.append(rows)
    rows = pd.concat(tables, ignore_index=True)
    return made_ranking(made.name, direction, rows, list(others), coverage, n_controls=n_controls)


def _learned_singles(model: PerturbationModel) -> tuple[Condition, ...]:
    learned = {parse_unit(unit)[0] for unit in model.about["trained"]}
    singles = sorted((one for one in learned if len(one.perturbations) == 1), key=str)
    if not singles:
        raise InputError("The model learned from no single perturbation. Name the conditions to rank.")
    return tuple(singles)


def _pairs_of_best(rows: pd.DataFrame, number: int, *, is_rise: bool) -> list[Condition]:
    """Pairs among the best single perturbations, of different genes."""
    singles = rows[rows["sum_of_singles"].isna()].sort_values("change", ascending=not is_rise)
    best = [Condition.parse(text).perturbations[0] for text in singles["condition"].head(number)]
    return [Condition(pair) for pair in combinations(best, 2) if pair[0].gene != pair[1].gene]


@dataclass(frozen=True, eq=False)
class _Scorer:
    """Gives the rows of the table for some conditions in a context."""

    model: PerturbationModel
    context: str
    others: Mapping[str, PerturbationModel]
    effects: GroupEffects | None
    weights: np.ndarray
    learned: set[tuple[Condition, str | None]]
    sign: int
    singles: dict[Condition, float] = field(default_factory=dict)

    def rows(self, conditions: Sequence[Condition]) -> pd.DataFrame:
        return pd.DataFrame([self._row(condition) for condition in conditions])

    def _row(self, condition: Condition) -> dict[str, Any]:
        effect = answered(self.model, condition, self.context)
        alone = [self._alone(one) for one in condition.singles]
        is_pair = len(alone) > 1
        known = None if self.effects is None else self.effects.measured(condition, self.context)
        return {
            "condition": str(condition),
            "context": self.context,
            "change": float(effect.delta @ self.weights),
            "sd": np.nan if effect.members is None else float((effect.members @ self.weights).std()),
            "status": effect.status,
            "learned": (condition, self.context) in self.learned,
            keys.EMBEDDING_DISTANCE: (effect.facts or {}).get(keys.EMBEDDING_DISTANCE, np.nan),
            "measured": np.nan if known is None else float(known @ self.weights),
            "best_single": self.sign * max(self.sign * one for one in alone) if is_pair else np.nan,
            "sum_of_singles": sum(alone) if is_pair else np.nan,
        } | {name: self._change(other, condition) for name, other in self.others.items()}

    def _alone(self, single: Condition) -> float:
        """Change by one perturbation, worked out once for all pairs that it is in."""
        if single not in self.singles:
            self.singles[single] = self._change(self.model, single)
        return self.singles[single]

    def _change(self, model: PerturbationModel, condition: Condition) -> float:
        return float(model.effect(condition, self.context).delta @ self.weights)
