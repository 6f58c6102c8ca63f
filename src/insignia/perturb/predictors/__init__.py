"""Predictors, one file each; importing this registers them."""

from insignia.perturb.predictors.additive import Additive
from insignia.perturb.predictors.bilinear import Bilinear
from insignia.perturb.predictors.control import NoChange
from insignia.perturb.predictors.flow import Flow
from insignia.perturb.predictors.knn_embedding import NearestEmbeddings
from insignia.perturb.predictors.matching_mean import MatchingMean
from insignia.perturb.predictors.pairwise_ridge import PairwiseRidge
from insignia.perturb.predictors.perturbed_mean import PerturbedMean
from insignia.perturb.predictors.ridge_embedding import RidgeEmbedding
from insignia.perturb.predictors.ridge_onehot import RidgeOneHot
from insignia.perturb.predictors.scbig import ScBIG

__all__ = [
    "Additive",
    "Bilinear",
    "Flow",
    "MatchingMean",
    "NearestEmbeddings",
    "NoChange",
    "PairwiseRidge",
    "PerturbedMean",
    "RidgeEmbedding",
    "RidgeOneHot",
    "ScBIG",
]
