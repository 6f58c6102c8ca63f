"""Additive effects of the perturbed genes, fitted to singles and combinations together."""

import numpy as np

from insignia.data.condition import Condition, GenePerturbation
from insignia.data.gene_priors import GenePriors
from insignia.perturb.contract import Effect, predictors
from insignia.perturb.predictors.ridge import FeatureRidge

__all__ = ["RidgeOneHot"]


class RidgeOneHot(FeatureRidge):
    """Give every perturbed gene an effect of its own, scaled by its dose; no answer for genes not seen."""

    has_intercept = False

    def prepare(self, priors: GenePriors | None) -> None:  # noqa: ARG002 - needs none
        """Give each perturbed gene and kind a place."""
        names = {(part.kind, part.gene) for one in self.effects.conditions for part in one.perturbations}
        self._places = {name: place for place, name in enumerate(sorted(names))}

    def features(self, condition: Condition) -> np.ndarray | None:
        """Doses at the places of the perturbed genes."""
        row = np.zeros(len(self._places))
        for part in condition.perturbations:
            if not self.knows(part):
                return None
            row[self._places[part.kind, part.gene]] = part.dose
        return row

    def knows(self, part: GenePerturbation) -> bool:
        """Whether the gene was perturbed in the same way in training, at whatever dose."""
        return (part.kind, part.gene) in self._places

    def without_features(self, condition: Condition) -> Effect:
        """Give no answer."""
        return self.no_answer(f"{condition} holds a gene that was not perturbed in training")


predictors.add("ridge_onehot", source="ridge regression on indicators of the perturbed genes")(RidgeOneHot)
