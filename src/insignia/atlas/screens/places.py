"""Where the pieces of all segments belong: which group, and which set of measured genes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from insignia.atlas.screens.grouping import SegmentGroups
from insignia.atlas.screens.means import group_codes

__all__ = ["Places"]


@dataclass(frozen=True, eq=False)
class Places:
    """Where the wanted pieces of all segments belong, in the order of the segments.

    Attributes
    ----------
    groups
        One row a group: its columns, and ``cells``.
    group, panel, cells
        Group, set of measured genes, and cells of each piece, (pieces,).
    measured
        (sets, genes) bool.
    """

    groups: pd.DataFrame
    group: np.ndarray
    panel: np.ndarray
    cells: np.ndarray
    measured: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[SegmentGroups], *, by: Sequence[str] | None = None) -> "Places":
        """Find them; `by` forms groups by some of the columns only."""
        tables = [part.table[part.is_wanted] for part in parts]
        table = pd.concat(tables, ignore_index=True)
        groups, codes = group_codes(table.drop(columns=["range", "cells"]) if by is None else table[list(by)])
        cells = table["cells"].to_numpy()
        numbers: dict[bytes, int] = {}
        sets: list[np.ndarray] = []
        panels = []
        for part, rows in zip(parts, tables, strict=True):
            of_range = []
            for measured in part.measured:
                if numbers.setdefault(measured.tobytes(), len(numbers)) == len(sets):
                    sets.append(measured)
                of_range.append(numbers[measured.tobytes()])
            panels.append(np.array(of_range)[rows["range"].to_numpy()])
        groups = groups.assign(cells=np.bincount(codes, cells, minlength=len(groups)).astype(np.int64))
        return cls(groups, codes, np.concatenate(panels), cells, np.stack(sets))

    def weights(self, pieces: slice = slice(None)) -> csr_matrix:
        """Matrix that adds up some pieces by group, (groups, pieces)."""
        group = self.group[pieces]
        shape = (len(self.groups), group.size)
        return csr_matrix((np.ones(group.size), (group, np.arange(group.size))), shape=shape)
