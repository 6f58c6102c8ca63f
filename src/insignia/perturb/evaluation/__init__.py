"""Evaluation of perturbation predictions beside baselines, a shuffled control and a ceiling."""

from insignia.perturb.evaluation.benchmark import BASELINES, benchmark
from insignia.perturb.evaluation.metrics import METRICS
from insignia.perturb.evaluation.scoreboard import Scoreboard

__all__ = ["BASELINES", "METRICS", "Scoreboard", "benchmark"]
