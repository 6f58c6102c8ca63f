"""Perturbed cells and their controls, divided so that what is attributed never chose its own direction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

__all__ = ["ContrastCells", "Fold", "folds_of", "null_cells", "thinned"]

_FEWEST: Final = 2


@dataclass(frozen=True, eq=False)
class ContrastCells:
    """Cells of one comparison.

    Parameters
    ----------
    rows
        (cells,) their places in the screen.
    is_case
        (cells,) whether perturbed.
    replicate, unit
        (cells,) labels.
    has_units
        Whether units are guides, or the like; otherwise replicates are.
    """

    rows: np.ndarray
    is_case: np.ndarray
    replicate: np.ndarray
    unit: np.ndarray
    has_units: bool

    def take(self, kept: np.ndarray) -> "ContrastCells":
        """Keep some of the cells."""
        return ContrastCells(self.rows[kept], self.is_case[kept], self.replicate[kept], self.unit[kept], self.has_units)

    def matched(self) -> "ContrastCells":
        """Keep replicates in which there are two cells of both kinds."""
        table = pd.crosstab(self.replicate, self.is_case).reindex(columns=[False, True], fill_value=0)
        return self.take(np.isin(self.replicate, table.index[(table >= _FEWEST).all(axis=1)]))


@dataclass(frozen=True, eq=False)
class Fold:
    """Cells that are attributed together, and those that say in which direction.

    Parameters
    ----------
    cells
        (cells,) bool: attributed, of one replicate.
    teachers
        (cells,) bool: the cells of the other side, whose centroids are contrasted.
    """

    cells: np.ndarray
    teachers: np.ndarray


def folds_of(cells: ContrastCells, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Divide cells into two sides that have nothing in common that could pass for an effect.

    Returns
    -------
    (cells,) side, 0 or 1, and what was divided: ``"guides"`` where both kinds have two of them, so that what one guide
    does beside its target stays on its side, else ``"replicates"``, else ``"cells"``, the halves of the only replicate.
    """
    kinds = [cells.is_case, ~cells.is_case]
    if cells.has_units and all(len(set(cells.unit[kind])) > 1 for kind in kinds):
        side = np.zeros(len(cells.rows), dtype=np.int64)
        for kind in kinds:
            side[kind] = _by_turns(cells.unit[kind])
        return side, "guides"
    if len(set(cells.replicate)) > 1:
        return _by_turns(cells.replicate), "replicates"
    side = np.zeros(len(cells.rows), dtype=np.int64)
    for kind in kinds:
        side[np.flatnonzero(kind)[rng.permutation(kind.sum())[::2]]] = 1
    return side, "cells"


def thinned(cells: ContrastCells, max_controls: int, rng: np.random.Generator) -> ContrastCells:
    """Draw at most so many controls, an even share of each replicate."""
    controls = np.flatnonzero(~cells.is_case)
    if len(controls) <= max_controls:
        return cells
    order = controls[rng.permutation(len(controls))]
    places = pd.Series(cells.replicate[order]).groupby(cells.replicate[order], sort=False).cumcount().to_numpy()
    drawn = order[np.argsort(places, kind="stable")[:max_controls]]
    return cells.take(np.sort(np.concatenate([np.flatnonzero(cells.is_case), drawn])))


def null_cells(cells: ContrastCells, kind: str, rng: np.random.Generator) -> ContrastCells | None:
    """Give a comparison in which there is nothing to find, as large as a real one.

    Parameters
    ----------
    cells
        The real one.
    kind
        ``"controls"``: some controls play the perturbed, whole guides of them where there are guides. ``"shuffled"``:
        the labels of all cells are mixed, those of whole guides where there are guides, else within replicates.
    rng
        Of the draw.

    Returns
    -------
    The comparison; `None` where too few controls, or guides, are there to divide.
    """
    if kind == "controls":
        controls = cells.take(~cells.is_case)
        number = len(set(cells.unit[cells.is_case])) if cells.has_units else 0
        played = _played(controls, number, cells, rng)
        return None if played is None else _relabelled(controls, played)
    if cells.has_units:
        units = np.array(sorted(set(cells.unit)), dtype=object)
        chosen = rng.choice(units, len(set(cells.unit[cells.is_case])), replace=False)
        return _relabelled(cells, np.isin(cells.unit, chosen))
    mixed = cells.is_case.copy()
    for name in sorted(set(cells.replicate)):
        here = np.flatnonzero(cells.replicate == name)
        mixed[here] = rng.permutation(mixed[here])
    return _relabelled(cells, mixed)


def _played(controls: ContrastCells, n_units: int, cells: ContrastCells, rng: np.random.Generator) -> np.ndarray | None:
    """Choose which controls play the perturbed, at most half, by guides or cells: (controls,) bool."""
    if n_units:
        units = np.array(sorted(set(controls.unit)), dtype=object)
        if len(units) < 2 * _FEWEST:
            return None
        return np.isin(controls.unit, rng.choice(units, min(n_units, len(units) // 2), replace=False))
    played = np.zeros(len(controls.rows), dtype=bool)
    for name in sorted(set(controls.replicate)):
        here = np.flatnonzero(controls.replicate == name)
        wanted = int((cells.is_case & (cells.replicate == name)).sum())
        played[rng.choice(here, min(wanted, len(here) // 2), replace=False)] = True
    return played


def _relabelled(cells: ContrastCells, is_case: np.ndarray) -> ContrastCells | None:
    made = ContrastCells(cells.rows, is_case, cells.replicate, cells.unit, cells.has_units).matched()
    return made if made.is_case.any() else None


def _by_turns(labels: Sequence[str] | np.ndarray) -> np.ndarray:
    """Give whole labels to two sides, the largest first, each to the side with fewer cells."""
    code, names = pd.factorize(np.asarray(labels, dtype=object), sort=True)
    sizes = np.bincount(code, minlength=len(names))
    side, held = np.zeros(len(names), dtype=np.int64), np.zeros(2)
    for place in np.argsort(-sizes, kind="stable"):
        side[place] = int(held[1] < held[0])
        held[side[place]] += sizes[place]
    return np.asarray(side[code])
