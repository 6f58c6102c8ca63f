"""Cells summed by unit and replicate, and two groups of cells compared over their units."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from insignia.core.errors import InputError
from insignia.data.perturbation import PerturbationData
from insignia.stats.differential import Moments
from insignia.stats.paired import paired_tests
from insignia.stats.rank_tests import rank_tests
from insignia.stats.stratified import StratifiedDifference, stratified_difference

__all__ = ["CellUnits", "UnitComparison", "UnitSums", "compare_units"]

_FEWEST: Final = 2
"""Cells that a group needs in a replicate to count there."""


@dataclass(frozen=True, eq=False)
class CellUnits:
    """What was drawn independently in a screen: the unit of each cell, and its replicate.

    Parameters
    ----------
    unit, replicate
        (cells,) labels; where no units are named, replicates are the units.
    is_named
        Whether units were named, e.g. guides, which lie within replicates or across them.
    kind
        What a unit is called.
    """

    unit: np.ndarray
    replicate: np.ndarray
    is_named: bool
    kind: str

    @classmethod
    def of(cls, data: PerturbationData, units: "pd.Series | Sequence[str] | None") -> "CellUnits":
        """Take the units that a user names for the cells of a screen, or its replicates.

        Raises
        ------
        InputError
            Some cells have no unit, or there is not one label a cell.
        """
        replicate = np.asarray(data.replicates, dtype=object)[data.replicate]
        if units is None:
            return cls(replicate, replicate, False, "replicate")
        return cls(_labels(data, units), replicate, True, str(getattr(units, "name", None) or "unit"))


def _labels(data: PerturbationData, units: "pd.Series | Sequence[str]") -> np.ndarray:
    if isinstance(units, pd.Series) and not units.index.is_unique:
        raise InputError("Units are looked up by the names of cells, and some names of this column repeat.")
    if isinstance(units, pd.Series):
        units = units.reindex(data.cells)
    labels = pd.Series(list(units), dtype=object)
    if len(labels) != len(data) or labels.isna().any():
        missing = "" if len(labels) != len(data) else f" {int(labels.isna().sum()):,} of them have none."
        raise InputError(
            f"Units, e.g. guides, are one label for each of {len(data):,} cells, or a column by the names of cells; "
            f"found {len(labels):,}.{missing}"
        )
    return np.asarray(labels.astype(str), dtype=object)


class UnitSums:
    """Sums and sums of squares over the cells of each unit in each replicate, added up block by block.

    Parameters
    ----------
    units, replicates
        (cells,) labels.
    n_columns
        Columns of the matrices to come.
    """

    def __init__(self, units: np.ndarray, replicates: np.ndarray, n_columns: int) -> None:
        pairs = pd.MultiIndex.from_arrays([np.asarray(units, dtype=object), np.asarray(replicates, dtype=object)])
        self._code, found = pd.factorize(pairs, sort=True)
        self.unit = np.asarray(found.get_level_values(0), dtype=object)
        self.replicate = np.asarray(found.get_level_values(1), dtype=object)
        self.n = np.bincount(self._code, minlength=len(found))
        self.total = np.zeros((len(found), n_columns))
        self.squares = np.zeros((len(found), n_columns))

    @classmethod
    def of(cls, matrix: csr_matrix, units: np.ndarray, replicates: np.ndarray) -> "UnitSums":
        """Sum a whole matrix, (cells, columns)."""
        made = cls(units, replicates, matrix.shape[1])
        made.add(slice(0, matrix.shape[0]), matrix)
        return made

    def add(self, rows: "slice | np.ndarray", matrix: csr_matrix) -> None:
        """Add the cells at some places, each place once."""
        code = self._code[rows]
        pick = csr_matrix((np.ones(len(code)), (code, np.arange(len(code)))), shape=(len(self.n), len(code)))
        values = matrix.astype(np.float64)
        self.total += (pick @ values).toarray()
        self.squares += (pick @ values.multiply(values)).toarray()

    def moments(self, replicate: str) -> Moments:
        """Moments of all cells of a replicate, at least two."""
        here = self.replicate == replicate
        n = int(self.n[here].sum())
        mean, squares = self.total[here].sum(axis=0) / n, self.squares[here].sum(axis=0)
        within = squares - n * mean**2
        # what rounding leaves of a constant column is no variance
        return Moments(n, mean, np.where(within > 1e-12 * squares, within, 0.0) / (n - 1))

    def sizes(self) -> dict[str, int]:
        """Cells of each replicate."""
        return {str(name): int(self.n[self.replicate == name].sum()) for name in dict.fromkeys(self.replicate)}


@dataclass(frozen=True, eq=False)
class UnitComparison:
    """Cases against controls, (columns,) each.

    Parameters
    ----------
    cells
        Difference within replicates, with its test over cells.
    p, smallest_p
        Over units: Wilcoxon's rank sum test of the units of both groups, or, where replicates are the units, his signed
        rank test of the differences; NaN where there is no unit to test. And the least that p can be.
    n_units, n_control_units
        That were tested.
    """

    cells: StratifiedDifference
    p: np.ndarray
    smallest_p: np.ndarray
    n_units: int
    n_control_units: int

    def columns(self, alpha: float) -> dict[str, Any]:
        """Columns of a table: ``effect``, ``z``, ``p_cells``, ``p``, ``testable``."""
        return {
            "effect": self.cells.difference,
            "z": self.cells.statistic,
            "p_cells": self.cells.p,
            "p": self.p,
            "testable": np.isfinite(self.p) & (self.smallest_p <= alpha),
        }


def compare_units(case: UnitSums, control: UnitSums, *, has_units: bool, min_cells: int) -> UnitComparison | None:
    """Compare a group of cells with its controls, each replicate within itself.

    Parameters
    ----------
    case, control
        Sums of both.
    has_units
        Whether units lie within replicates or across them, as guides do; otherwise replicates are the units.
    min_cells
        Units with fewer cells are left out of the test over units: their means are more often 0 than those of large
        ones, and ranks would take that for an effect.

    Returns
    -------
    The comparison; `None` where no replicate has two cells of each.
    """
    sizes, others = case.sizes(), control.sizes()
    shared = [name for name, n in sizes.items() if min(n, others.get(name, 0)) >= _FEWEST]
    if not shared:
        return None
    arms = [(case.moments(name), control.moments(name)) for name in shared]
    cells = stratified_difference(arms)
    if not has_units:
        kept = [one.mean - other.mean for one, other in arms if min(one.n, other.n) >= min_cells]
        return _paired(cells, np.array(kept))
    level = {name: other.mean for name, (_, other) in zip(shared, arms, strict=True)}
    values = [_unit_values(group, level, min_cells) for group in (case, control)]
    if not all(len(part) for part in values):
        return _untested(cells, *map(len, values))
    is_case = np.repeat([True, False], [len(part) for part in values])
    tests = rank_tests(np.concatenate(values), is_case)
    return UnitComparison(cells, tests.p, tests.smallest_p, *map(len, values))


def _paired(cells: StratifiedDifference, differences: np.ndarray) -> UnitComparison:
    if not len(differences):
        return _untested(cells, 0, 0)
    tests = paired_tests(differences)
    return UnitComparison(cells, tests.p_rank, tests.smallest_p, len(differences), len(differences))


def _untested(cells: StratifiedDifference, n_units: int, n_control_units: int) -> UnitComparison:
    nothing = np.full(cells.difference.shape, np.nan)
    return UnitComparison(cells, nothing, np.ones_like(nothing), n_units, n_control_units)


def _unit_values(group: UnitSums, level: dict[str, np.ndarray], min_cells: int) -> np.ndarray:
    """(units, columns) mean over the cells of each unit, less the mean of the controls of the replicate."""
    found = []
    for unit in dict.fromkeys(group.unit):
        rows = [i for i in np.flatnonzero(group.unit == unit) if group.replicate[i] in level]
        n = int(group.n[rows].sum())
        if n >= max(min_cells, 1):
            off = [group.total[i] - group.n[i] * level[group.replicate[i]] for i in rows]
            found.append(np.sum(off, axis=0) / n)
    return np.array(found).reshape(len(found), group.total.shape[1])
