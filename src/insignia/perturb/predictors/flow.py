"""The flow: cells carried from control to perturbed, for seen and unseen genes and their combinations."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from insignia.core import keys
from insignia.core.errors import GeneMatchError
from insignia.data.condition import Condition
from insignia.data.gene_priors import GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.perturb.condition_vectors import ConditionVectors, check_on_missing
from insignia.perturb.contract import Effect, Predictor, predictors
from insignia.perturb.flow.options import FlowOptions
from insignia.perturb.flow.tokens import TokenTable
from insignia.perturb.flow.trained import TrainedFlow, train_flow
from insignia.perturb.flow.trust import LeftOut, Trust, fit_trust, left_out_parts, shape_errors
from insignia.perturb.predictors.ridge_onehot import RidgeOneHot

__all__ = ["Flow"]

_REFERENCE_CELLS = 256


class Flow(Predictor):
    """Flow matching in principal components, conditioned on the set of perturbed genes.

    Genes are left out in turn to learn how far to trust the flow beside the additive answer and the mean of all
    perturbations; then it is trained on everything.

    Parameters
    ----------
    options
        Fields of `FlowOptions`.

    References
    ----------
    Flow matching: arXiv:2210.02747; the task and its set encoder follow the ideas of arXiv:2602.04901.
    """

    def __init__(self, **options: Any) -> None:
        self.options = FlowOptions(**options)
        check_on_missing(self.options.on_missing)

    def fit(
        self,
        data: PerturbationData,
        *,
        priors: GenePriors | None = None,
        seed: int = 0,
        show_progress: bool | None = None,
    ) -> "Flow":
        """Learn from a screen."""
        self._known = RidgeOneHot().fit(data)
        self._effects = self._known.effects
        self._controls = {context: _dense_controls(data, context) for context in {c for _, c in data.groups}}
        self._table = _token_table(data, priors)
        self.trust = self._left_out_genes(data, priors, seed, show_progress)
        self._members = [
            train_flow(data, self._table, self.options, seed=seed + member, priors=priors, show_progress=show_progress)
            for member in range(self.options.n_members)
        ]
        return self

    def effect(self, condition: Condition, context: str) -> Effect:
        """Predict the mean effect of a condition."""
        missing = self._without_vector(condition)
        if missing:
            return Effect(self._effects.mean, "fallback", note=f"no embedding of {', '.join(missing)}")
        if condition.is_control:
            return Effect(np.zeros(self._effects.delta.shape[1]))
        raw = np.array([self._raw(member, condition, context) for member in self._members])
        mixed = np.array([self._mix(condition, context, delta) for delta in raw])
        members = mixed if len(mixed) > 1 else None
        return Effect(mixed.mean(axis=0), members=members, facts=self.trust.to_dict() | self._facts(condition))

    def cells(
        self,
        condition: Condition,
        context: str,
        source: np.ndarray,
        *,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Carry control cells, each by one of the trained networks, and move them to the predicted mean.

        How much each departs from the mean change is weighted as the shape of left-out conditions said; without a
        weight control cells are moved as they are.
        """
        if condition.is_control:
            return source
        weight = 0.0 if self._without_vector(condition) else self._shape_weight(condition)
        if not weight:
            return super().cells(condition, context, source, rng=rng)
        delta = self.effect(condition, context).delta.astype(source.dtype)
        moved = np.empty_like(source)
        member_of = rng.integers(len(self._members), size=len(source))
        for number, member in enumerate(self._members):
            here = member_of == number
            if here.any():
                shift = member.shift(condition, context, source[here], n_steps=self.options.solver_steps)
                mean = self._raw(member, condition, context).astype(source.dtype)
                moved[here] = source[here] + delta + weight * (shift - mean)
        return np.asarray(np.maximum(moved, 0))

    def _facts(self, condition: Condition) -> dict[str, float]:
        """How far the condition lies from what was trained, and the weight of the flow beside the plain answer."""
        vectors = self._table.vectors
        return {
            keys.SHRINKAGE: self.trust.flow_seen if self._is_seen(condition) else self.trust.flow_unseen,
            keys.EMBEDDING_DISTANCE: float("nan") if vectors is None else vectors.distance(condition),
        }

    def _is_seen(self, condition: Condition) -> bool:
        return all(map(self._known.knows, condition.perturbations))

    def _shape_weight(self, condition: Condition) -> float:
        return self.trust.shape_seen if self._is_seen(condition) else self.trust.shape_unseen

    def describe(self) -> dict[str, Any]:
        """Options, trust, and what the space says of itself."""
        space = self._members[0].latent.describe()
        return asdict(self.options) | {"trust": self.trust.to_dict()} | ({"space": space} if space else {})

    def _left_out_genes(
        self, data: PerturbationData, priors: GenePriors | None, seed: int, show_progress: bool | None
    ) -> Trust:
        """Leave genes out in turn, and learn from them how far to trust the flow."""
        if not self.options.n_folds or self._table.vectors is None:
            return Trust()
        parts = left_out_parts(data.conditions, self.options.n_folds, np.random.default_rng(seed))
        if not parts:
            return Trust()
        results = []
        for number, held in enumerate(parts):
            train = data.without(held)
            table = replace(self._table, genes=_genes(train))
            flow = train_flow(
                train,
                table,
                self.options,
                seed=seed + 1000 + number,
                priors=priors,
                show_progress=show_progress,
            )
            results += self._compare(flow, train, data, held)
        return fit_trust(results)

    def _compare(
        self, flow: TrainedFlow, train: PerturbationData, data: PerturbationData, held: list[Condition]
    ) -> list[LeftOut]:
        known = RidgeOneHot().fit(train)
        starts = {context: flow.latent.encode(cells) for context, cells in self._controls.items()}
        found = []
        for condition in held:
            for context in self._measured_in(condition):
                if self._table.vectors is None or self._table.vectors.missing(condition):
                    continue
                raw = flow.shift(condition, context, self._controls[context], n_steps=self.options.solver_steps)
                answer, n_unseen = _seen_part(known, condition, context)
                measured = self._effects.of(condition, context)
                assert measured is not None
                cells = flow.latent.encode(data.expression[_some(data.rows(condition, context))])
                shape = None
                if len(cells) > 1:
                    carried = flow.latent.encode(self._controls[context] + raw)
                    shape = shape_errors(starts[context], carried, cells)
                found.append(LeftOut(answer, known.effects.mean, raw.mean(axis=0), measured, n_unseen, shape))
        return found

    def _measured_in(self, condition: Condition) -> list[str]:
        pairs = zip(self._effects.conditions, self._effects.contexts, strict=True)
        return [context for known, context in pairs if known == condition]

    def _raw(self, member: TrainedFlow, condition: Condition, context: str) -> np.ndarray:
        return member.mean_shift(condition, context, self._controls[context], n_steps=self.options.solver_steps)

    def _mix(self, condition: Condition, context: str, raw: np.ndarray) -> np.ndarray:
        known, n_unseen = _seen_part(self._known, condition, context)
        return self.trust.combine(known, self._effects.mean, raw, n_unseen=n_unseen)

    def _without_vector(self, condition: Condition) -> list[str]:
        """Unseen genes without an embedding; refused unless a fall-back was asked for."""
        unseen = [gene for gene in condition.genes if gene not in self._table.genes]
        if self._table.vectors is not None:
            missing = self._table.vectors.missing(condition)
            unseen = [gene for gene in unseen if gene in missing]
        if unseen and self.options.on_missing == "error":
            _refuse(self._table, condition, unseen)
        return unseen


def _refuse(table: TokenTable, condition: Condition, unseen: list[str]) -> None:
    where = "has no vector" if table.vectors is not None else "was not given, so there is no vector"
    raise GeneMatchError(
        f"The embedding {where} for {', '.join(unseen)}, perturbed in {condition} and never in training. Give another "
        "one, or pass on_missing='mean' to predict the mean of all perturbations there, flagged as a fall-back."
    )


def _seen_part(known: RidgeOneHot, condition: Condition, context: str) -> tuple[np.ndarray, int]:
    """Additive answer for what was perturbed in the same way in training, and how many perturbations were not."""
    seen = tuple(part for part in condition.perturbations if known.knows(part))
    return known.effect(Condition(seen), context).delta, len(condition.perturbations) - len(seen)


def _token_table(data: PerturbationData, priors: GenePriors | None) -> TokenTable:
    genes = _genes(data)
    kinds = tuple(sorted({part.kind for one in data.conditions for part in one.perturbations}))
    embedding = None if priors is None else priors.embedding
    return TokenTable(None if embedding is None else ConditionVectors.fit(embedding, genes), genes, kinds)


def _genes(data: PerturbationData) -> tuple[str, ...]:
    return tuple(sorted({gene for condition in data.conditions for gene in condition.genes}))


def _dense_controls(data: PerturbationData, context: str) -> np.ndarray:
    return np.asarray(data.expression[_some(data.controls(context))].toarray())


def _some(rows: np.ndarray) -> np.ndarray:
    """Take at most a few hundred rows, evenly."""
    return np.asarray(rows[np.linspace(0, len(rows) - 1, min(_REFERENCE_CELLS, len(rows))).astype(int)])


predictors.add("flow", source="arXiv:2210.02747, arXiv:2602.04901")(Flow)
