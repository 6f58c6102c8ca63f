"""Effects as gene factors times a matrix times perturbation factors, in closed form."""

import numpy as np

from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.data.gene_priors import GenePriors
from insignia.perturb.contract import Effect, predictors
from insignia.perturb.predictors.ridge_embedding import RidgeEmbedding

__all__ = ["Bilinear"]


class Bilinear(RidgeEmbedding):
    """``Y = G W P^T + b``: principal factors of the genes, embeddings of the perturbations, ridge for what joins them.

    Parameters
    ----------
    n_factors
        Factors of the genes, from the training effects.
    penalty
        Of the ridge, on standardised embeddings.
    on_missing
        ``"error"`` refuses a gene without a vector; ``"mean"`` predicts the mean of all perturbations, flagged.
    """

    def __init__(self, n_factors: int = 10, penalty: float = 0.1, on_missing: str = "error") -> None:
        super().__init__(on_missing)
        if n_factors < 1 or penalty <= 0:
            raise InputError(f"Expected n_factors >= 1 and penalty > 0, found {n_factors} and {penalty}.")
        self.n_factors, self.penalty = n_factors, penalty

    def learn(self, priors: GenePriors | None, seed: int) -> None:  # noqa: ARG002 - nothing is random
        """Solve for the matrix that joins the factors."""
        self.prepare(priors)
        rows = [self.features(condition) for condition in self.effects.conditions]
        has = np.array([row is not None for row in rows])
        features = np.array([row for row in rows if row is not None])
        delta = self.effects.delta[has]
        self._offset, self._centre = delta.mean(axis=0), features.mean(axis=0)
        _, _, factors = np.linalg.svd(delta - self._offset, full_matrices=False)
        genes, points = factors[: self.n_factors].T, features - self._centre
        target = (delta - self._offset) @ genes
        inner = points.T @ points + self.penalty * np.eye(points.shape[1])
        self._weights = np.linalg.solve(inner, points.T @ target) @ genes.T

    def answer(self, condition: Condition, context: str) -> Effect:  # noqa: ARG002 - one answer for all contexts
        """Apply the factors."""
        features = self.features(condition)
        if features is None:
            return self.without_features(condition)
        return Effect(self._offset + (features - self._centre) @ self._weights)

    def describe(self) -> dict[str, object]:
        """Say what was asked for."""
        return {"n_factors": self.n_factors, "penalty": self.penalty}


predictors.add("bilinear", source="doi:10.1038/s41592-025-02772-6")(Bilinear)
