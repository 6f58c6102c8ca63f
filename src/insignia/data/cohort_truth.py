"""What the simulated cohort was asked for, and what is true of it."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.core import keys
from insignia.core.errors import InputError

__all__ = ["Cohort", "CohortOptions", "CohortTruth", "activity"]

_SAMPLE: Final = [keys.STUDY, keys.SAMPLE, keys.DONOR, keys.TISSUE, keys.DISEASE, keys.CELL_TYPE]


def activity(program: str) -> str:
    """Column of `CohortTruth.cells` with the activity of a program in each cell."""
    return f"activity_{program}"


@dataclass(frozen=True)
class CohortOptions:
    """Size and difficulty of a simulated cohort.

    Parameters
    ----------
    n_studies
        Number of studies.
    samples_per_study
        Expected number of samples in a study.
    cells_per_sample
        Expected number of cells in a sample.
    n_genes
        Number of genes of the cohort; a study measures most of them.
    difficulty
        From 0 to 1: more batch effect, more spread of depth and between donors, smaller panels, weaker programs.
    """

    n_studies: int = 40
    samples_per_study: int = 4
    cells_per_sample: int = 60
    n_genes: int = 2000
    difficulty: float = 0.5

    def __post_init__(self) -> None:
        for name in ("n_studies", "samples_per_study", "cells_per_sample", "n_genes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if not 0 <= self.difficulty <= 1:
            raise InputError(f"difficulty must be from 0 to 1, not {self.difficulty}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return asdict(self)

    @property
    def batch_log_sd(self) -> float:
        """Spread of a gene's log factor over studies."""
        return 0.05 + 0.5 * self.difficulty

    @property
    def study_depth_log_sd(self) -> float:
        """Spread of log depth over studies."""
        return 0.1 + 0.5 * self.difficulty

    @property
    def cell_depth_log_sd(self) -> float:
        """Spread of log depth over the cells of a study."""
        return 0.2 + 0.3 * self.difficulty

    @property
    def donor_sd(self) -> float:
        """Spread over donors of the log odds that a cell is active."""
        return 0.2 + 1.2 * self.difficulty

    @property
    def unmeasured(self) -> float:
        """Expected fraction of the genes that a study does not measure."""
        return 0.05 + 0.2 * self.difficulty

    @property
    def effect_log(self) -> float:
        """Mean log fold change of a program's genes in a fully active cell."""
        return 1.6 * (1 - 0.7 * self.difficulty)


@dataclass(frozen=True, eq=False)
class CohortTruth:
    """What is true of a simulated cohort; none of it but the labels is in the studies themselves.

    Parameters
    ----------
    programs
        Genes of each planted program.
    loadings
        (programs, genes) log fold change of each gene in a fully active cell.
    strengths
        Table of disease, cell_type, program and strength from 0 to 1, one row for every combination.
    markers
        Marker genes of each cell type.
    housekeeping
        Genes that every cell expresses alike, a negative control.
    panels
        Genes that each study measures, in its own order.
    studies
        Table by study: design, median depth, number of samples and of measured genes.
    batch
        (studies, genes) log factor of each gene in each study.
    cells
        Table of all cells, in the order of the studies: study, sample, donor, tissue, disease, cell_type, barcode,
        depth (expected counts) and `activity(program)`, which is 0 in cells that are not active.
    """

    programs: dict[str, tuple[str, ...]]
    loadings: pd.DataFrame
    strengths: pd.DataFrame
    markers: dict[str, tuple[str, ...]]
    housekeeping: tuple[str, ...]
    panels: dict[str, tuple[str, ...]]
    studies: pd.DataFrame
    batch: pd.DataFrame
    cells: pd.DataFrame

    def strength(self, disease: str, cell_type: str, program: str) -> float:
        """Strength of a program in the cells of a type in a disease."""
        table = self.strengths
        row = table[(table["disease"] == disease) & (table["cell_type"] == cell_type) & (table["program"] == program)]
        if row.empty:
            raise InputError(f"The cohort has no combination of {disease!r}, {cell_type!r} and {program!r}.")
        return float(row["strength"].iloc[0])

    def samples(self, program: str) -> pd.DataFrame:
        """Cells, active cells and their fraction, by study, sample and cell type."""
        cells = self.cells.assign(active=self.cells[activity(program)] > 0)
        table = cells.groupby(_SAMPLE, observed=True)["active"].agg(cells="size", active="sum").reset_index()
        return table.assign(fraction=table["active"] / np.maximum(table["cells"], 1))


@dataclass(frozen=True, eq=False)
class Cohort:
    """Simulated studies and the truth about them.

    Parameters
    ----------
    studies
        One AnnData object a study: counts as CSR float32 and the metadata of an atlas.
    truth
        What was planted.
    options
        What was asked for.
    """

    studies: list[AnnData]
    truth: CohortTruth
    options: CohortOptions
