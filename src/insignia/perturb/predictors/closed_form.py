"""What predictors of mean effects share: they learn from the effects of groups of cells, and have no network."""

from abc import abstractmethod
from typing import Self

import numpy as np

from insignia.data.condition import Condition
from insignia.data.gene_priors import GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.perturb.contract import Effect, Predictor
from insignia.perturb.effects import GroupEffects, group_effects

__all__ = ["ClosedForm"]


class ClosedForm(Predictor):
    """A predictor that is fitted to mean effects, and answers zero for the control."""

    effects: GroupEffects

    def fit(
        self,
        data: PerturbationData,
        *,
        priors: GenePriors | None = None,
        seed: int = 0,
        show_progress: bool | None = None,  # noqa: ARG002 - takes no time
    ) -> Self:
        """Learn from the mean effects of a screen."""
        self.effects = group_effects(data)
        self.learn(priors, seed)
        return self

    def effect(self, condition: Condition, context: str) -> Effect:
        """Predict the mean effect of a condition."""
        if condition.is_control:
            return Effect(np.zeros(self.effects.delta.shape[1]))
        return self.answer(condition, context)

    def learn(self, priors: GenePriors | None, seed: int) -> None:
        """Learn what goes beyond the effects themselves."""

    @abstractmethod
    def answer(self, condition: Condition, context: str) -> Effect:
        """Predict the mean effect of a condition that is not the control."""

    def fallback(self, note: str) -> Effect:
        """Answer with the mean of all perturbations, and say why."""
        return Effect(self.effects.mean, "fallback", note=note)

    def no_answer(self, note: str) -> Effect:
        """Answer with NaN, and say why."""
        return Effect(np.full(self.effects.delta.shape[1], np.nan), "none", note=note)
