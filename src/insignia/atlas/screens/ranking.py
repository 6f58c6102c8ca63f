"""The reverse query: which programs and which genes stand out in some cells against others, donors being the units."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from insignia.atlas.filters import select
from insignia.atlas.screens.comparison import ScreenComparison
from insignia.atlas.screens.contrast import contrast
from insignia.atlas.screens.donors import donors_of
from insignia.atlas.screens.gene_means import GeneMeans, gene_means
from insignia.atlas.screens.run import run_screen
from insignia.atlas.screens.signature_list import Signatures
from insignia.atlas.snapshot import Snapshot
from insignia.core import keys
from insignia.core.errors import InputError

__all__ = ["ProgramRanking", "rank_programs"]

_UNIT = [keys.STUDY, keys.DONOR]


@dataclass(frozen=True, eq=False)
class ProgramRanking:
    """Programs and genes that stand out in some cells.

    Attributes
    ----------
    programs
        One row a signature, the most significant first, then those that cannot be tested: ``signature``, ``donors``,
        ``reference_donors``, ``studies``, ``mean_score``, ``reference_score``, ``shift`` (median difference),
        ``effect`` (the shift in standard deviations of donors, or of their differences where they are paired),
        ``cliffs_delta``, ``p``, ``smallest_p``, ``q``, ``testable``.
    genes
        The same for single genes: ``gene`` in place of ``signature``, ``mean_attribution`` and
        ``reference_attribution``, ``detection`` and ``reference_detection``.
    where, reference
        Expressions of the two groups of cells.
    is_paired
        Whether each donor was compared with itself.
    n_genes_left_out
        Genes that were not tested, as neither group detects them often enough.
    """

    programs: pd.DataFrame = field(repr=False)
    genes: pd.DataFrame = field(repr=False)
    where: str
    reference: str
    is_paired: bool
    alpha: float
    n_genes_left_out: int

    def comparison(self, of: str = "programs") -> ScreenComparison:
        """Give programs or ``"genes"`` in the form that `insignia.pl.volcano` draws.

        Raises
        ------
        InputError
            `of` is neither.
        """
        if of not in ("programs", "genes"):
            raise InputError(f"A volcano shows 'programs' or 'genes'; found {of!r}.")
        table = self.programs if of == "programs" else self.genes.rename(columns={"gene": "signature"})
        table = table.assign(group=self.where, stratum="all")
        return ScreenComparison(table, self.reference, "cells", self.test, self.alpha, None)

    @property
    def test(self) -> str:
        """Name of the test."""
        return "signed_rank" if self.is_paired else "van_elteren"

    def sentence(self) -> str:
        """Say what stands out."""
        first = self.programs.iloc[0]
        units = (
            f"{first['donors']} donors, each compared with itself"
            if self.is_paired
            else f"{first['donors']} donors against {first['reference_donors']}"
        )
        return (
            f"Where {self.where}, against {self.reference} ({units}): {_said(self.programs, 'signature', self.alpha)} "
            f"Of single genes, {_said(self.genes, 'gene', self.alpha)}"
        )


def _said(table: pd.DataFrame, kind: str, alpha: float) -> str:
    noun = {"signature": "programs", "gene": "genes"}[kind]
    tested = int(table["testable"].sum())
    called = table[table["q"] <= alpha]
    if not tested:
        return f"none of {len(table):,} {noun} can be tested with so few donors."
    if not len(called):
        return f"none of {tested:,} {noun} differs at a false discovery rate of {alpha:g}."
    parts = []
    for word, rows in (("higher", called[called["shift"] > 0]), ("lower", called[called["shift"] < 0])):
        if len(rows):
            named = ", ".join(f"{name} (q = {q:.2g})" for name, q in zip(rows[kind][:3], rows["q"][:3], strict=True))
            parts.append(
                f"{len(rows):,} of {tested:,} {noun} {'is' if len(rows) == 1 else 'are'} {word}, first {named}"
            )
    return "; ".join(parts) + "."


def rank_programs(
    snapshot: Snapshot,
    where: str,
    *,
    reference: str,
    signatures: Signatures,
    agg: str,
    min_coverage: float,
    min_cells: int,
    min_detection: float,
    paired: bool | None,
    alpha: float,
) -> ProgramRanking:
    """Rank programs and genes; see `Atlas.rank_programs`."""
    _refuse_overlap(snapshot, where, reference)
    if not 0 <= min_detection <= 1:
        raise InputError(f"min_detection is a fraction within 0 and 1; found {min_detection}.")
    screens = [
        run_screen(snapshot, signatures, where=one, columns=None, agg=agg, min_coverage=min_coverage)
        for one in (where, reference)
    ]
    arms = [donors_of(one, by=keys.STUDY, stratum=None, min_cells=min_cells) for one in screens]
    units = [arm.table[_UNIT] for arm in arms]
    paired = _is_paired(*units) if paired is None else paired
    programs = _program_table(contrast(units, [arm.values for arm in arms], paired=paired, alpha=alpha), arms[0].names)
    genes, n_left_out = _gene_table(
        snapshot, where, reference, units, min_detection=min_detection, paired=paired, alpha=alpha
    )
    return ProgramRanking(programs, genes, where, reference, paired, alpha, n_left_out)


def _refuse_overlap(snapshot: Snapshot, where: str, reference: str) -> None:
    shared = np.intersect1d(select(snapshot, where), select(snapshot, reference), assume_unique=True).size
    if shared:
        raise InputError(
            f"{shared:,} cells belong to both {where!r} and the reference {reference!r}. Exclude the one from the "
            f'other, e.g. reference="({reference}) AND NOT ({where})".'
        )


def _is_paired(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Whether most donors of the smaller group stand in both."""
    shared = len(first.merge(second, on=_UNIT))
    return 2 * shared > min(len(first), len(second))


def _program_table(found: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    table = found.rename(columns={"mean": "mean_score", "reference_mean": "reference_score"})
    table.insert(0, "signature", list(names))
    return _sorted(table, "signature")


def _gene_table(
    snapshot: Snapshot,
    where: str,
    reference: str,
    units: list[pd.DataFrame],
    *,
    min_detection: float,
    paired: bool,
    alpha: float,
) -> tuple[pd.DataFrame, int]:
    arms = [gene_means(snapshot, by=_UNIT, where=one) for one in (where, reference)]
    rows = [_rows_of(arm, unit) for arm, unit in zip(arms, units, strict=True)]
    shares = [_overall_detection(arm, row) for arm, row in zip(arms, rows, strict=True)]
    ever = np.maximum(*shares)
    genes = np.flatnonzero(ever >= max(min_detection, 1e-12))
    n_left_out = int((~np.isnan(ever)).sum()) - genes.size
    if not genes.size:
        raise InputError(
            f"No gene is detected in {min_detection:.0%} of the cells of either group; lower min_detection."
        )
    values = [arm.means(genes)[row] for arm, row in zip(arms, rows, strict=True)]
    table = contrast(units, values, paired=paired, alpha=alpha)
    table = table.rename(columns={"mean": "mean_attribution", "reference_mean": "reference_attribution"})
    table.insert(0, "gene", snapshot.genes.labels[genes].astype(str))
    table = table.assign(detection=shares[0][genes], reference_detection=shares[1][genes])
    return _sorted(table, "gene"), n_left_out


def _rows_of(arm: GeneMeans, units: pd.DataFrame) -> np.ndarray:
    return pd.MultiIndex.from_frame(arm.groups[_UNIT]).get_indexer(pd.MultiIndex.from_frame(units))


def _overall_detection(arm: GeneMeans, rows: np.ndarray) -> np.ndarray:
    """Share of all cells that measured a gene in which it counts, (genes,); 0 where none measured it."""
    detected = np.asarray(arm.detected[rows].sum(axis=0)).ravel()
    cells = np.asarray(arm.panels[rows].sum(axis=0)).ravel() @ arm.measured
    share: np.ndarray = np.divide(detected, cells, out=np.zeros_like(detected), where=cells > 0)
    return share


def _sorted(table: pd.DataFrame, name: str) -> pd.DataFrame:
    order = table.assign(size=table["effect"].abs().fillna(0)).sort_values(
        ["testable", "p", "size", name], ascending=[False, True, False, True]
    )
    return table.loc[order.index].reset_index(drop=True)
