"""Effects as a linear function of the embeddings of the perturbed genes: the plain way to unseen genes."""

from dataclasses import replace

import numpy as np

from insignia.core import keys
from insignia.data.condition import Condition
from insignia.data.gene_priors import GenePriors
from insignia.perturb.condition_vectors import ConditionVectors, check_on_missing, embedding_of
from insignia.perturb.contract import Effect, predictors
from insignia.perturb.predictors.ridge import FeatureRidge

__all__ = ["RidgeEmbedding"]


class RidgeEmbedding(FeatureRidge):
    """Sum the vectors of the perturbed genes, count them, and regress.

    Parameters
    ----------
    on_missing
        ``"error"`` refuses a gene without a vector; ``"mean"`` predicts the mean of all perturbations, flagged.
    """

    needs_embedding = True
    has_intercept = True

    def __init__(self, on_missing: str = "error") -> None:
        check_on_missing(on_missing)
        self.on_missing = on_missing

    def prepare(self, priors: GenePriors | None) -> None:
        """Standardise the embedding on the genes of the training conditions."""
        genes = [gene for condition in self.effects.conditions for gene in condition.genes]
        self.vectors = ConditionVectors.fit(embedding_of(priors, "ridge_embedding"), genes)

    def features(self, condition: Condition) -> np.ndarray | None:
        """Sum of the vectors, scaled by dose, and how many there are."""
        values, known = self.vectors.genes(condition.genes)
        if not known.all():
            return None
        doses = np.array([part.dose for part in condition.perturbations])
        return np.append(doses @ values, doses.sum())

    def answer(self, condition: Condition, context: str) -> Effect:
        """Apply the regression, and say how far the condition lies from what was trained."""
        effect = super().answer(condition, context)
        if effect.status != "ok":
            return effect
        return replace(effect, facts={keys.EMBEDDING_DISTANCE: self.vectors.distance(condition)})

    def without_features(self, condition: Condition) -> Effect:
        """Refuse, or fall back to the mean."""
        if self.on_missing == "error":
            self.vectors.require(condition)
        return self.fallback(f"no embedding of {', '.join(self.vectors.missing(condition))}")


predictors.add("ridge_embedding", source="doi:10.1038/s41592-025-02772-6")(RidgeEmbedding)
