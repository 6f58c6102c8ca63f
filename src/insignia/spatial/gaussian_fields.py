"""Gaussian fields over spots: what programs owe to the image and to the place, fitted by marginal likelihood."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from insignia.spatial.covariance import Covariance

__all__ = ["WEIGHTS", "Mixture", "Predicted", "choose_mixture", "predict_mixture", "tiles"]

WEIGHTS: Final = (0.0, 0.1, 0.3, 1.0, 3.0)
"""Variances of a source to choose from, where the noise of a spot is 1."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """How much each source explains of each program.

    Parameters
    ----------
    choice
        (sources,) position of the covariance function that was taken of each source's candidates.
    weights
        (programs, sources) variance of each source, where the noise is 1.
    noise
        (programs,) variance of the noise.
    """

    choice: tuple[int, ...]
    weights: np.ndarray
    noise: np.ndarray


@dataclass(frozen=True, eq=False)
class Predicted:
    """Programs as predicted.

    Parameters
    ----------
    parts
        (sources, rows, programs): what each source adds to the mean.
    variance
        (rows, programs) of the sum of the sources.
    """

    parts: np.ndarray
    variance: np.ndarray


def tiles(points: np.ndarray, known: np.ndarray, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Halve the plane until no part holds more than `most` known spots.

    Parameters
    ----------
    points
        (spots, 2).
    known
        Rows of the known spots.
    most
        Known spots in a part.

    Yields
    ------
    The rows of the known spots of a part, and of all its spots.
    """
    waiting = [(known, np.arange(len(points)))]
    while waiting:
        inside, every = waiting.pop()
        if len(inside) <= most:
            yield inside, every
            continue
        axis = int(np.argmax(np.ptp(points[inside], axis=0)))
        middle = float(np.median(points[inside, axis]))
        low = points[:, axis] <= middle
        if low[inside].all():
            low = points[:, axis] < middle
        if low[inside].all() or not low[inside].any():
            yield inside, every
            continue
        waiting += [(inside[~low[inside]], every[~low[every]]), (inside[low[inside]], every[low[every]])]


def choose_mixture(
    candidates: Sequence[Sequence[Covariance]], blocks: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Mixture:
    """Choose by marginal likelihood one covariance function of each source for all programs, and weights for each.

    Parameters
    ----------
    candidates
        Covariance functions of each source.
    blocks
        Rows of known spots and their scores, (spots, programs); likelihoods of blocks add up.
    """
    grid = np.array(list(product(WEIGHTS, repeat=len(candidates))))
    best: tuple[float, tuple[int, ...], np.ndarray, np.ndarray] | None = None
    computed = [[[one(rows, rows) for rows, _ in blocks] for one in source] for source in candidates]
    n_spots = sum(len(rows) for rows, _ in blocks)
    for choice in product(*(range(len(source)) for source in candidates)):
        chosen = [computed[source][position] for source, position in enumerate(choice)]
        squares, determinants = _evidence(chosen, [scores for _, scores in blocks], grid)
        surprise = n_spots * np.log(np.maximum(squares / n_spots, 1e-300)) + determinants[:, None]
        place = np.argmin(surprise, axis=0)
        total = float(surprise.min(axis=0).sum())
        if best is None or total < best[0]:
            best = (total, choice, grid[place], squares[place, np.arange(len(place))] / n_spots)
    assert best is not None
    return Mixture(best[1], best[2], best[3])


def _evidence(
    covariances: Sequence[Sequence[np.ndarray]], scores: Sequence[np.ndarray], grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return squares that the noise explains, (grid, programs), and log determinants, (grid,), summed over blocks."""
    squares, determinants = np.zeros((len(grid), scores[0].shape[1])), np.zeros(len(grid))
    for block, values in enumerate(scores):
        for i, weights in enumerate(grid):
            factor = _factor([source[block] for source in covariances], weights)
            squares[i] += (solve_triangular(factor, values, lower=True, check_finite=False) ** 2).sum(axis=0)
            determinants[i] += 2 * np.log(np.diag(factor)).sum()
    return squares, determinants


def _factor(covariances: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    total = np.eye(len(covariances[0]))
    for covariance, weight in zip(covariances, weights, strict=True):
        if weight:
            total += weight * covariance
    return np.asarray(cholesky(total, lower=True, overwrite_a=True, check_finite=False))


def predict_mixture(
    covariances: Sequence[Covariance], mixture: Mixture, known: np.ndarray, scores: np.ndarray, rows: np.ndarray
) -> Predicted:
    """Predict the programs of some spots from known ones.

    Parameters
    ----------
    covariances
        The covariance function of each source.
    mixture
        Weights and noise of each program.
    known, scores
        Rows of the known spots, and their (spots, programs).
    rows
        Spots that are asked about.
    """
    among = [one(known, known) for one in covariances]
    across = [one(rows, known) for one in covariances]
    own = [one.variance(rows) for one in covariances]
    parts = np.zeros((len(covariances), len(rows), scores.shape[1]))
    variance = np.zeros((len(rows), scores.shape[1]))
    combinations, member = np.unique(mixture.weights, axis=0, return_inverse=True)
    for number, weights in enumerate(combinations):
        if not weights.any():
            continue
        programs = np.flatnonzero(member.ravel() == number)
        factor = _factor(among, weights)
        whitened = solve_triangular(factor, scores[:, programs], lower=True, check_finite=False)
        pull = solve_triangular(factor, whitened, lower=True, trans="T", check_finite=False)
        for source, weight in enumerate(weights):
            parts[source][:, programs] = weight * (across[source] @ pull)
        total = sum(weight * one for weight, one in zip(weights, across, strict=True))
        seen = (solve_triangular(factor, np.asarray(total).T, lower=True, check_finite=False) ** 2).sum(axis=0)
        prior = sum(weight * one for weight, one in zip(weights, own, strict=True))
        variance[:, programs] = np.maximum(prior - seen, 0.0)[:, None] * mixture.noise[programs]
    return Predicted(parts, variance)
