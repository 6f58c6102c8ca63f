"""What would a perturbation do: cells predicted after single and combined gene perturbations."""

import insignia.perturb.predictors  # noqa: F401 - registers
from insignia.perturb.check import ScreenSummary, check
from insignia.perturb.contract import Effect, Predictor, predictors
from insignia.perturb.evaluation import METRICS, Scoreboard, benchmark

__all__ = ["METRICS", "Effect", "Predictor", "Scoreboard", "ScreenSummary", "benchmark", "check", "predictors"]
