"""A Gaussian kernel over the nearest known spots."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from insignia.spatial.blocks import block_masks
from insignia.spatial.contract import Imputed, Imputer, StackSpots, imputers
from insignia.spatial.known import Neighbours, known_neighbours, mean_and_sd

__all__ = ["Kernel", "KernelOptions"]

_NO_CHOICE: Final = 2.0


@dataclass(frozen=True)
class KernelOptions:
    """How far a kernel reaches.

    Parameters
    ----------
    sigma_pitches
        Widths in the plane to choose from, by the error on blocks left out; with one there is no choice.
    sigma_z_gaps
        Width in depth, in typical distances between sections; it weighs known sections against one another.
    n_neighbours
        Known spots of each known section that take part.
    pull
        Weight of the mean of the known spots, where a known spot at the same place weighs 1.
    """

    sigma_pitches: tuple[float, ...] = (0.7, 1.0, 1.4, 2.0, 2.8)
    sigma_z_gaps: float = 2.0
    n_neighbours: int = 19
    pull: float = 1e-3


@imputers.add("kernel")
class Kernel(Imputer):
    """Average the nearest known spots, weighted by exp(-d² / 2 sigma² - dz² / 2 sigma_z²).

    Parameters
    ----------
    options
        How far it reaches.
    """

    def __init__(self, options: KernelOptions | None = None) -> None:
        self.options = options or KernelOptions()

    def impute(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> Imputed:  # noqa: ARG002
        """Impute every spot of a stack."""
        mean, sd = mean_and_sd(spots, training)
        if not spots.is_known.any():
            shape = (len(spots), 1)
            return Imputed(np.tile(mean, shape).astype(np.float32), np.tile(sd, shape).astype(np.float32))
        sigma = self._choose_sigma(spots)
        near = known_neighbours(spots, np.arange(len(spots)), self.options.n_neighbours)
        weights = self._weights(spots, near, sigma)
        imputed = weighted_mean(spots, near, weights, mean=mean, pull=self.options.pull)
        spread = weighted_sd(spots, near, weights, imputed=imputed, sd=sd)
        record = {"sigma_pitches": sigma, "sigma_z_gaps": self.options.sigma_z_gaps}
        return Imputed(imputed.astype(np.float32), spread.astype(np.float32), record=record)

    def tuned(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> "Kernel":  # noqa: ARG002
        """Fix the width."""
        return Kernel(replace(self.options, sigma_pitches=(self._choose_sigma(spots),)))

    def _choose_sigma(self, spots: StackSpots) -> float:
        candidates = self.options.sigma_pitches
        masks = block_masks(spots)
        if len(candidates) == 1 or not masks:
            return candidates[0] if len(candidates) == 1 else _NO_CHOICE
        error = np.zeros(len(candidates))
        for mask in masks:
            left, hidden = spots.hide(mask), np.flatnonzero(mask)
            mean, sd = mean_and_sd(left)
            near = known_neighbours(left, hidden, self.options.n_neighbours)
            for i, sigma in enumerate(candidates):
                weights = self._weights(left, near, sigma)
                guess = weighted_mean(left, near, weights, mean=mean, pull=self.options.pull)
                error[i] += (((guess - spots.expression[hidden]) / np.where(sd > 0, sd, 1)) ** 2).sum()
        return candidates[int(np.argmin(error))]

    def _weights(self, spots: StackSpots, near: Neighbours, sigma: float) -> np.ndarray:
        depth = np.unique(np.round(spots.xyz_um[:, 2] / spots.pitch_um, 9))
        gap = float(np.median(np.diff(depth))) if len(depth) > 1 else 1.0
        # against the known section that is closest in depth: with one, depth has no say
        dz = np.where(np.isfinite(near.distance), near.dz, np.inf) / (self.options.sigma_z_gaps * gap)
        closest = dz.min(axis=1, keepdims=True)
        far = (near.distance / sigma) ** 2 + dz**2 - np.where(np.isfinite(closest), closest, 0.0) ** 2
        return np.asarray(np.exp(-far / 2))


def weighted_mean(
    spots: StackSpots, near: Neighbours, weights: np.ndarray, *, mean: np.ndarray, pull: float
) -> np.ndarray:
    """Average the neighbours of each spot, and the mean of the known spots with the weight `pull`: float64."""
    total = weights.sum(axis=1, keepdims=True) + pull
    around = np.zeros((len(near.rows), len(mean)))
    for column in range(near.rows.shape[1]):
        around += weights[:, column, None] * (spots.expression[near.rows[:, column]] - mean)
    return np.asarray(mean + around / total)


def weighted_sd(
    spots: StackSpots, near: Neighbours, weights: np.ndarray, *, imputed: np.ndarray, sd: np.ndarray
) -> np.ndarray:
    """Spread of the neighbours about what was imputed, drawn to the spread of all known spots where they are few.

    (spots, genes): ``sqrt((m s² + v sum w) / (m + sum w) (1 + 1 / n))`` with `v` the weighted square deviation, `m` 8
    spots and ``n = (sum w)² / sum w²`` the number of spots that in effect are averaged.
    """
    squares = np.zeros_like(imputed)
    for column in range(near.rows.shape[1]):
        squares += weights[:, column, None] * (spots.expression[near.rows[:, column]] - imputed) ** 2
    total = weights.sum(axis=1, keepdims=True)
    n_averaged = total**2 / np.maximum((weights**2).sum(axis=1, keepdims=True), 1e-300)
    variance = (8.0 * sd**2 + squares) / (8.0 + total)
    return np.asarray(np.sqrt(variance * (1 + 1 / np.maximum(n_averaged, 1.0))))
