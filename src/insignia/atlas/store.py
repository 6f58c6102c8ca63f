"""`Atlas`: attributed cells of many studies on disk, added study by study and searched as one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from insignia.atlas.add_report import AddReport
from insignia.atlas.change_report import ChangeReport
from insignia.atlas.embedded_atlas import EmbeddedAtlas
from insignia.atlas.export_report import ExportReport
from insignia.atlas.keeping import AtlasKeeping
from insignia.atlas.layout import FAST, GENES, MANIFEST, MAX_CELLS_PER_SEGMENT, SEGMENTS, WRITER_LOCK, check_encoding
from insignia.atlas.manifest import GeneTable, Manifest
from insignia.atlas.questions import AtlasQuestions
from insignia.atlas.snapshot import Snapshot, refuse_no_text, write_genes
from insignia.atlas.sources import Sources, find_sources
from insignia.atlas.verify_report import VerifyReport
from insignia.atlas.versions import write_version
from insignia.core import keys
from insignia.core.errors import AtlasError, AtlasMismatch, InputError
from insignia.core.files import atomic_folder
from insignia.data import AttributionRecord, MetadataMap, metadata_map
from insignia.genes import GeneVocabulary

__all__ = ["Atlas"]


class Atlas(AtlasQuestions, EmbeddedAtlas, AtlasKeeping):
    """An atlas on disk; make one with `Atlas.create`, open one with `Atlas.open`.

    An open atlas, and every result of it, keeps showing the version it was opened at or brought to by its own changes,
    whatever others change meanwhile. A change starts from the newest version.
    """

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
        refuse_no_text(path)
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
