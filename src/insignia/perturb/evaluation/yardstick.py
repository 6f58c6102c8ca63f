"""What predictions are held against; none of it is seen by a predictor."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial.distance import pdist
from scipy.stats import false_discovery_control

from insignia.data.condition import Condition
from insignia.data.perturbation import PerturbationData
from insignia.perturb.effects import GroupEffects
from insignia.perturb.latents import PCALatent
from insignia.stats import Moments, moments, squared_score_weights, welch_test

__all__ = ["Measured", "Place", "Yardstick", "divide_controls"]

MANY_CONTROLS = 1000
MOST_CELLS = 500
N_TOP = 1000
N_COMPONENTS = 50
FALSE_DISCOVERIES = 0.05


@dataclass(frozen=True, eq=False)
class Place:
    """A context in which effects are measured.

    Parameters
    ----------
    reference
        Moments of the control cells that measured effects are held against.
    reference_latent
        (cells, components) the same cells in the common space.
    base
        (genes,) mean of the control cells that predictions start from.
    trained
        (conditions, genes) training effects in this context, against their own controls.
    """

    reference: Moments
    reference_latent: np.ndarray
    base: np.ndarray
    trained: np.ndarray


@dataclass(frozen=True, eq=False)
class Measured:
    """A test condition as it was measured.

    Parameters
    ----------
    n_cells
        How many cells.
    mean
        (genes,) mean log expression.
    delta
        (genes,) the same against the reference controls.
    scores, significant
        (genes,) Welch's statistic against the reference controls, and whether it stands at a false discovery rate of
        5 %.
    latent
        (cells, components) up to 500 of the cells in the common space.
    """

    condition: Condition
    context: str
    n_cells: int
    mean: np.ndarray
    delta: np.ndarray
    scores: np.ndarray
    significant: np.ndarray
    latent: np.ndarray

    @cached_property
    def ranked(self) -> np.ndarray:
        """(genes,) positions, the most significant first."""
        order: np.ndarray = np.argsort(-np.abs(self.scores), kind="stable")
        return order

    @cached_property
    def weights(self) -> np.ndarray:
        """(genes,) weights by significance, with a sum of 1."""
        return squared_score_weights(self.scores)


@dataclass(frozen=True, eq=False)
class Yardstick:
    """The common space, the places, and the mean that training gives.

    Parameters
    ----------
    places
        By context.
    latent
        Principal components of the training cells, in which distributions are compared.
    bandwidth
        Of the kernel of the MMD: the median distance of training cells there, the same for everything compared.
    perturbed_mean
        (genes,) mean training effect.
    top
        Positions of the 1,000 genes that training controls express most.
    """

    places: dict[str, Place]
    latent: PCALatent
    bandwidth: float
    perturbed_mean: np.ndarray
    top: np.ndarray

    @classmethod
    def make(
        cls,
        train: PerturbationData,
        effects: GroupEffects,
        controls: dict[str, tuple[csr_matrix, csr_matrix]],
        *,
        seed: int,
    ) -> "Yardstick":
        """Learn space and mean from the training cells.

        Parameters
        ----------
        train, effects
            The training cells and their effects.
        controls
            By context: the reference cells, and those that predictions start from.
        seed
            Of the choice of cells.
        """
        rng = np.random.default_rng(seed)
        latent = PCALatent.fit(train, N_COMPONENTS, seed=seed)
        some = train.expression[np.sort(rng.permutation(len(train))[:MOST_CELLS])]
        level = np.mean([np.asarray(base.mean(axis=0)).ravel() for _, base in controls.values()], axis=0)
        places = {
            context: Place(
                moments(reference),
                in_common_space(latent, reference[_spread(reference.shape[0])]),
                np.asarray(base.mean(axis=0, dtype=np.float64)).ravel(),
                effects.delta[[where == context for where in effects.contexts]],
            )
            for context, (reference, base) in controls.items()
        }
        top = np.argsort(-level, kind="stable")[:N_TOP]
        width = float(np.median(pdist(in_common_space(latent, some)))) or 1.0
        return cls(places, latent, width, effects.mean, top)

    def measure(self, condition: Condition, context: str, cells: csr_matrix | np.ndarray) -> Measured:
        """Hold a group of cells, (cells, genes), against the reference controls."""
        place = self.places[context]
        found = moments(cells)
        scores, p = welch_test(found, place.reference)
        return Measured(
            condition,
            context,
            found.n,
            found.mean,
            found.mean - place.reference.mean,
            scores,
            false_discovery_control(p) < FALSE_DISCOVERIES,
            in_common_space(self.latent, cells[_spread(found.n)]),
        )


def in_common_space(latent: PCALatent, cells: csr_matrix | np.ndarray) -> np.ndarray:
    """Principal components of cells in units of log expression, (cells, components)."""
    space: np.ndarray = latent.encode(cells) * latent.scale
    return space


def _spread(n: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, MOST_CELLS)).astype(int))


def divide_controls(
    data: PerturbationData, *, rng: np.random.Generator
) -> tuple[PerturbationData, dict[str, csr_matrix], tuple[str, ...]]:
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
        reference[context] = data.expression[chosen]
    kept = np.setdiff1d(np.arange(len(data)), np.concatenate(aside)) if aside else np.arange(len(data))
    return data.take(kept), reference, tuple(divided)
