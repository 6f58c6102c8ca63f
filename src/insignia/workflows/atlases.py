"""Atlases from models and from cells that are not attributed yet."""

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from anndata import AnnData

from insignia.atlas import AddReport, Atlas
from insignia.attribution import AttributeOptions, Interpolate, PathOptions, Runner, record_of, write_part
from insignia.core import keys
from insignia.core.errors import AtlasMismatch, MissingMetadata
from insignia.data import AttributionRecord, Expression, MetadataMap, read
from insignia.models import Encoder, Precision, as_encoder

__all__ = ["add_cells", "attribute_for", "create_atlas"]


def create_atlas(path: str | Path, model: Encoder | str | Path, *, options: AttributeOptions | None = None) -> Atlas:
    """Make an empty atlas for attributions of a model.

    Parameters
    ----------
    path
        A folder that does not exist yet, or is empty.
    model
        A loaded model, or the directory of one.
    options
        Method, target, steps and sign of the attributions that the atlas will hold.

    Raises
    ------
    AtlasError
        There is something at `path` already.
    """
    encoder = as_encoder(model)
    record = record_of(encoder, options or AttributeOptions(), input_space="any")
    return Atlas.create(path, genes=encoder.genes, record=record)


def add_cells(
    atlas: Atlas,
    cells: AnnData | str | Path,
    *,
    model: Encoder | str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
    extra: Sequence[str] = (),
    mapping: MetadataMap | str | Path | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    gene_ids: str | None = None,
    device: str = "auto",
    replaces: bool = False,
    show_progress: bool | None = None,
) -> AddReport:
    """Add cells to an atlas; raw ones are attributed on the way, as the atlas was made.

    Parameters
    ----------
    atlas
        An open atlas.
    cells
        AnnData or a file: attributed, or raw if `model` is given. Or a folder of attributed parts.
    model
        The model of the atlas, needed for raw cells only.
    columns, constants, extra, mapping
        Where metadata are; see `Atlas.add`.
    layer, gene_symbols, gene_ids
        Where expression and gene names are; see `insignia.tl.attribute`.
    device
        Where raw cells are attributed; as for `insignia.tl.attribute`.
    replaces
        Studies that the atlas has already give way to these, in one step.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Raises
    ------
    MissingMetadata
        The cells are not attributed and no model was given, or metadata are missing.
    AtlasMismatch
        The model is not the one that the atlas was made with.
    """
    add = partial(
        atlas.add,
        columns=columns,
        constants=constants,
        extra=extra,
        mapping=mapping,
        replaces=replaces,
        progress=show_progress,
    )
    if not isinstance(cells, AnnData) and _holds_parts(Path(cells)):
        return add(cells)
    adata = cells if isinstance(cells, AnnData) else read(cells, backed=Path(cells).suffix in (".h5ad", ".zarr"))
    if keys.ATTRIBUTION in adata.layers:
        return add(cells)
    if model is None:
        raise MissingMetadata(
            f"These cells have no layer {keys.ATTRIBUTION!r} (layers: {list(adata.layers)}). Attribute them first "
            "(ins.tl.attribute, or insignia attribute), or give the atlas's model to have it done on the way."
        )
    with tempfile.TemporaryDirectory(prefix="insignia-") as folder:
        part = Path(folder) / "part.h5ad"
        attribute_for(
            atlas,
            adata,
            part,
            encoder=as_encoder(model),
            layer=layer,
            gene_symbols=gene_symbols,
            gene_ids=gene_ids,
            device=device,
            show_progress=show_progress,
        )
        return add(part)


def attribute_for(
    atlas: Atlas,
    adata: AnnData,
    part: Path,
    *,
    encoder: Encoder,
    layer: str | None = None,
    gene_symbols: str | None = None,
    gene_ids: str | None = None,
    device: str = "auto",
    show_progress: bool | None = None,
) -> None:
    """Attribute raw cells the way of an atlas, into a part that it takes; see `add_cells`."""
    options = _options_of(atlas.record, device)
    _check_model(atlas, encoder, options)
    expression = Expression.from_adata(adata, layer=layer, gene_symbols=gene_symbols, gene_ids=gene_ids)
    write_part(Runner(encoder, expression, options), adata.var, part, show_progress=show_progress)


def _holds_parts(path: Path) -> bool:
    return path.is_dir() and path.suffix != ".zarr" and any(path.glob("*.h5ad"))


def _options_of(record: AttributionRecord, device: str) -> AttributeOptions:
    return AttributeOptions(
        method=record.method,
        target=record.target,
        signed=record.sign == "signed",
        path=PathOptions(n_steps=record.n_steps, interpolate=cast("Interpolate", record.interpolate)),
        device=device,
        precision=cast("Precision", record.precision),
    )


def _check_model(atlas: Atlas, encoder: Encoder, options: AttributeOptions) -> None:
    differences = atlas.record.differences(record_of(encoder, options, input_space="any"))
    if differences:
        raise AtlasMismatch(
            f"The atlas holds attributions of {atlas.record.model} (fingerprint {atlas.record.fingerprint[:12]}), and "
            f"{encoder.name} ({encoder.fingerprint[:12]}) differs in {', '.join(differences)}. "
            "Use the model it was made with, or create another atlas."
        )
