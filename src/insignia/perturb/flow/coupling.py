"""Which control cell is paired with which perturbed cell in a training step."""

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp

from insignia.core.registry import Registry
from insignia.stats import entropic_plan

__all__ = ["couplings", "independent", "optimal", "squared_distances"]

Coupling = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""(cells, latent) sources and as many targets -> (cells,) the target of each source."""

couplings: Registry[Coupling] = Registry("coupling")

_EPSILON: Final = 0.05
_ITERATIONS: Final = 200


def squared_distances(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return squared Euclidean distances, (sources, targets)."""
    square = (source**2).sum(1)[:, None] + (target**2).sum(1)[None] - 2 * source @ target.T
    return np.asarray(np.maximum(square, 0))


@couplings.add("exact", source="doi:10.1007/978-3-540-71050-9, optimal transport of equal masses is an assignment")
def optimal(source: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Pair so that the sum of squared distances is least."""
    return linear_sum_assignment(squared_distances(source, target))[1]  # type: ignore[no-any-return]


@couplings.add("sinkhorn", source="arXiv:1306.0895, stabilised in logarithms; regularisation 0.05 of the mean cost")
def sinkhorn(source: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a target for each source from the entropic plan."""
    cost = squared_distances(source, target)
    regularisation = max(_EPSILON * float(cost.mean()), 1e-12)
    log_plan = entropic_plan(cost, regularisation, max_iterations=_ITERATIONS).log_plan
    chance = np.exp(log_plan - logsumexp(log_plan, axis=1, keepdims=True))
    drawn = (rng.random((len(source), 1)) >= np.cumsum(chance, axis=1)).sum(axis=1)
    return np.asarray(np.minimum(drawn, len(target) - 1))


@couplings.add("independent", source="no transport: the control that shows what coupling is worth")
def independent(source: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """Pair at random."""
    return rng.permutation(len(target))
