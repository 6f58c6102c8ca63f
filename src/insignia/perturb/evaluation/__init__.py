"""Evaluation of perturbation predictions beside baselines, a shuffled control and a ceiling."""

from insignia.perturb.evaluation.benchmark import BASELINES, benchmark
from insignia.perturb.evaluation.evaluate import evaluate
from insignia.perturb.evaluation.metrics import METRICS
from insignia.perturb.evaluation.scoreboard import Scoreboard
from insignia.perturb.evaluation.view import PredictionView, view_predictions

__all__ = ["BASELINES", "METRICS", "PredictionView", "Scoreboard", "benchmark", "evaluate", "view_predictions"]
