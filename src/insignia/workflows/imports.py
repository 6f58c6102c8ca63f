"""Atlases from what others keep: published attribution folders, and slices of a CELLxGENE Census."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from insignia.atlas import AddReport, Atlas
from insignia.atlas.layout import MAX_CELLS_PER_SEGMENT
from insignia.atlas.published import published_sources
from insignia.core.errors import InputError
from insignia.data import MetadataMap, read_census
from insignia.models import Encoder, as_encoder
from insignia.workflows.atlases import attribute_for

__all__ = ["import_census", "import_published"]


def import_published(
    atlas: Atlas,
    folder: str | Path,
    *,
    cell_types: Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
    mapping: MetadataMap | str | Path | None = "scimilarity",
    max_cells_per_segment: int = MAX_CELLS_PER_SEGMENT,
    show_progress: bool | None = None,
) -> AddReport:
    """Add the cells of a published attribution folder: one TileDB array and one table of cells for each cell type.

    Such a folder does not say how its attributions were made, so create the atlas with the model, method and target
    that they are known to have; only the number of genes and the sums of rows can be checked. All genes of the model
    count as measured. All cell types go into one call, because a study has cells of several.

    Parameters
    ----------
    atlas
        An open atlas.
    folder
        The folder of all cell types, or that of one.
    cell_types
        Names of folders to take; `None` takes all.
    columns, constants, mapping
        Where metadata are; see `Atlas.add`. The tables know no donors, which stay "unknown" unless a mapping says
        that each sample is one: ``sample = ["sample", "donor"]``.
    max_cells_per_segment
        See `Atlas.add`.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Raises
    ------
    FileFormatError
        It is no such folder, or a cell type of it is damaged or not there.
    AtlasMismatch
        It was made with a model of another number of genes.
    MissingDependency
        TileDB is not installed.
    InputError
        Rows do not add up to the scale of the atlas.
    """
    record = atlas.record
    sources = published_sources(folder, record=record, n_genes=len(atlas.genes), cell_types=cell_types)
    return atlas.add(
        sources,
        columns=columns,
        constants=constants,
        mapping=mapping,
        max_cells_per_segment=max_cells_per_segment,
        progress=show_progress,
    )


def import_census(
    atlas: Atlas,
    path: str | Path,
    *,
    model: Encoder | str | Path,
    where: str | None = None,
    organism: str = "homo_sapiens",
    mapping: MetadataMap | str | Path | None = "cellxgene",
    device: str = "auto",
    show_progress: bool | None = None,
) -> AddReport:
    """Attribute a slice of a CELLxGENE Census on disk and add it; each dataset is a study.

    One dataset at a time is in memory, and its attributed cells wait in a temporary folder until all can be added.

    Parameters
    ----------
    atlas
        An open atlas.
    path
        The Census, or one experiment of it.
    model
        The model of the atlas.
    where
        Which cells, as SOMA writes it, e.g. ``"tissue == 'blood' and is_primary_data == True"``.
    organism
        Experiment of a Census that holds several.
    mapping
        Where metadata are; see `Atlas.add`.
    device
        Where cells are attributed; as for `insignia.tl.attribute`.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Raises
    ------
    FileFormatError
        There is no Census at `path`.
    FilterError
        `where` cannot be read, or chooses no cell.
    AtlasMismatch
        The model is not the one that the atlas was made with.
    MissingDependency
        tiledbsoma is not installed.
    """
    encoder = as_encoder(model)
    with tempfile.TemporaryDirectory(prefix="insignia-") as folder:
        parts = []
        for number, adata in enumerate(read_census(path, where=where, organism=organism)):
            parts.append(Path(folder) / f"{number:05d}.h5ad")
            attribute_for(atlas, adata, parts[-1], encoder=encoder, device=device, show_progress=show_progress)
        if not parts:
            raise InputError(f"{path} gave no dataset to import.")
        return atlas.add(parts, mapping=mapping, progress=show_progress)
