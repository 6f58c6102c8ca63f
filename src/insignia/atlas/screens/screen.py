"""The result of a screen: a mean score for every group of cells and every signature."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.atlas.screens.means import group_codes
from insignia.atlas.snapshot import Snapshot
from insignia.core import keys
from insignia.core.errors import MissingMetadata, UnknownName
from insignia.genes import GeneMatch, Signature

if TYPE_CHECKING:
    from insignia.atlas.screens.comparison import ScreenComparison

__all__ = ["Screen"]


@dataclass(frozen=True, eq=False)
class Screen:
    """Mean scores of many signatures in groups of cells.

    A mean says how high a group scores, and never how many of its cells are hits: for hits, search the signature.

    Attributes
    ----------
    signatures, n_found
        What was screened, and how many genes of each the atlas knows.
    groups
        One row a group: its columns, and ``cells``.
    scores
        (groups, signatures) float32: mean over the cells of the group that have a score; NaN where none has.
    pieces
        Cells of a group that measured the same genes: ``group``, ``panel`` and ``cells``.
    coverage, divisors
        (panels, signatures): share of the signature that was measured, and what its sums were divided by, NaN where it
        was left out.
    """

    signatures: tuple[Signature, ...]
    n_found: np.ndarray
    groups: pd.DataFrame
    scores: np.ndarray
    agg: str
    where: str | None
    min_coverage: float
    snapshot: Snapshot = field(repr=False)
    pieces: pd.DataFrame = field(repr=False)
    coverage: np.ndarray = field(repr=False)
    divisors: np.ndarray = field(repr=False)

    def __repr__(self) -> str:
        chosen = f" where {self.where}" if self.where else ""
        return (
            f"Screen({len(self.signatures):,} signatures x {len(self.groups):,} groups of {', '.join(self.columns)}"
            f"{chosen}; {int(self.groups['cells'].sum()):,} cells)"
        )

    @property
    def columns(self) -> list[str]:
        """Columns that form groups."""
        return [str(name) for name in self.groups.columns if name != "cells"]

    @property
    def names(self) -> list[str]:
        """Names of the signatures."""
        return [one.name for one in self.signatures]

    @cached_property
    def scored_cells(self) -> np.ndarray:
        """Cells of each group that have a score for each signature, int64 (groups, signatures)."""
        found = np.zeros(self.scores.shape, dtype=np.int64)
        has = ~np.isnan(self.divisors)
        np.add.at(found, self.pieces["group"], has[self.pieces["panel"]] * self.pieces["cells"].to_numpy()[:, None])
        return found

    def frame(self) -> pd.DataFrame:
        """One row a group and signature: the columns of the group, ``cells`` (scored), ``signature``, ``score``."""
        n_groups, n_signatures = self.scores.shape
        table = self.groups[self.columns].iloc[np.repeat(np.arange(n_groups), n_signatures)].reset_index(drop=True)
        return table.assign(
            cells=self.scored_cells.ravel(),
            signature=pd.Categorical(np.tile(np.array(self.names, dtype=object), n_groups), categories=self.names),
            score=self.scores.ravel(),
        )

    def matrix(self) -> pd.DataFrame:
        """Scores as a table, groups x signatures; the columns of the groups are its index."""
        return pd.DataFrame(self.scores, index=pd.MultiIndex.from_frame(self.groups[self.columns]), columns=self.names)

    def to_adata(self) -> AnnData:
        """Scores as AnnData, groups x signatures, which scanpy plots: ``sc.pl.matrixplot(adata, names, "disease")``.

        Columns of the groups are in `obs`, as categoricals, with ``n_cells``; about each signature `var` holds
        ``n_genes``, ``n_found`` and ``sha256``. Groups without a score are NaN.
        """
        groups = self.groups[self.columns]
        obs = groups.astype("category").assign(n_cells=self.groups["cells"].to_numpy())
        obs.index = pd.Index([" · ".join(row) for row in groups.itertuples(index=False)])
        var = pd.DataFrame(
            {
                "n_genes": [len(one) for one in self.signatures],
                "n_found": self.n_found,
                "sha256": [one.sha256 for one in self.signatures],
            },
            index=self.names,
        )
        made = AnnData(self.scores.copy(), obs=obs, var=var)
        made.uns["screen"] = {"agg": self.agg, "where": self.where or "", "min_coverage": self.min_coverage}
        return made

    def pool(self, columns: str | Sequence[str]) -> "Screen":
        """Join groups that agree in some columns; means are over cells, so that they are those of a search.

        Raises
        ------
        MissingMetadata
            The groups have no such column; screen again with ``columns=...``.
        """
        named = [columns] if isinstance(columns, str) else list(columns)
        if absent := [name for name in named if name not in self.columns]:
            raise MissingMetadata(
                f"The groups have no column {absent[0]!r}. They have {', '.join(self.columns)}; pass columns=[...] to "
                "Atlas.screen to form groups by others."
            )
        groups, codes = group_codes(self.groups[named])
        total, scored = (np.zeros((len(groups), len(self.signatures))) for _ in range(2))
        np.add.at(total, codes, np.nan_to_num(self.scores.astype(np.float64)) * self.scored_cells)
        np.add.at(scored, codes, self.scored_cells)
        with np.errstate(invalid="ignore"):
            scores = (total / scored).astype(np.float32)
        cells = np.bincount(codes, self.groups["cells"], minlength=len(groups)).astype(np.int64)
        pieces = self.pieces.assign(group=codes[self.pieces["group"]])
        return replace(self, groups=groups.assign(cells=cells), scores=scores, pieces=pieces)

    def take(self, rows: np.ndarray) -> "Screen":
        """Keep some groups, by their rows."""
        number = np.full(len(self.groups), -1)
        number[rows] = np.arange(rows.size)
        kept = number[self.pieces["group"]] >= 0
        pieces = self.pieces[kept].assign(group=number[self.pieces.loc[kept, "group"]])
        return replace(
            self, groups=self.groups.iloc[rows].reset_index(drop=True), scores=self.scores[rows], pieces=pieces
        )

    def compare(
        self,
        by: str = keys.DISEASE,
        *,
        reference: str = "normal",
        stratum: str | None = keys.CELL_TYPE,
        test: str = "van_elteren",
        alpha: float = 0.05,
        min_cells: int = 25,
        n_intervals: int = 50,
        rng: int = 0,
    ) -> "ScreenComparison":
        """Compare each group with a reference, signature by signature, donors being the units, never cells.

        The tests are those of `SampleTable.compare`, of mean scores in place of fractions of hits; q-values are those
        of Benjamini and Hochberg over all signatures, groups and strata that could have reached `alpha`.

        Parameters
        ----------
        by, reference, alpha
            As for `SampleTable.compare`.
        stratum
            Column each of whose values is compared by itself; `None` compares over all cells of a donor.
        test
            ``"van_elteren"``, ``"meta"`` or ``"mann_whitney"``.
        min_cells
            Samples with fewer cells (of the stratum) are put aside.
        n_intervals
            How many of the first rows get an interval.
        rng
            Of the bootstrap of the intervals.

        Raises
        ------
        MissingMetadata
            The groups have no such column.
        InputError
            No donor belongs to the reference, no sample has enough cells, or the test counts hits.
        UnknownName
            No test has this name.
        """
        from insignia.atlas.screens.comparison import compare_screen

        return compare_screen(
            self,
            by=by,
            reference=reference,
            stratum=stratum,
            test=test,
            alpha=alpha,
            min_cells=min_cells,
            n_intervals=n_intervals,
            rng=rng,
        )

    def match(self, name: str) -> GeneMatch:
        """Say which genes of a signature the atlas knows."""
        return self.signatures[self.place(name)].match(self.snapshot.genes)

    def place(self, name: str) -> int:
        """Place of a signature by its name.

        Raises
        ------
        UnknownName
            It was not screened.
        """
        if name not in self.names:
            raise UnknownName(f"No signature {name!r} was screened. There are: {', '.join(self.names[:8])}.")
        return self.names.index(name)

    def unscored(self) -> pd.DataFrame:
        """Signatures without a score in any group: ``signature``, ``genes``, ``found`` and the ``reason``."""
        nowhere = np.flatnonzero(np.isnan(self.scores).all(axis=0))
        rows = []
        for k in nowhere.tolist():
            genes, found = len(self.signatures[k]), int(self.n_found[k])
            best = self.coverage[:, k].max()
            few = f"no study measured more than {best:.0%} of its genes"
            reason = few if best < max(self.min_coverage, 1 / genes) else "the weights of the measured genes cancel"
            rows.append((self.names[k], genes, found, "none of its genes is known" if not found else reason))
        return pd.DataFrame(rows, columns=["signature", "genes", "found", "reason"])

    def coverage_table(self) -> pd.DataFrame:
        """One row a group and signature: the columns of the group, ``signature``, ``coverage``, ``scored``.

        Coverage is the share of the signature's genes that the study measured, averaged over the cells of the group.
        """
        total = np.zeros(self.scores.shape)
        np.add.at(total, self.pieces["group"], self.coverage[self.pieces["panel"]] * self.pieces[["cells"]].to_numpy())
        share = total / self.groups[["cells"]].to_numpy()
        frame = self.frame()
        return frame[[*self.columns, "signature"]].assign(coverage=share.ravel(), scored=~np.isnan(self.scores).ravel())
