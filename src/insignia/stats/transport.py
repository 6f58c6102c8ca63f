"""Entropic transport between samples, stabilised in logarithms so that no mass is lost at any scale of the cost."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from insignia.core.errors import InputError

__all__ = ["EntropicPlan", "entropic_plan", "sinkhorn_divergence"]

_WHOLE: Final = 1e-3
_TOLERANCE: Final = 1e-6
_MOST_ROUNDS: Final = 5000


@dataclass(frozen=True, eq=False)
class EntropicPlan:
    """A transport plan between two samples whose points weigh the same.

    Parameters
    ----------
    log_plan
        (sources, targets) logarithm of the mass that goes from each source to each target.
    value
        Transport cost plus regularisation times the divergence of the plan from the independent one.
    off
        By how much the masses of sources are off, at most, as a share of what each should be; those of targets are
        exact.
    """

    log_plan: np.ndarray
    value: float
    off: float

    @property
    def mass(self) -> float:
        """Mass that the plan moves, 1 for a whole one."""
        return float(np.exp(logsumexp(self.log_plan)))


def entropic_plan(
    cost: np.ndarray, regularisation: float, *, tolerance: float = _TOLERANCE, max_iterations: int = _MOST_ROUNDS
) -> EntropicPlan:
    """Find the plan of least cost plus `regularisation` times its divergence from the independent plan.

    Parameters
    ----------
    cost
        (sources, targets).
    regularisation
        In units of the cost, above 0.
    tolerance
        Ends the iteration once `EntropicPlan.off` is below it.
    max_iterations
        Ends it in any case; look at `EntropicPlan.off` where that matters.

    Raises
    ------
    InputError
        There is no cost, it is not finite, or the regularisation is not above 0.

    References
    ----------
    Cuturi 2013, arXiv:1306.0895, with sums in logarithms.
    """
    cost = np.asarray(cost, dtype=np.float64)
    if cost.ndim != 2 or not cost.size or not np.isfinite(cost).all() or not regularisation > 0:
        raise InputError(
            f"Entropic transport needs a finite matrix of costs and a regularisation above 0, found {cost.shape} and "
            f"{regularisation!r}."
        )
    n_sources, n_targets = cost.shape
    kernel = -cost / regularisation - np.log(n_sources * n_targets)
    source, target = np.zeros((n_sources, 1)), np.zeros((1, n_targets))
    off = np.inf
    for _ in range(max_iterations):
        log_row = logsumexp(kernel + source + target, axis=1, keepdims=True) + np.log(n_sources)
        off = float(np.abs(np.expm1(log_row)).max())
        if off < tolerance:
            break
        source = source - log_row
        target = target - logsumexp(kernel + source + target, axis=0, keepdims=True) - np.log(n_targets)
    value = regularisation * float(source.mean() + target.mean())
    return EntropicPlan(kernel + source + target, value, off)


def sinkhorn_divergence(first: np.ndarray, second: np.ndarray, *, regularisation: float | None = None) -> float:
    """Debiased entropic transport cost between two samples under squared Euclidean distances.

    Half of the cost within each sample is taken away, so that it is 0 for equal samples and above 0 for others, at any
    regularisation: towards 0 it becomes the squared Wasserstein distance, and far above the cost the squared distance
    of the two means.

    Parameters
    ----------
    first, second
        (points, dimensions).
    regularisation
        In units of the squared distance; `None` takes a tenth of the mean squared distance between the samples.

    Raises
    ------
    InputError
        Shapes disagree, or the plan is not found in 5,000 iterations because the regularisation is too small.

    References
    ----------
    Feydy et al. 2019, arXiv:1810.08278, eq. 3.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or not len(first) or not len(second):
        raise InputError(f"Two samples of points in one space are compared, found {first.shape} and {second.shape}.")
    between = cdist(first, second, "sqeuclidean")
    if regularisation is None:
        regularisation = 0.1 * float(between.mean()) or 1.0
    plans = [
        entropic_plan(between, regularisation),
        *(_within_plan(cdist(points, points, "sqeuclidean"), regularisation) for points in (first, second)),
    ]
    if (worst := max(plan.off for plan in plans)) > _WHOLE:
        raise InputError(
            f"No transport plan was found at a regularisation of {regularisation:.3g}: masses are off by {worst:.1%}. "
            f"Take a larger one; the mean squared distance is {between.mean():.3g}."
        )
    across, within_first, within_second = (plan.value for plan in plans)
    return across - (within_first + within_second) / 2


def _within_plan(cost: np.ndarray, regularisation: float) -> EntropicPlan:
    """Find the plan of a sample to itself: both sides have one potential, which half steps find in tens of rounds."""
    n = len(cost)
    kernel = -cost / regularisation - 2 * np.log(n)
    potential, off = np.zeros(n), np.inf
    for _ in range(_MOST_ROUNDS):
        log_row = logsumexp(kernel + potential[:, None] + potential[None], axis=1) + np.log(n)
        off = float(np.abs(np.expm1(log_row)).max())
        if off < _TOLERANCE:
            break
        potential = potential - log_row / 2
    plan = kernel + potential[:, None] + potential[None]
    return EntropicPlan(plan, 2 * regularisation * float(potential.mean()), off)
