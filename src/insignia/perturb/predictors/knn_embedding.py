"""The effects of the perturbed genes that are nearest in the embedding."""

import numpy as np

from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.data.gene_priors import GenePriors
from insignia.perturb.condition_vectors import ConditionVectors, check_on_missing, embedding_of
from insignia.perturb.contract import Effect, predictors
from insignia.perturb.predictors.closed_form import ClosedForm

__all__ = ["NearestEmbeddings"]


class NearestEmbeddings(ClosedForm):
    """Add up, over the perturbed genes, the mean single effect of the genes nearest to each by cosine.

    Parameters
    ----------
    n_neighbors
        How many; a gene that was perturbed alone answers for itself.
    on_missing
        ``"error"`` refuses a gene without a vector; ``"mean"`` predicts the mean of all perturbations, flagged.
    """

    needs_embedding = True

    def __init__(self, n_neighbors: int = 3, on_missing: str = "error") -> None:
        check_on_missing(on_missing)
        if n_neighbors < 1:
            raise InputError(f"n_neighbors must be at least 1, found {n_neighbors}.")
        self.n_neighbors, self.on_missing = n_neighbors, on_missing

    def learn(self, priors: GenePriors | None, seed: int) -> None:  # noqa: ARG002 - nothing is random
        """Keep the single effects of the genes that the embedding knows."""
        genes = [gene for condition in self.effects.conditions for gene in condition.genes]
        self._vectors = ConditionVectors.fit(embedding_of(priors, "knn_embedding"), genes)
        singles = sorted({one for one in self.effects.conditions if len(one.genes) == 1}, key=str)
        values, known = self._vectors.genes([one.genes[0] for one in singles])
        if not known.any():
            raise InputError(
                "knn_embedding needs single perturbations whose genes the embedding knows; there are none."
            )
        self._singles = [one for one, is_known in zip(singles, known, strict=True) if is_known]
        self._units = _unit(values[known])

    def answer(self, condition: Condition, context: str) -> Effect:
        """Add up the neighbours' effects."""
        if missing := self._vectors.missing(condition):
            if self.on_missing == "error":
                self._vectors.require(condition)
            return self.fallback(f"no embedding of {', '.join(missing)}")
        values, _ = self._vectors.genes(condition.genes)
        parts = []
        for single, value in zip(condition.singles, values, strict=True):
            own = self.effects.of(single, context)
            parts.append(self._from_neighbours(value, context) if own is None else own)
        return Effect(np.sum(parts, axis=0))

    def _from_neighbours(self, value: np.ndarray, context: str) -> np.ndarray:
        nearest = np.argsort(-(self._units @ _unit(value[None])[0]), kind="stable")[: self.n_neighbors]
        found = [self.effects.of(self._singles[place], context) for place in nearest]
        mean: np.ndarray = np.mean([delta for delta in found if delta is not None], axis=0)
        return mean


def _unit(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


predictors.add("knn_embedding", source="nearest neighbours in the embedding of genes")(NearestEmbeddings)
