"""Ridge on the embeddings of the perturbed genes and on the products of pairs of them."""

from itertools import combinations

import numpy as np

from insignia.data.condition import Condition
from insignia.perturb.contract import predictors
from insignia.perturb.predictors.ridge_embedding import RidgeEmbedding

__all__ = ["PairwiseRidge"]


class PairwiseRidge(RidgeEmbedding):
    """Add the element-wise products of the vectors of each pair to the features, for interactions."""

    def features(self, condition: Condition) -> np.ndarray | None:
        """Features of the sum, and the products."""
        sums = super().features(condition)
        if sums is None:
            return None
        values, _ = self.vectors.genes(condition.genes)
        products = [first * second for first, second in combinations(values, 2)]
        return np.concatenate([sums, np.sum(products, axis=0) if products else np.zeros(values.shape[1])])


predictors.add("pairwise_ridge", source="ridge regression on products of embeddings")(PairwiseRidge)
