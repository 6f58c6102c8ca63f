"""What would a perturbation do: cells predicted after single and combined gene perturbations."""

import insignia.perturb.predictors  # noqa: F401 - registers
from insignia.perturb.check import ScreenSummary, check
from insignia.perturb.contract import Effect, Predictor, predictors
from insignia.perturb.evaluation import METRICS, Scoreboard, benchmark
from insignia.perturb.programs import Programs, annotate_programs, induce_programs, program_sources, report_programs

__all__ = [
    "METRICS",
    "Effect",
    "Predictor",
    "Programs",
    "Scoreboard",
    "ScreenSummary",
    "annotate_programs",
    "benchmark",
    "check",
    "induce_programs",
    "predictors",
    "program_sources",
    "report_programs",
]
