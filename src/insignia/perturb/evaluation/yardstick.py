"""What predictions for one context are held against; none of it is seen by a predictor."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import ttest_ind

from insignia.data.condition import Condition
from insignia.data.perturbation import PerturbationData
from insignia.perturb.effects import GroupEffects
from insignia.perturb.latent import PCALatent

__all__ = ["Measured", "Yardstick", "divide_controls"]

MANY_CONTROLS = 1000
N_DE = 20


@dataclass(frozen=True, eq=False)
class Measured:
    """A test condition as it was measured.

    Parameters
    ----------
    cells
        (cells, genes) log expression.
    delta
        (genes,) mean against the reference controls.
    de_genes
        Positions of the genes that differ most from the reference controls by Welch's t-test.
    """

    condition: Condition
    context: str
    cells: np.ndarray
    delta: np.ndarray
    de_genes: np.ndarray


@dataclass(frozen=True, eq=False)
class Yardstick:
    """Reference controls, and the space and mean that training gives.

    Parameters
    ----------
    controls
        By context, (cells, genes): what effects are measured against; not given to predictors where controls are few.
    latent
        Principal components of the training cells, in which distributions are compared.
    perturbed_mean
        (genes,) mean training effect.
    """

    controls: dict[str, np.ndarray]
    latent: PCALatent
    perturbed_mean: np.ndarray

    @classmethod
    def make(
        cls, train: PerturbationData, effects: GroupEffects, controls: dict[str, np.ndarray], *, seed: int
    ) -> "Yardstick":
        """Learn space and mean from the training cells."""
        return cls(controls, PCALatent.fit(train, 50, seed=seed), effects.mean)

    def measure(self, condition: Condition, context: str, cells: np.ndarray) -> Measured:
        """Hold a group of cells against the reference controls."""
        controls = self.controls[context]
        with np.errstate(divide="ignore", invalid="ignore"):
            p = ttest_ind(cells, controls, equal_var=False).pvalue
        order = np.argsort(np.nan_to_num(p, nan=1.0), kind="stable")
        delta = cells.mean(axis=0, dtype=np.float64) - controls.mean(axis=0, dtype=np.float64)
        return Measured(condition, context, cells, delta, order[:N_DE])


def divide_controls(
    data: PerturbationData, *, rng: np.random.Generator
) -> tuple[PerturbationData, dict[str, np.ndarray], tuple[str, ...]]:
    """Put half of the controls aside as reference, in contexts that have fewer than 1,000.

    With few controls, truth and prediction that subtract the same noisy mean agree through its noise.

    Returns
    -------
    The screen without the reference cells; the reference cells by context, (cells, genes); the contexts with a
    reference of their own.
    """
    aside, reference, divided = [], {}, []
    contexts = sorted({context for condition, context in data.groups if not condition.is_control})
    for context in contexts:
        rows = data.controls(context)
        if 4 <= len(rows) < MANY_CONTROLS:
            chosen = np.sort(rng.permutation(rows)[: len(rows) // 2])
            aside.append(chosen)
            divided.append(context)
        else:
            chosen = rows
        reference[context] = np.asarray(data.expression[chosen].toarray())
    kept = np.setdiff1d(np.arange(len(data)), np.concatenate(aside)) if aside else np.arange(len(data))
    return data.take(kept), reference, tuple(divided)
