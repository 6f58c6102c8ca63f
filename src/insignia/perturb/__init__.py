"""What would a perturbation do: gene programs, and cells predicted after single and combined gene perturbations."""

import insignia.perturb.predictors  # noqa: F401 - registers
from insignia.perturb.contract import Effect, Predictor, predictors

__all__ = ["Effect", "Predictor", "predictors"]
