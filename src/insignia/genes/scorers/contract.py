"""What one way to score gene sets must do, and the registry of those there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_matrix

from insignia.core.errors import GeneMatchError, InputError
from insignia.core.optional import need
from insignia.core.registry import Registry
from insignia.genes.match import GeneMatch

__all__ = ["GeneSet", "ScoreFunction", "Scorer", "score_sets", "scorers"]


@dataclass(frozen=True, eq=False)
class GeneSet:
    """Those genes of a signature that a matrix has.

    Parameters
    ----------
    name
        How it is called.
    positions
        Columns of the matrix, (genes,), each once.
    weights
        (genes,), sign included; not all 0.
    """

    name: str
    positions: np.ndarray
    weights: np.ndarray

    def __post_init__(self) -> None:
        positions, weights = np.asarray(self.positions), np.asarray(self.weights, dtype=np.float64)
        if positions.ndim != 1 or weights.shape != positions.shape:
            raise InputError(
                f"{self.name!r} needs one weight a gene; found {positions.shape} genes and {weights.shape} weights."
            )
        if not positions.size or not np.isfinite(weights).all() or not weights.any():
            raise GeneMatchError(f"{self.name!r} has no gene with a finite weight that is not 0 in this matrix.")
        if len(np.unique(positions)) < positions.size:
            raise InputError(f"{self.name!r} names a column of the matrix more than once.")
        object.__setattr__(self, "positions", positions.astype(np.int64))
        object.__setattr__(self, "weights", weights)

    @classmethod
    def from_match(cls, name: str, match: GeneMatch, weights: np.ndarray) -> "GeneSet":
        """Take the genes that were found, with their weights out of one a signature gene."""
        return cls(name, match.index[match.found], np.asarray(weights)[match.found])

    @property
    def up(self) -> np.ndarray:
        """Columns of genes that count for the set."""
        return self.positions[self.weights > 0]

    @property
    def down(self) -> np.ndarray:
        """Columns of genes that count against it."""
        return self.positions[self.weights < 0]


ScoreFunction = Callable[[csr_matrix, Sequence[GeneSet]], np.ndarray]
"""Takes (cells, genes) values and gene sets of its columns, gives (cells, sets) scores, higher is more active."""


@dataclass(frozen=True)
class Scorer:
    """One way to score gene sets, and what must be known before it is used.

    Parameters
    ----------
    score
        The function.
    label
        Its name in figures.
    reads
        ``"attribution"``: attributions of cells, rows scaled to 1,000; ``"expression"``: log1p of counts per 10,000.
    weights
        What it makes of the weights of a signature: ``"used"``, or ``"signs"`` only.
    package
        The package it needs; empty if it needs none.
    """

    score: ScoreFunction
    label: str
    reads: Literal["attribution", "expression"] = "expression"
    weights: Literal["used", "signs"] = "used"
    package: str = ""

    def check(self) -> None:
        """Raise `MissingDependency` if its package is not installed."""
        if self.package:
            need(self.package, extra="scorers", purpose=f"Scoring with {self.label}")


scorers: Registry[Scorer] = Registry("scorer", entry_point="insignia.scorers")
"""Every way to score gene sets in cells, by name."""


def score_sets(name: str, matrix: Any, sets: Sequence[GeneSet]) -> np.ndarray:
    """Score gene sets with a registered scorer.

    Parameters
    ----------
    name
        Of the scorer; see `scorers`.
    matrix
        (cells, genes): what the scorer reads, dense or sparse, finite.
    sets
        Gene sets of its columns.

    Returns
    -------
    (cells, sets) float64. Scores of different scorers have different units.

    Raises
    ------
    UnknownName
        No scorer has this name.
    MissingDependency
        The package that it needs is not installed.
    InputError
        A value is not finite, a set lies outside the matrix, or the scorer cannot score it.
    """
    scorer = scorers[name]
    scorer.check()
    values = csr_matrix(matrix, dtype=np.float32)
    if not np.isfinite(values.data).all():
        raise InputError(f"{int((~np.isfinite(values.data)).sum()):,} values to score are not finite.")
    for made in sets:
        if made.positions.min() < 0 or made.positions.max() >= values.shape[1]:
            raise InputError(f"{made.name!r} names columns outside the {values.shape[1]:,} genes of the matrix.")
    if not sets or not values.shape[0]:
        return np.zeros((values.shape[0], len(sets)))
    return np.asarray(scorer.score(values, sets), dtype=np.float64)
