"""No change: a perturbed cell is what a control cell is."""

import numpy as np

from insignia.data.condition import Condition
from insignia.perturb.contract import Effect, predictors
from insignia.perturb.predictors.closed_form import ClosedForm

__all__ = ["NoChange"]


class NoChange(ClosedForm):
    """Predict no effect."""

    def answer(self, condition: Condition, context: str) -> Effect:  # noqa: ARG002 - the same for all
        """Return zeros."""
        return Effect(np.zeros(self.effects.delta.shape[1]))


predictors.add("control", source="no change")(NoChange)
