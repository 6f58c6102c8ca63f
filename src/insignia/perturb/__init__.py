"""What would a perturbation do: cells predicted after single and combined gene perturbations."""

import insignia.perturb.predictors  # noqa: F401 - registers
from insignia.perturb.cell_eval_files import write_cell_eval
from insignia.perturb.check import ScreenSummary, check
from insignia.perturb.contract import Effect, Predictor, predictors
from insignia.perturb.effect_record import GeneEffects
from insignia.perturb.evaluation import METRICS, PredictionView, Scoreboard, benchmark, evaluate, view_predictions
from insignia.perturb.external import ExternalPredictions
from insignia.perturb.external_files import read_predictions
from insignia.perturb.fitting import fit
from insignia.perturb.gene_effects import gene_effects, predicted_effects, program_effects
from insignia.perturb.model import PerturbationModel, load_model
from insignia.perturb.priors import (
    MatchedPriors,
    from_gene_sets,
    load_priors,
    match_priors,
    read_embedding,
    read_gene_sets,
    read_priors,
    read_string,
    save_priors,
)
from insignia.perturb.programs import (
    Programs,
    annotate_programs,
    induce_programs,
    program_loadings,
    program_sources,
    report_programs,
)
from insignia.perturb.ranking import rank
from insignia.perturb.signature_ranking import SignatureRanking

__all__ = [
    "METRICS",
    "Effect",
    "ExternalPredictions",
    "GeneEffects",
    "MatchedPriors",
    "PerturbationModel",
    "PredictionView",
    "Predictor",
    "Programs",
    "Scoreboard",
    "ScreenSummary",
    "SignatureRanking",
    "annotate_programs",
    "benchmark",
    "check",
    "evaluate",
    "fit",
    "from_gene_sets",
    "gene_effects",
    "induce_programs",
    "load_model",
    "load_priors",
    "match_priors",
    "predicted_effects",
    "predictors",
    "program_effects",
    "program_loadings",
    "program_sources",
    "rank",
    "read_embedding",
    "read_gene_sets",
    "read_predictions",
    "read_priors",
    "read_string",
    "report_programs",
    "save_priors",
    "view_predictions",
    "write_cell_eval",
]
