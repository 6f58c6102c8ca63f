"""Ridge regression of expression on image features."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from insignia.core.errors import InputError
from insignia.spatial.blocks import block_masks
from insignia.spatial.contract import Imputed, Imputer, StackSpots, imputers
from insignia.spatial.known import mean_and_sd

__all__ = ["Ridge", "RidgeOptions"]


@dataclass(frozen=True)
class RidgeOptions:
    """How strongly coefficients are held back.

    Parameters
    ----------
    penalties
        To choose from, one for all genes, by the error on blocks left out; with one there is no choice.
    """

    penalties: tuple[float, ...] = tuple(float(p) for p in np.logspace(1, 5, 9))


@dataclass(frozen=True, eq=False)
class Decomposed:
    """Singular values of the known spots' features, from which all penalties are solved.

    Parameters
    ----------
    centre
        (features,) mean that was taken off.
    values
        (rank,) singular values.
    directions
        (rank, features).
    outcome
        (rank, genes): left singular vectors times centred expression.
    mean
        (genes,) mean expression.
    """

    centre: np.ndarray
    values: np.ndarray
    directions: np.ndarray
    outcome: np.ndarray
    mean: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, expression: np.ndarray) -> "Decomposed":
        """Decompose (spots, features) once, for all genes and penalties."""
        features, expression = features.astype(np.float64), expression.astype(np.float64)
        centre, mean = features.mean(axis=0), expression.mean(axis=0)
        left, values, directions = np.linalg.svd(features - centre, full_matrices=False)
        return cls(centre, values, directions, left.T @ (expression - mean), mean)

    def predict(self, features: np.ndarray, penalty: float) -> np.ndarray:
        """Predict (spots, genes) float64."""
        coefficients = (self.values / (self.values**2 + penalty))[:, None] * self.outcome
        return np.asarray(self.mean + self._scores(features) @ coefficients)

    def leverage(self, features: np.ndarray, penalty: float) -> np.ndarray:
        """Variance of the coefficients seen from each spot, (spots,), in units of the residual variance.

        With the penalty read as a normal prior: x' (X'X + penalty)^-1 x, of which the part of x that no known spot
        shares keeps the variance of the prior.
        """
        scores = self._scores(features)
        unseen = ((features - self.centre) ** 2).sum(axis=1) - (scores**2).sum(axis=1)
        return np.asarray((scores**2) @ (1 / (self.values**2 + penalty)) + np.maximum(unseen, 0.0) / penalty)

    def _scores(self, features: np.ndarray) -> np.ndarray:
        return np.asarray((features.astype(np.float64) - self.centre) @ self.directions.T)


@imputers.add("ridge")
class Ridge(Imputer):
    """Predict each spot from its own image features; spots without features get the mean.

    Learnt from the known spots, or from the training stacks if no spot is known.

    Parameters
    ----------
    options
        Penalties to choose from.
    """

    needs_features = True

    def __init__(self, options: RidgeOptions | None = None) -> None:
        self.options = options or RidgeOptions()

    def impute(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> Imputed:  # noqa: ARG002
        """Impute every spot of a stack."""
        mean, sd = mean_and_sd(spots, training)
        learnt_from = [spots] if spots.is_known.any() else list(training)
        pairs = [pair for stack in learnt_from if (pair := seen_pairs(stack)) is not None]
        if not pairs or spots.features is None:
            raise InputError(
                "ridge learns from image features of known spots, and there are none. Run the features step first, "
                "or use a method without images: propagate, kernel, nearest or mean."
            )
        penalty, residual = self._choose_penalty(learnt_from)
        fit = Decomposed.of(*(np.concatenate(arrays) for arrays in zip(*pairs, strict=True)))
        has_features = np.isfinite(spots.features).all(axis=1)
        imputed, spread = np.tile(mean, (len(spots), 1)), np.tile(sd, (len(spots), 1))
        imputed[has_features] = fit.predict(spots.features[has_features], penalty)
        leverage = fit.leverage(spots.features[has_features], penalty)
        spread[has_features] = (sd if residual is None else residual) * np.sqrt(1 + leverage)[:, None]
        return Imputed(imputed.astype(np.float32), spread.astype(np.float32), record={"penalty": penalty})

    def tuned(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> "Ridge":  # noqa: ARG002
        """Fix the penalty."""
        penalty, _ = self._choose_penalty([spots] if spots.is_known.any() else list(training))
        return Ridge(replace(self.options, penalties=(penalty,)))

    def _choose_penalty(self, stacks: Sequence[StackSpots]) -> tuple[float, np.ndarray | None]:
        """Return the best penalty, and the root mean square error of each gene on the blocks left out."""
        penalties = self.options.penalties
        errors = np.zeros((len(penalties), len(stacks[0].genes)))
        n_hidden = 0
        for stack in stacks:
            for mask in block_masks(stack):
                learnt, asked = seen_pairs(stack.hide(mask)), seen_pairs(stack, mask)
                if learnt is None or asked is None:
                    continue
                fit = Decomposed.of(*learnt)
                n_hidden += len(asked[1])
                for i, penalty in enumerate(penalties):
                    errors[i] += ((fit.predict(asked[0], penalty) - asked[1]) ** 2).sum(axis=0)
        if not n_hidden:
            return penalties[len(penalties) // 2], None
        scale = np.where(errors.max(axis=0) > 0, errors.max(axis=0), 1)
        best = int(np.argmin((errors / scale).sum(axis=1)))
        return penalties[best], np.sqrt(errors[best] / n_hidden)


def seen_pairs(spots: StackSpots, rows: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray] | None:
    """Return features and expression of the known spots with features, or of those among `rows`; `None` if none."""
    if spots.features is None:
        return None
    usable = spots.is_known & np.isfinite(spots.features).all(axis=1)
    usable = usable if rows is None else usable & rows
    return (spots.features[usable], spots.expression[usable]) if usable.any() else None
