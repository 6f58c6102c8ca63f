"""Pure statistics over arrays: cut-offs that make hits of scores, agreement of predictions, and exact tests."""

from insignia.stats.accuracy import column_correlation, mse_skill, variance_ratio
from insignia.stats.autocorrelation import morans_i, neighbour_weights
from insignia.stats.beta_binomial import BetaBinomialFit, beta_binomial
from insignia.stats.differential import Moments, moments, welch_test
from insignia.stats.distances import energy_distance, energy_distance_sq, mmd_rbf
from insignia.stats.effect_sizes import Effect, Effects, group_effect, group_effects
from insignia.stats.hits import cutoff, held_out_rate, rule_defaults, rules
from insignia.stats.intervals import conformal_quantile, conformal_width, coverage_by_bin, interval_coverage
from insignia.stats.matched_null import closest_in_mean, draw_sets, monte_carlo, nearest_in_detection
from insignia.stats.meta_analysis import MetaAnalysis, meta_analysis
from insignia.stats.metrics import auroc, auroc_by_donor
from insignia.stats.multiple import benjamini_hochberg
from insignia.stats.paired import PairedTest, PairedTests, paired_test, paired_tests
from insignia.stats.rank_tests import RankTest, RankTests, rank_test, rank_tests
from insignia.stats.reliability import spearman_brown, thinning_reliability
from insignia.stats.stratified import StratifiedDifference, stratified_difference
from insignia.stats.transport import EntropicPlan, entropic_plan, sinkhorn_divergence
from insignia.stats.weighted import share_farther, squared_score_weights, weighted_mse, weighted_skill

__all__ = [
    "BetaBinomialFit",
    "Effect",
    "Effects",
    "EntropicPlan",
    "MetaAnalysis",
    "Moments",
    "PairedTest",
    "PairedTests",
    "RankTest",
    "RankTests",
    "StratifiedDifference",
    "auroc",
    "auroc_by_donor",
    "benjamini_hochberg",
    "beta_binomial",
    "closest_in_mean",
    "column_correlation",
    "conformal_quantile",
    "conformal_width",
    "coverage_by_bin",
    "cutoff",
    "draw_sets",
    "energy_distance",
    "energy_distance_sq",
    "entropic_plan",
    "group_effect",
    "group_effects",
    "held_out_rate",
    "interval_coverage",
    "meta_analysis",
    "mmd_rbf",
    "moments",
    "monte_carlo",
    "morans_i",
    "mse_skill",
    "nearest_in_detection",
    "neighbour_weights",
    "paired_test",
    "paired_tests",
    "rank_test",
    "rank_tests",
    "rule_defaults",
    "rules",
    "share_farther",
    "sinkhorn_divergence",
    "spearman_brown",
    "squared_score_weights",
    "stratified_difference",
    "thinning_reliability",
    "variance_ratio",
    "weighted_mse",
    "weighted_skill",
    "welch_test",
]
