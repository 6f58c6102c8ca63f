"""Ridge regression of mean effects on features of the condition; what the features are is the subclass's business."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.linear_model import RidgeCV

from insignia.data.condition import Condition
from insignia.data.gene_priors import GenePriors
from insignia.perturb.contract import Effect
from insignia.perturb.predictors.closed_form import ClosedForm

__all__ = ["FeatureRidge", "Line"]

PENALTIES: Final = tuple(10.0**power for power in np.arange(-2.0, 3.01, 0.5))


@dataclass(frozen=True, eq=False)
class Line:
    """A fitted linear function.

    Parameters
    ----------
    weights
        (genes, features).
    offset
        (genes,), or 0.
    penalty
        That was chosen.
    """

    weights: np.ndarray
    offset: np.ndarray
    penalty: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """(features,) -> (genes,)."""
        value: np.ndarray = self.weights @ features + self.offset
        return value


class FeatureRidge(ClosedForm):
    """Effects as a linear function of features, the penalty chosen by leaving out one group at a time."""

    has_intercept: bool

    def learn(self, priors: GenePriors | None, seed: int) -> None:  # noqa: ARG002 - nothing is random
        """Fit on the groups that have features."""
        self.prepare(priors)
        rows = [self.features(condition) for condition in self.effects.conditions]
        has = np.array([row is not None for row in rows])
        fitted = RidgeCV(alphas=PENALTIES, fit_intercept=self.has_intercept)
        fitted.fit(np.array([row for row in rows if row is not None]), self.effects.delta[has])
        self._line = Line(fitted.coef_, np.asarray(fitted.intercept_, dtype=np.float64), float(fitted.alpha_))

    def answer(self, condition: Condition, context: str) -> Effect:  # noqa: ARG002 - one answer for all contexts
        """Apply the regression."""
        features = self.features(condition)
        if features is None:
            return self.without_features(condition)
        return Effect(self._line.predict(features))

    def describe(self) -> dict[str, Any]:
        """Say which penalty was chosen."""
        return {"penalty": self._line.penalty}

    @abstractmethod
    def prepare(self, priors: GenePriors | None) -> None:
        """Learn what features need."""

    @abstractmethod
    def features(self, condition: Condition) -> np.ndarray | None:
        """(features,) of a condition; `None` if it has none."""

    @abstractmethod
    def without_features(self, condition: Condition) -> Effect:
        """Answer for a condition without features, or refuse it."""
