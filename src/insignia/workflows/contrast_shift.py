"""Whether a population moved at all: its distance from the controls against all other ways to hand out the labels."""

from collections.abc import Iterator
from itertools import combinations, product
from math import comb
from typing import Final

import numpy as np

from insignia.workflows.contrast_cells import ContrastCells

__all__ = ["shift_p"]

_MOST: Final = 1500
"""Arrangements of a side up to which all are made; above it so many are drawn."""


def shift_p(
    cells: ContrastCells, side: np.ndarray, divided: str, embedding: np.ndarray, rng: np.random.Generator
) -> float:
    """Share of arrangements of the labels in which the two sides agree at least as much on where the population went.

    The two sides have one number in common, the product of their directions, so that their units are no independent
    witnesses of it, and a test that counted them all would call too much. Here whole guides exchange their labels
    within a side, or the two groups within a replicate.

    Parameters
    ----------
    cells, side, divided
        The comparison, and what `folds_of` gave.
    embedding
        (cells, latent).
    rng
        Of the draw, where there are too many arrangements to make all.

    Returns
    -------
    One-sided p-value, exact where all were made; NaN where halves of the cells are the sides, which are no units.
    """
    if divided == "cells":
        return float("nan")
    found = [_Side(cells.take(side == one), embedding[side == one]) for one in (0, 1)]
    by_guides = divided == "guides"
    directions = [one.directions(one.by_guides(rng) if by_guides else one.by_replicates(rng)) for one in found]
    agreement = directions[0] @ directions[1].T
    # the first arrangement is the real one; rounding must not tell equal ones apart
    least = agreement[0, 0] - 1e-9 * np.abs(agreement).max()
    return float((agreement >= least).mean())


class _Side:
    """Cells of a side, summed by unit and replicate."""

    def __init__(self, cells: ContrastCells, embedding: np.ndarray) -> None:
        # the two groups of a replicate are apart, where replicates are the units
        names = [f"{unit}\x1f{case}" for unit, case in zip(cells.unit, cells.is_case, strict=True)]
        self.names, unit = np.unique(names, return_inverse=True)
        self.replicates, replicate = np.unique(cells.replicate.astype(str), return_inverse=True)
        shape = len(self.names), len(self.replicates)
        code = np.ravel_multi_index((unit, replicate), shape)
        self.n = np.bincount(code, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
        total = np.zeros((shape[0] * shape[1], embedding.shape[1]))
        np.add.at(total, code, embedding.astype(np.float64))
        self.total = total.reshape(*shape, -1)
        self.is_case = np.array([name.endswith("True") for name in self.names])

    def by_guides(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Labels of the units, the real ones first, then all others, or draws."""
        n, k = len(self.is_case), int(self.is_case.sum())
        yield np.repeat(self.is_case[:, None], len(self.replicates), axis=1)
        if comb(n, k) <= _MOST:
            chosen: Iterator[np.ndarray] = (np.isin(np.arange(n), one) for one in combinations(range(n), k))
        else:
            chosen = (rng.permutation(self.is_case) for _ in range(_MOST))
        for one in chosen:
            if not np.array_equal(one, self.is_case):
                yield np.repeat(one[:, None], len(self.replicates), axis=1)

    def by_replicates(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Labels where some replicates exchange the two groups: none of them first."""
        n = len(self.replicates)
        turned = product((False, True), repeat=n) if 2**n <= _MOST else _turns(n, rng)
        for one in turned:
            yield self.is_case[:, None] != np.array(one)[None]

    def directions(self, labels: Iterator[np.ndarray]) -> np.ndarray:
        """(arrangements, latent) difference of the centroids, each replicate within itself."""
        found = []
        for is_case in labels:
            cases, others = (np.where(kind, self.n, 0) for kind in (is_case, ~is_case))
            n_case, n_other = cases.sum(axis=0), others.sum(axis=0)
            both = (n_case > 0) & (n_other > 0)
            if not both.any():
                continue
            centre = [
                np.einsum("ur,url->rl", kind.astype(np.float64), self.total)[both] / n[both, None]
                for kind, n in ((is_case, n_case), (~is_case, n_other))
            ]
            weight = 1 / (1 / n_case[both] + 1 / n_other[both])
            found.append(np.average(centre[0] - centre[1], axis=0, weights=weight))
        return np.array(found)


def _turns(n: int, rng: np.random.Generator) -> Iterator[tuple[bool, ...]]:
    yield (False,) * n
    for _ in range(_MOST):
        yield tuple((rng.random(n) < 0.5).tolist())
