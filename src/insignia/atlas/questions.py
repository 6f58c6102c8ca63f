"""What an atlas is asked: where a signature is active, and which programs stand out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from insignia.atlas.result import SearchResult
from insignia.atlas.view import AtlasView
from insignia.genes import Signature

if TYPE_CHECKING:
    from anndata import AnnData

    from insignia.atlas.cell_filters import CellFilters
    from insignia.atlas.screens.pseudobulk import Genes
    from insignia.atlas.screens.ranking import ProgramRanking
    from insignia.atlas.screens.screen import Screen
    from insignia.atlas.screens.signature_list import Signatures
    from insignia.atlas.search import Agg

__all__ = ["AtlasQuestions"]


class AtlasQuestions(AtlasView):
    """Searches, screens and the reverse query."""

    def search(
        self,
        signature: str | Signature | Sequence[str] | Mapping[str, float],
        *,
        where: str | None = None,
        agg: "Agg" = "mean",
        min_coverage: float = 0.5,
        filters: "CellFilters | None" = None,
        executor: object = 1,
    ) -> SearchResult:
        """Score a signature in every cell, or in those that `where` chooses.

        Parameters
        ----------
        signature
            Name of a bundled signature, a gene list, a mapping of genes to weights, or a `Signature`.
        where
            A DuckDB expression over the metadata, e.g. ``"tissue = 'blood' AND disease <> 'normal'"``.
        agg
            How the genes' attributions a are combined with their weights w, over the genes that the cell's study
            measured: ``"mean"`` is sum(w a) / sum(abs(w)), ``"weighted_mean"`` is sum(w a) / sum(w), and ``"sum"`` is
            sum(w a), which is smaller where a study measured fewer of the genes.
        min_coverage
            Studies that measured a smaller fraction of the signature's genes get no score (NaN), with a warning
            that names them.
        filters
            Quality and in-vivo rules with names, e.g. ``CellFilters(min_genes=500, in_vivo=True)``; the result says
            how many cells each dropped.

        executor
            Where segments are read: 1 for the threads of this process, a number of processes, the address of a dask
            scheduler, or a `distributed.Client`, whose workers must see the atlas under the same path. The scores
            are the same to the bit.

        Raises
        ------
        SignatureError
            The signature is empty or unknown, or its weights add up to 0 under ``"weighted_mean"``.
        GeneMatchError
            No gene is known to the atlas, or no study measured enough of them.
        OrganismMismatch
            The signature is of another organism.
        FilterError
            `where` is not one expression over the metadata, or chooses no cell.

        References
        ----------
        doi:10.1101/2025.06.14.659567
        """
        from insignia.atlas.search import search

        return search(
            self._snapshot,
            signature,
            where=where,
            agg=agg,
            min_coverage=min_coverage,
            filters=filters,
            executor=executor,
        )

    def screen(
        self,
        signatures: "Signatures" = None,
        *,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        agg: "Agg" = "mean",
        min_coverage: float = 0.5,
    ) -> "Screen":
        """Score many signatures in all groups of cells, from the means of the groups: thousands in seconds.

        A score is the mean of what `search` gives the cells of the group. Means answer screens, never hits.

        Parameters
        ----------
        signatures
            Path of a GMT file, a mapping from names to gene lists or weights, a list of `Signature` or of bundled
            names; `None` takes all bundled signatures.
        where
            As for `search`. Groups of which it takes a part are computed again from these cells.
        columns
            Metadata columns that form groups; the study always belongs to them. `None` takes study, sample, donor,
            tissue, disease and cell type.
        agg, min_coverage
            As for `search`.

        Raises
        ------
        SignatureError, GeneMatchError, OrganismMismatch, FilterError
            As `search`, where none of the signatures can be scored.
        MissingMetadata
            The atlas has no such column.

        Warns
        -----
        CoverageWarning
            Some signatures have no score, or none in some groups.
        """
        from insignia.atlas.screens.run import run_screen

        return run_screen(self._snapshot, signatures, where=where, columns=columns, agg=agg, min_coverage=min_coverage)

    def rank_programs(
        self,
        where: str,
        *,
        reference: str,
        signatures: "Signatures" = None,
        agg: "Agg" = "mean",
        min_coverage: float = 0.5,
        min_cells: int = 25,
        min_detection: float = 0.05,
        paired: bool | None = None,
        alpha: float = 0.05,
    ) -> "ProgramRanking":
        """Ask the reverse: which programs and which genes stand out in some cells against a reference.

        Units are donors. Where most donors have cells of both kinds, each is compared with itself by Wilcoxon's signed
        rank test; else donors are ranked within the studies that have both kinds, by van Elteren's. q-values are those
        of Benjamini and Hochberg, over programs and over genes apart. Attributions of a cell add up to 1,000, so that
        what some genes gain, others lose.

        Parameters
        ----------
        where, reference
            Expressions that choose the cells and what they are compared with, e.g. ``"disease = 'sepsis' AND cell_type
            = 'monocyte'"`` and ``"disease = 'normal' AND cell_type = 'monocyte'"``.
        signatures, agg, min_coverage
            As for `screen`; `None` takes all bundled signatures.
        min_cells
            Samples with fewer such cells are put aside.
        min_detection
            Genes detected in a smaller share of the cells of both kinds are not tested.
        paired
            Whether to compare each donor with itself; `None` decides by the donors that there are.
        alpha
            Level that a row must be able to reach to be tested.

        Raises
        ------
        InputError
            Some cells belong to both kinds, no donor has enough cells, or no gene is detected.
        FilterError, GeneMatchError, SignatureError
            As `screen`.
        """
        from insignia.atlas.screens.ranking import rank_programs

        return rank_programs(
            self._snapshot,
            where,
            reference=reference,
            signatures=signatures,
            agg=agg,
            min_coverage=min_coverage,
            min_cells=min_cells,
            min_detection=min_detection,
            paired=paired,
            alpha=alpha,
        )

    def pseudobulk(
        self,
        by: Sequence[str] | None = None,
        *,
        where: str | None = None,
        min_cells: int = 1,
        genes: "Genes" = "shared",
    ) -> "AnnData":
        """Give the mean attributions of groups of cells as AnnData, groups x genes.

        Parameters
        ----------
        by
            Metadata columns that form groups; `None` takes study, donor and cell type.
        where
            As for `search`.
        min_cells
            Groups with fewer cells are left out.
        genes
            ``"shared"`` keeps the genes that all of the groups measured; ``"all"`` also those that some did, with NaN,
            never 0, where a group did not.

        Returns
        -------
        Means in `X`, sparse float32; in `obs` the columns, further ones that are constant within all groups, and
        ``psbulk_cells``; the share of cells with any in ``layers["psbulk_props"]``. These are attributions, not
        counts: they suit decoupler's scores, and not DESeq2, for which `insignia.pp.pseudobulk` adds up counts.

        Raises
        ------
        MissingMetadata
            The atlas has no such column.
        InputError
            No group has enough cells, or the groups share no measured gene.
        """
        from insignia.atlas.screens.pseudobulk import atlas_pseudobulk

        return atlas_pseudobulk(self._snapshot, by=by, where=where, min_cells=min_cells, genes=genes)
