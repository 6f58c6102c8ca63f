"""The mean of the effects of the perturbed genes, each taken from its single perturbation."""

import numpy as np

from insignia.data.condition import Condition
from insignia.perturb.contract import Effect, predictors
from insignia.perturb.predictors.closed_form import ClosedForm

__all__ = ["MatchingMean"]


class MatchingMean(ClosedForm):
    """Average the single effects of the constituents; the mean of all perturbations stands in for those not seen."""

    def answer(self, condition: Condition, context: str) -> Effect:
        """Average the constituents."""
        found = [self.effects.of(single, context) for single in condition.singles]
        known = [delta for delta in found if delta is not None]
        if not known:
            return self.fallback(f"none of {', '.join(condition.genes)} was perturbed alone in training")
        return Effect(np.mean(known, axis=0))


predictors.add("matching_mean", source="Systema, doi:10.1038/s41587-025-02777-8")(MatchingMean)
