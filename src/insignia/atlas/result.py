"""The result of a search: a score for every cell, and what is needed to read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.atlas.calls import Hits
from insignia.atlas.cell_filters import CellFilters, FilterStep
from insignia.atlas.cutoffs import Cutoffs
from insignia.atlas.snapshot import Snapshot
from insignia.core import keys
from insignia.core.errors import InputError
from insignia.genes import GeneMatch, Signature

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from insignia.atlas.null import NullScores
    from insignia.atlas.screens.contributions import Contributions, Unit

__all__ = ["SearchResult", "StudyCoverage"]


class StudyCoverage(NamedTuple):
    """How much of a signature one study measured; `reason` says why it is left out, and is empty if it is not."""

    study: str
    cells: int
    genes: int
    coverage: float
    reason: str


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Scores of a signature in the cells of an atlas.

    Attributes
    ----------
    scores
        (cells,) float32, in the order of the atlas; NaN in studies that measured too little of the signature.
    match
        Which genes of the signature the atlas knows.
    where
        The filter that chose the cells, or `None` for all.
    agg
        How gene values were combined.
    rows
        Row of the atlas of each cell; `None` stands for all rows.
    studies
        Coverage of the signature, study by study; see `coverage`.
    spans
        Cells that follow each other and share a coverage: how many, and what it is.
    filters
        What each named filter dropped; see `filter_table`.
    cell_filters
        The named filters as they were asked for, or `None`.
    """

    signature: Signature
    match: GeneMatch
    agg: str
    where: str | None
    min_coverage: float
    scores: np.ndarray
    snapshot: Snapshot = field(repr=False)
    rows: np.ndarray | None = field(repr=False)
    studies: tuple[StudyCoverage, ...] = field(repr=False)
    spans: tuple[tuple[int, float], ...] = field(repr=False)
    filters: tuple[FilterStep, ...] = field(default=(), repr=False)
    cell_filters: CellFilters | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        cells = f"{len(self):,} cells of {len({entry.study for entry in self.studies}):,} studies"
        chosen = f" where {self.where}" if self.where else ""
        return f"SearchResult({self.signature.name!r}, {cells}{chosen}; {self.match.summary()})"

    @cached_property
    def obs(self) -> pd.DataFrame:
        """Metadata of the cells, read when first asked for; text columns are categoricals."""
        return self.metadata()

    def metadata(self, columns: list[str] | None = None) -> pd.DataFrame:
        """Read some metadata columns of the cells; `None` reads all."""
        return self.snapshot.frame(columns, self.rows)

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """One row for each study, and for each set of genes in studies that measured several.

        Columns ``study``, ``cells``, ``genes`` (of the signature, measured), ``coverage`` (genes over all genes of
        the signature), ``scored``, ``reason`` (why it is left out).
        """
        frame = pd.DataFrame(list(self.studies), columns=list(StudyCoverage._fields))
        frame.insert(4, "scored", frame["reason"] == "")
        return frame

    @cached_property
    def filter_table(self) -> pd.DataFrame:
        """One row for each named filter, in the order applied.

        Columns ``name``, ``expression``, and in cells ``before``, ``dropped``, ``unknown`` (those of the dropped whose
        value is missing), ``after``.
        """
        return pd.DataFrame(list(self.filters), columns=list(FilterStep._fields))

    @cached_property
    def cell_coverage(self) -> np.ndarray:
        """Coverage of the signature in the study of each cell, float32 (cells,)."""
        coverage = np.array([share for _, share in self.spans], dtype=np.float32)
        return np.repeat(coverage, np.array([length for length, _ in self.spans], dtype=np.int64))

    def call(
        self,
        rule: str | Cutoffs = "percentile",
        *,
        within: str | None = None,
        reference: str | None = None,
        **params: float,
    ) -> Hits:
        """Call cells hits whose score is above a cut-off: one taken from these cells, or a frozen one.

        ``call("healthy_quantile")`` calls what is rare in healthy cells of the same type: one in a hundred of these is
        a hit by construction. It stands for
        ``call("quantile", q=0.99, within="cell_type", reference="disease = 'normal'")``.
        ``call(atlas.cutoffs["name"])`` uses a cut-off that is kept with the atlas, whatever else has been added.

        Parameters
        ----------
        rule
            Name of a hit rule, see `insignia.stats.rules`: ``"percentile"``, ``"quantile"``, ``"healthy_quantile"``,
            ``"mad"``, ``"value"`` or ``"null"``, which cuts at a quantile of the scores of random gene sets like the
            signature and takes `q` and the options of `null`; or cut-offs that were taken before.
        within
            Metadata column each of whose values gets a cut-off of its own. Cells of a value with fewer than 20
            reference cells are not called.
        reference
            Expression, as for ``where``, that selects the cells to take the cut-off from; `None` takes all.
        params
            What the rule takes, e.g. ``q=90``.

        Raises
        ------
        InputError
            No cell has a score, a parameter is missing, unknown or out of range, or no group is large enough; or a
            frozen cut-off was given options, which it has no use for.
        SignatureError, AtlasMismatch
            A frozen cut-off was taken from scores that do not compare with these.
        FilterError
            `reference` does not select cells.
        MissingMetadata
            The atlas has no column `within`.
        """
        if isinstance(rule, Cutoffs):
            if within is not None or reference is not None or params:
                raise InputError("A frozen cut-off is used as it is; leave out within, reference and parameters.")
            return Hits.of(self, rule)
        if rule == "healthy_quantile":
            within = within or keys.CELL_TYPE
            reference = reference or f"{keys.DISEASE} = 'normal'"
        return Hits.of(self, Cutoffs.of(self, rule, params, within=within, reference=reference))

    def contributions(self, by: str | Sequence[str] = keys.DISEASE, *, unit: "Unit" = "donor") -> "Contributions":
        """Say how much each gene adds to the mean score of groups of cells.

        A gene of weight w and attribution a adds w a / d to the score of a cell, where d is what the scores of its
        study are divided by. Contributions of a group add up to its mean score, and a gene that a study did not
        measure adds nothing there.

        Parameters
        ----------
        by
            Metadata column or columns that form groups.
        unit
            ``"donor"`` averages over the donors of a group, each with one voice (donors called "pooled" or "unknown"
            are left out); ``"cell"`` over its cells.

        Raises
        ------
        MissingMetadata
            The atlas has no such column.
        InputError
            No group has a scored cell of a known donor.
        """
        from insignia.atlas.screens.contributions import group_contributions

        return group_contributions(self, by, unit=unit)

    def cell_contributions(self) -> "tuple[csr_matrix, tuple[str, ...]]":
        """Say how much each gene adds to the score of each cell.

        Returns
        -------
        Contributions, float32 (cells, found genes), whose rows add up to the scores, and the genes as the atlas calls
        them. Rows of cells without a score are empty.
        """
        from insignia.atlas.screens.contributions import cell_contributions

        return cell_contributions(self)

    def null(
        self, *, within: str | None = None, n_sets: int = 200, n_cells: int = 2000, pool: int = 20, rng: int = 0
    ) -> "NullScores":
        """Compare the scores of some cells with those of random gene sets like the signature.

        Each random set replaces every gene by one that is detected as often and has about the same mean attribution,
        keeps its weight, and is scored as the search was. Each value of the genes that this needs is read once.

        Parameters
        ----------
        within
            Metadata column whose values form groups, e.g. ``"cell_type"``.
        n_sets, n_cells, pool, rng
            See `NullOptions`: random sets, cells drawn (of each group), genes that may stand in for one, seed.

        Raises
        ------
        InputError
            No cell has a score, or no other genes are like those of the signature.
        MissingMetadata
            The atlas has no column `within`.
        """
        from insignia.atlas.null import NullOptions, null_scores

        return null_scores(self, NullOptions(n_sets, n_cells, pool, rng), within=within)

    def top_cells(self, n: int = 50, *, per_sample: int | None = None, n_genes: int = 0) -> pd.DataFrame:
        """List the cells with the highest scores.

        Parameters
        ----------
        per_sample
            Most cells of one sample, so that no sample fills the list; `None` sets no bound.
        n_genes
            Name this many of each cell's genes with the largest attributions, in a column ``top_genes``.

        Returns
        -------
        One row a cell, the highest first: ``row`` of the atlas, ``score``, the metadata.
        """
        from insignia.atlas.drill_down import top_cells

        return top_cells(self, n, per_sample=per_sample, n_genes=n_genes)

    def cells_of(self, study: str, sample: str, *, n_genes: int = 10) -> pd.DataFrame:
        """List the searched cells of one sample, the highest score first, as `top_cells` does.

        Raises
        ------
        InputError
            No searched cell belongs to this sample of this study.
        """
        from insignia.atlas.drill_down import cells_of

        return cells_of(self, study, sample, n_genes=n_genes)

    def depth_dependence(
        self, columns: Sequence[str] | None = None, *, within: Sequence[str] = (keys.CELL_TYPE,)
    ) -> pd.DataFrame:
        """Say how much scores go with the depth of cells: a rank correlation within each group of cells.

        Parameters
        ----------
        columns
            Numbers that describe depth; `None` takes detected genes and counts, where the atlas keeps them.
        within
            Metadata columns whose values form the groups, e.g. ``["cell_type", "study"]``.

        Returns
        -------
        One row a column and group of at least 20 cells: ``column``, ``group``, ``cells``, ``spearman``.

        Raises
        ------
        MissingMetadata
            The atlas has no such column.
        """
        from insignia.atlas.dependence import depth_dependence

        return depth_dependence(self, columns, within=within)

    def to_obs(
        self,
        adata: AnnData,
        key: str | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        constants: Mapping[str, str] | None = None,
    ) -> None:
        """Write the scores into `adata.obs`, cells told by study and barcode; NaN where a cell was not searched.

        Parameters
        ----------
        adata
            Cells that are in the atlas, all or some, in any order.
        key
            Name of the column; `None` takes the name of the signature.
        columns, constants
            Where study and barcode stand in `adata.obs`, as for `Atlas.add`.

        Raises
        ------
        InputError
            None of the cells was searched.
        """
        from insignia.atlas.scores_into_obs import scores_into_obs

        scores_into_obs(self, adata, key or self.signature.name, columns=columns, constants=constants)
