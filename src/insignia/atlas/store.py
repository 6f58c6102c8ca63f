"""`Atlas`: attributed cells of many studies on disk, added study by study and searched as one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from insignia.atlas.add_report import AddReport
from insignia.atlas.change_report import ChangeReport
from insignia.atlas.export_report import ExportReport
from insignia.atlas.layout import FAST, GENES, MANIFEST, MAX_CELLS_PER_SEGMENT, SEGMENTS, WRITER_LOCK, check_encoding
from insignia.atlas.manifest import GeneTable, Manifest
from insignia.atlas.result import SearchResult
from insignia.atlas.snapshot import Snapshot, write_genes
from insignia.atlas.sources import Sources, find_sources
from insignia.atlas.verify_report import VerifyReport
from insignia.atlas.versions import write_version
from insignia.core import keys
from insignia.core.errors import AtlasError, AtlasMismatch, InputError
from insignia.core.files import atomic_folder
from insignia.data import AttributionRecord, MetadataMap, metadata_map
from insignia.genes import GeneMatch, GeneVocabulary, Signature

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData
    from scipy.sparse import csr_matrix

    from insignia.atlas.calls import Hits
    from insignia.atlas.cell_filters import CellFilters
    from insignia.atlas.cutoffs import Cutoffs
    from insignia.atlas.frozen import FrozenCutoffs
    from insignia.atlas.neighbours import Neighbours
    from insignia.atlas.screens.keep import RegroupReport
    from insignia.atlas.screens.pseudobulk import Genes
    from insignia.atlas.screens.ranking import ProgramRanking
    from insignia.atlas.screens.screen import Screen
    from insignia.atlas.screens.signature_list import Signatures
    from insignia.atlas.search import Agg

__all__ = ["Atlas"]


class Atlas:
    """An atlas on disk; make one with `Atlas.create`, open one with `Atlas.open`.

    An open atlas, and every result of it, keeps showing the version it was opened at or brought to by its own changes,
    whatever others change meanwhile. A change starts from the newest version.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @classmethod
    def create(
        cls, path: str | Path, *, genes: GeneVocabulary, record: AttributionRecord, encoding: str = FAST
    ) -> "Atlas":
        """Make an empty atlas for attributions of one kind.

        Parameters
        ----------
        path
            A folder that does not exist yet, or is empty.
        genes
            Gene table of the model.
        record
            How the attributions that it will hold are made.
        encoding
            How values are stored: ``"fast"``, 4 bytes a value with the precision of float16, or ``"compact"``, a
            little over 2 bytes, each value within 1.6 %.

        Raises
        ------
        AtlasError
            There is something at `path` already.
        AtlasMismatch
            `record` belongs to another gene table.
        """
        path = Path(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            what = (
                "an atlas; open it with Atlas.open()" if (path / MANIFEST).exists() else "something; choose a new path"
            )
            raise AtlasError(f"{path} already holds {what}.")
        if record.genes_sha256 != genes.sha256:
            raise AtlasMismatch(
                f"The record names a gene table with sha256 {record.genes_sha256[:12]}.. and the given one of "
                f"{len(genes):,} genes has {genes.sha256[:12]}... Pass the gene table of the model."
            )
        with atomic_folder(path) as folder:
            (folder / SEGMENTS).mkdir()
            table = GeneTable(len(genes), genes.sha256, write_genes(folder / GENES, genes))
            manifest = Manifest(record=record, genes=table, encoding=check_encoding(encoding))
            (folder / WRITER_LOCK).touch()
            write_version(folder, manifest)
            manifest.write(folder)
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path) -> "Atlas":
        """Open an atlas as it is now.

        Raises
        ------
        AtlasError
            There is no atlas at `path`, or a later version of insignia wrote it.
        AtlasDamaged
            Its manifest is not what was written.
        """
        return cls(Snapshot.open(Path(path)))

    @property
    def path(self) -> Path:
        """Folder of the atlas."""
        return self._snapshot.path

    @property
    def genes(self) -> GeneVocabulary:
        """Gene table."""
        return self._snapshot.genes

    @property
    def record(self) -> AttributionRecord:
        """How the attributions were made."""
        return self._snapshot.manifest.record

    @property
    def studies(self) -> dict[str, int]:
        """Cells of each study."""
        return self._snapshot.manifest.study_cells()

    @property
    def columns(self) -> list[str]:
        """Metadata columns, which `where` may name."""
        return self._snapshot.columns

    def __len__(self) -> int:
        return self._snapshot.manifest.cells

    def __repr__(self) -> str:
        return (
            f"Atlas({self.path.name!r}: {len(self):,} cells of {len(self.studies):,} studies, "
            f"{self._snapshot.manifest.genes.count:,} genes, {self.record.model}, {self.record.method})"
        )

    def info(self) -> dict[str, Any]:
        """Sizes and provenance as plain values: cells, values, studies, segments, bytes, genes, columns, record."""
        manifest = self._snapshot.manifest
        return {
            "path": str(self.path),
            "cells": manifest.cells,
            "values": sum(entry.values for entry in manifest.segments),
            "studies": len(manifest.studies),
            "segments": len(manifest.segments),
            "bytes": sum(entry.bytes for entry in manifest.segments),
            "genes": manifest.genes.count,
            "organism": self.genes.organism,
            "encoding": manifest.encoding,
            "version": manifest.version,
            "columns": self.columns,
            "record": manifest.record.to_dict(),
            "sha256": manifest.sha256(),
        }

    def add(
        self,
        sources: Sources,
        *,
        columns: Mapping[str, str] | None = None,
        constants: Mapping[str, str] | None = None,
        extra: Sequence[str] = (),
        mapping: MetadataMap | str | Path | None = None,
        key: str = keys.ATTRIBUTION,
        max_cells_per_segment: int = MAX_CELLS_PER_SEGMENT,
        encoding: str | None = None,
        embedding: str | None = None,
        replaces: bool = False,
        executor: object = 1,
        progress: bool | None = None,
    ) -> AddReport:
        """Add studies; everything is checked first, and a failure leaves the atlas as it was.

        Parameters
        ----------
        sources
            Attributed AnnData, in memory or backed, or a path of an attributed `.h5ad` file or of a folder of them;
            or a list of these. All parts of a study go into one call.
        columns, constants
            Where the metadata stand, as for `insignia.data.standardise_obs`.
        extra
            Further `obs` columns to keep, so that `where` and strata can use them.
        mapping
            How the source names columns and values: a `MetadataMap`, its file, or ``"cellxgene"`` or
            ``"scimilarity"``. What `columns` and `constants` say wins; the extra columns that it names are kept.
        key
            Name of the attribution layer.
        max_cells_per_segment
            More cells than this are split over several segments.
        encoding
            How these values are stored; `None` stores them as the atlas was created to.
        replaces
            Studies that the atlas has already give way to these; see `replace`.
        embedding
            Key of `obsm` with embeddings of the cells by the atlas's model, which `insignia.tl.embed` writes under
            ``"X_" + model.name``, to be kept as float16 beside the values; `None` keeps none.
        executor
            Where segments are written: 1 for this process, a number of processes, the address of a dask scheduler, or
            a `distributed.Client`, whose workers must see the atlas and the files under the same paths. The files are
            the same to the byte.
        progress
            `None` shows a bar on a terminal.

        Raises
        ------
        AtlasBusy
            Another process is changing the atlas.
        AtlasMismatch
            The cells were attributed by another model, method, target or scaling.
        DuplicateStudy
            A study, or the same file, is in the atlas already.
        DuplicateNames
            Two cells of a study share a barcode.
        MissingMetadata
            A metadata column, the attribution layer or its record is absent.
        InputError
            Attributions are not finite, or genes were dropped after attribution.
        """
        from insignia.atlas.add import add_sources

        if max_cells_per_segment < 1:
            raise InputError(f"max_cells_per_segment is at least 1; found {max_cells_per_segment}.")
        snapshot, report = add_sources(
            self.path,
            find_sources(sources, key=key, n_genes=self._snapshot.manifest.genes.count),
            columns=columns,
            constants=constants,
            extra=extra,
            mapping=metadata_map(mapping),
            max_cells_per_segment=max_cells_per_segment,
            encoding=encoding,
            embedding=embedding,
            executor=executor,
            replaces=replaces,
            show=progress,
        )
        self._turn_to(snapshot)
        return report

    def replace(self, sources: Sources, **options: Any) -> AddReport:
        """Add studies in place of those of the same names, in one step; studies that are new are added.

        Parameters
        ----------
        sources, options
            As for `add`.
        """
        return self.add(sources, replaces=True, **options)

    def remove(self, studies: str | Sequence[str], *, progress: bool | None = None) -> ChangeReport:
        """Remove studies, so that no file holds anything of them any more.

        Segments that they share with other studies are written anew. Readers that have the atlas open keep them until
        they let go of it.

        Raises
        ------
        InputError
            The atlas has no such study.
        AtlasBusy
            Another process is changing the atlas.
        """
        from insignia.atlas.changes import remove_studies

        named = [studies] if isinstance(studies, str) else list(dict.fromkeys(studies))
        snapshot, report = remove_studies(self.path, named, show=progress)
        self._turn_to(snapshot)
        return report

    def compact(
        self, *, max_cells_per_segment: int = MAX_CELLS_PER_SEGMENT, progress: bool | None = None
    ) -> ChangeReport:
        """Pack small segments into larger ones, so that searches read fewer pieces; rows keep their order.

        Values are copied gene by gene, in bounded memory. Segments of more than half the wanted size are left alone.

        Raises
        ------
        AtlasBusy
            Another process is changing the atlas.
        """
        from insignia.atlas.changes import compact_segments

        snapshot, report = compact_segments(self.path, max_cells_per_segment, show=progress)
        self._turn_to(snapshot)
        return report

    def _turn_to(self, snapshot: Snapshot) -> None:
        """Show a new version from now on, and delete what only the one before needed, unless somebody reads it."""
        from insignia.atlas.commit import tidy

        self._snapshot = snapshot
        tidy(self.path)

    @property
    def cutoffs(self) -> "FrozenCutoffs":
        """Cut-offs that are kept with the atlas, by name: ``result.call(atlas.cutoffs["healthy monocytes"])``."""
        from insignia.atlas.frozen import FrozenCutoffs

        return FrozenCutoffs(self._snapshot)

    def save_cutoff(self, name: str, cutoffs: "Hits | Cutoffs", *, overwrite: bool = False) -> None:
        """Keep cut-offs with the atlas, together with the cells that they were taken from, under a name.

        Adding, replacing or removing studies does not change them, and so not who is called a hit.

        Parameters
        ----------
        name
            One line of text.
        cutoffs
            Hits, whose cut-offs are meant, or cut-offs.
        overwrite
            Replace those of the same name.

        Raises
        ------
        AtlasBusy
            Another process is changing the atlas.
        AtlasMismatch
            They were taken from attributions of another kind.
        InputError
            The name is taken, or is none.
        """
        from insignia.atlas.calls import Hits
        from insignia.atlas.frozen import save_cutoff

        made = cutoffs.cutoffs if isinstance(cutoffs, Hits) else cutoffs
        self._turn_to(save_cutoff(self.path, name, made, overwrite=overwrite))

    def delete_cutoff(self, name: str) -> None:
        """Forget cut-offs; hits that were called with them stay as they are.

        Raises
        ------
        AtlasBusy
            Another process is changing the atlas.
        UnknownName
            There are none of this name.
        """
        from insignia.atlas.frozen import delete_cutoff

        self._turn_to(delete_cutoff(self.path, name))

    def verify(self, *, full: bool = True, progress: bool | None = None) -> VerifyReport:
        """Look at every file of the newest version, and say what is not as it was written.

        Parameters
        ----------
        full
            Read every byte: hashes, and whether offsets, cells, values, row sums, ranges and metadata fit each other.
            Without it, only sizes and headers are looked at.
        progress
            `None` shows a bar on a terminal.

        Returns
        -------
        What was found; it raises no error for damage, so that all of it is told at once.
        """
        from insignia.atlas.verify import verify_atlas

        return verify_atlas(self.path, full=full, show=progress)

    def export(self, path: str | Path, *, where: str | None = None, progress: bool | None = None) -> ExportReport:
        """Write cells as AnnData, in bounded memory: attributions, metadata, and the record of how they were made.

        `add` takes back what was written. Where barcodes repeat between studies, `obs_names` get the study in front,
        and adding them again needs ``columns={"barcode": "barcode"}``; further columns are named by ``extra``.

        Parameters
        ----------
        path
            A new `.h5ad` file or `.zarr` folder, or a new folder with one `.h5ad` file for each set of genes that
            studies measured: in one file, a gene that a study did not measure would look like a zero.
        where
            Which cells, as for `search`.
        progress
            `None` shows a bar on a terminal.

        Raises
        ------
        InputError
            There is something at `path`, or one file was asked for and the studies measured different genes.
        FilterError
            `where` is not one expression over the metadata, or chooses no cell.
        """
        from insignia.atlas.export import export

        return export(self._snapshot, path, where=where, show=progress)

    def obs(self, where: str | None = None) -> pd.DataFrame:
        """Read the metadata of all cells, or of those that `where` chooses, in the order of the atlas."""
        from insignia.atlas.filters import select

        return self._snapshot.frame(rows=None if where is None else select(self._snapshot, where))

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

    def regroup(
        self, columns: Sequence[str] | None = None, *, where: str | None = None, progress: bool | None = None
    ) -> "RegroupReport":
        """Compute group means again from the cells and store them, so that screens by these groups take no time.

        Means by study, sample, donor, tissue, disease and cell type are stored as studies are added. This makes them
        for an atlas of an older version, or for other columns or some cells only; a `screen` with the same `columns`
        and `where` then reads them. Those of studies that are added later are computed when a screen asks for them.

        Parameters
        ----------
        columns, where
            As for `screen`.
        progress
            `None` shows a bar on a terminal.

        Raises
        ------
        MissingMetadata
            The atlas has no such column.
        FilterError
            `where` does not choose cells.
        AtlasBusy
            Another process is changing the atlas.
        """
        from insignia.atlas.screens.keep import regroup

        self._snapshot, report = regroup(self.path, columns=columns, where=where, show=progress)
        return report

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

    def embedding(self, where: str | None = None) -> "np.ndarray":
        """Read the embeddings that `add` kept, float32 (cells, latent), in the order of `obs(where)`.

        Raises
        ------
        MissingMetadata
            Some of the cells have none.
        """
        from insignia.atlas.embeddings import read_embedding

        return read_embedding(self._snapshot, self._rows(where))

    def centroid(self, where: str | None = None) -> "np.ndarray":
        """Average the embeddings of some cells, each cell counting alike: float32 (latent,).

        With `insignia.attribution.Centroid`, or two of them with `insignia.attribution.Contrast`, it is a target of
        attribution, without running the model again on the cells of the atlas.

        Raises
        ------
        MissingMetadata
            Some of the cells have no embedding.
        """
        from insignia.atlas.embeddings import centroid

        return centroid(self._snapshot, self._rows(where))

    def contrast(self, towards: str, against: str) -> "np.ndarray":
        """Subtract the centroid of one choice of cells from that of another: what leads from these to those."""
        difference: np.ndarray = self.centroid(towards) - self.centroid(against)
        return difference

    def neighbours(self, queries: "np.ndarray", k: int = 15, *, where: str | None = None) -> "Neighbours":
        """Find the cells nearest to each query by the cosine of embeddings, exactly, in bounded memory.

        Parameters
        ----------
        queries
            Embeddings by the atlas's model, (queries, latent) or one vector: of new cells, of cells of an atlas
            (`embedding`), or a centroid.
        k
            How many for each.
        where
            Cells that are searched.

        Raises
        ------
        AtlasMismatch
            The queries have another number of dimensions.
        InputError
            A query is not finite or zero, or there are fewer than `k` cells.
        MissingMetadata
            Some of the cells have no embedding.
        """
        from insignia.atlas.neighbours import nearest

        return nearest(self._snapshot, queries, k, self._rows(where))

    def embedded(self, where: str | None = None) -> "AnnData":
        """Give some cells as AnnData with metadata and ``obsm["X_" + model]``, for `scanpy.pp.neighbors` and UMAP."""
        from anndata import AnnData

        obs = self.obs(where)
        obs.index = obs[keys.STUDY].astype(str) + "/" + obs[keys.BARCODE].astype(str)
        return AnnData(obs=obs.rename_axis(None), obsm={f"X_{self.record.model}": self.embedding(where)})

    def _rows(self, where: str | None) -> "np.ndarray | None":
        from insignia.atlas.filters import select

        return None if where is None else select(self._snapshot, where)

    def gene_matrix(
        self, genes: Sequence[str] | Signature, *, where: str | None = None
    ) -> tuple["csr_matrix", pd.DataFrame, GeneMatch]:
        """Read the attributions of some genes.

        Returns
        -------
        The matrix, float32 (cells, found genes in the order asked for), in which a gene that a cell's study did not
        measure is NaN; the metadata of the cells; and which genes were found.

        Raises
        ------
        GeneMatchError
            No gene is known to the atlas.
        """
        from insignia.atlas.gene_matrix import gene_matrix

        return gene_matrix(self._snapshot, genes, where=where)
