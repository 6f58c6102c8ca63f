"""The sum of the single effects, which is hard to beat for combinations."""

import numpy as np

from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.perturb.contract import Effect, predictors
from insignia.perturb.predictors.closed_form import ClosedForm

__all__ = ["Additive"]


class Additive(ClosedForm):
    """Add the effects that the constituents have alone.

    Parameters
    ----------
    on_missing
        What a constituent that was not perturbed alone counts: ``"none"`` gives no answer, ``"mean"`` the mean of all
        perturbations, flagged as a fall-back.
    """

    def __init__(self, on_missing: str = "none") -> None:
        if on_missing not in ("none", "mean"):
            raise InputError(f"on_missing takes 'none' or 'mean', found {on_missing!r}.")
        self.on_missing = on_missing

    def answer(self, condition: Condition, context: str) -> Effect:
        """Add the constituents up."""
        found = [self.effects.of(single, context) for single in condition.singles]
        unseen = [gene for gene, delta in zip(condition.genes, found, strict=True) if delta is None]
        note = f"{', '.join(unseen)} was not perturbed alone in training"
        if unseen and self.on_missing == "none":
            return self.no_answer(note)
        total = np.sum([self.effects.mean if delta is None else delta for delta in found], axis=0)
        return Effect(total, "fallback" if unseen else "ok", note=note if unseen else "")


predictors.add("additive", source="doi:10.1038/s41592-025-02772-6")(Additive)
