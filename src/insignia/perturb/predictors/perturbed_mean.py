"""The mean of all perturbations: what a predictor must beat to know anything about a gene."""

from insignia.data.condition import Condition
from insignia.perturb.contract import Effect, predictors
from insignia.perturb.predictors.closed_form import ClosedForm

__all__ = ["PerturbedMean"]


class PerturbedMean(ClosedForm):
    """Predict the mean effect of the training conditions for everything."""

    def answer(self, condition: Condition, context: str) -> Effect:  # noqa: ARG002 - the same for all
        """Return the mean effect."""
        return Effect(self.effects.mean)


predictors.add("perturbed_mean", source="doi:10.1186/s12864-025-11600-2")(PerturbedMean)
