"""Evaluation that cannot flatter: hidden truth, baselines, controls and ceilings in every table."""

from insignia.spatial.evaluation.compare import Comparison, compare_imputers, predict_hidden
from insignia.spatial.evaluation.evaluate import evaluate
from insignia.spatial.evaluation.evaluation import Evaluation
from insignia.spatial.evaluation.scores import METRICS
from insignia.spatial.evaluation.verdict import Verdict

__all__ = ["METRICS", "Comparison", "Evaluation", "Verdict", "compare_imputers", "evaluate", "predict_hidden"]
