"""The comparisons of a screen: which cells each has, put together one at a time, and the task that attributes one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix

from insignia.core.errors import InputError
from insignia.data import Condition, Expression, InputSpace, PerturbationData
from insignia.models import Encoder, align, load
from insignia.models.embed import embed_cells
from insignia.perturb.unit_sums import CellUnits, UnitComparison, UnitSums, compare_units
from insignia.workflows.contrast_cells import ContrastCells, null_cells, thinned
from insignia.workflows.contrast_run import ContrastJob, ContrastResult, run_contrast

__all__ = ["MEASURED", "ContrastJobs", "ContrastPlan", "ContrastTask", "Named", "ScreenCells"]

MEASURED: Final = "measured"
"""Kind of the comparisons that are no nulls."""

Named = tuple[str, Condition, str]
"""Kind, condition and context of a comparison."""


@dataclass(frozen=True, eq=False)
class ScreenCells:
    """A screen as the model reads it: expression, the genes that it knows, embedding, and the labels of the cells."""

    data: PerturbationData
    matrix: csr_matrix
    space: InputSpace
    genes: tuple[str, ...]
    known: np.ndarray
    embedding: np.ndarray
    units: CellUnits

    @classmethod
    def make(
        cls,
        data: PerturbationData,
        encoder: Encoder,
        counts: AnnData | None,
        units: "pd.Series | Sequence[str] | None",
        device: str,
    ) -> "ScreenCells":
        """Embed all cells, from log expression or from counts."""
        adata = _cells_of(data, counts)
        space: InputSpace = "log1p" if counts is None else "counts"
        known = align(Expression.from_adata(adata, input_space=space), encoder).index >= 0
        embedding = embed_cells(adata, encoder, input_space=space, device=device)
        named = CellUnits.of(data, units)
        return cls(data, csr_matrix(adata.X), space, tuple(adata.var_names), known, embedding, named)


def _cells_of(data: PerturbationData, counts: AnnData | None) -> AnnData:
    if counts is None:
        obs = pd.DataFrame(index=data.cells.astype(str))
        return AnnData(data.expression, obs=obs, var=pd.DataFrame(index=list(data.genes)))
    places = counts.obs_names.get_indexer(data.cells.astype(str))
    if (places < 0).any():
        absent = data.cells[places < 0]
        raise InputError(f"counts lacks {len(absent):,} of {len(data):,} cells of the screen, e.g. {absent[0]!r}.")
    return counts[places].to_memory()


@dataclass(frozen=True, eq=False)
class ContrastPlan:
    """Says which cells each comparison has, the same whenever it is asked."""

    cells: ScreenCells
    settings: dict[str, Any]
    max_controls: int
    seed: int

    def cells_of(self, kind: str, condition: Condition, context: str) -> ContrastCells | None:
        """Cells of a comparison; `None` where there are too few."""
        data, units = self.cells.data, self.cells.units
        groups = [data.rows(condition, context), data.controls(context)]
        rows = np.concatenate(groups)
        is_case = np.repeat([True, False], [len(group) for group in groups])
        made = ContrastCells(rows, is_case, units.replicate[rows], units.unit[rows], units.is_named).matched()
        if not made.is_case.any():
            return None
        rng = self._rng(kind, condition, context)
        if kind != MEASURED:
            mixed = null_cells(made, kind, rng)
            if mixed is None:
                return None
            made = mixed
        return thinned(made, self.max_controls, rng)

    def job(self, kind: str, condition: Condition, context: str) -> ContrastJob:
        """Give a comparison with its expression and embedding."""
        cells = self.cells_of(kind, condition, context)
        assert cells is not None
        screen = self.cells
        matrix, embedding = screen.matrix[cells.rows], screen.embedding[cells.rows]
        return ContrastJob(cells, matrix, screen.space, screen.genes, embedding, seed=self.seed, **self.settings)

    def expression(self, cells: ContrastCells) -> UnitComparison | None:
        """Compare plain expression of the same cells."""
        data = self.cells.data
        sums = [
            UnitSums.of(data.expression[cells.rows[kind]], cells.unit[kind], cells.replicate[kind])
            for kind in (cells.is_case, ~cells.is_case)
        ]
        return compare_units(*sums, has_units=cells.has_units, min_cells=self.settings["min_cells"])

    def _rng(self, *name: object) -> np.random.Generator:
        return np.random.default_rng([self.seed, *"|".join(map(str, name)).encode()])


class ContrastJobs(Sequence[tuple[Named, ContrastJob]]):
    """Comparisons to be made, each put together when it is taken."""

    def __init__(self, plan: ContrastPlan, names: Sequence[Named]) -> None:
        self.plan, self.names = plan, names

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, place: Any) -> Any:
        return self.names[place], self.plan.job(*self.names[place])


@dataclass(frozen=True, eq=False)
class ContrastTask:
    """Attributes comparisons with a model, which another process loads once."""

    model: Encoder | str | Path

    def __call__(self, item: tuple[Named, ContrastJob]) -> tuple[Named, ContrastResult | None]:
        """Attribute a comparison, and say which it was."""
        encoder = self.model if isinstance(self.model, Encoder) else _loaded(str(self.model))
        return item[0], run_contrast(encoder, item[1])


@lru_cache(maxsize=1)
def _loaded(folder: str) -> Encoder:
    return load(folder)
