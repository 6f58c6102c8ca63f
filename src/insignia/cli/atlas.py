"""`insignia atlas`: create atlases, add studies, and say what is in them."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from insignia.cli.atlas_life import add_commands
from insignia.cli.attribution_options import (
    DeviceOption,
    InterpolateOption,
    MethodOption,
    PrecisionOption,
    SignedFlag,
    StepsOption,
    TargetOption,
)
from insignia.cli.cell_options import AtlasPath, CellsArgument, ColumnOption, ConstantOption, ExtraOption, ModelOption
from insignia.cli.output import JsonFlag, emit, pairs, parse_steps
from insignia.core.errors import InputError

__all__ = ["app"]

app = typer.Typer(help="Create atlases, change, check and export them, and say what is in them.", no_args_is_help=True)


@app.command()
def create(
    atlas: AtlasPath,
    model: Annotated[Path, typer.Option("-m", "--model", help="Directory of the model whose attributions it holds.")],
    method: MethodOption = "integrated_gradients",
    target: TargetOption = "self",
    n_steps: StepsOption = "50",
    interpolate: InterpolateOption = "values",
    precision: PrecisionOption = "float32",
    signed: SignedFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Make an empty atlas for attributions of one model."""
    from insignia.attribution import AttributeOptions, PathOptions
    from insignia.workflows import create_atlas

    path = PathOptions(n_steps=parse_steps(n_steps), interpolate=cast("Any", interpolate))
    options = AttributeOptions(method, target, signed=signed, path=path, precision=cast("Any", precision))
    emit(create_atlas(atlas, model, options=options).info(), as_json=as_json)


@app.command()
def add(
    atlas: AtlasPath,
    cells: CellsArgument,
    model: ModelOption = None,
    column: ColumnOption = None,
    constant: ConstantOption = None,
    extra: ExtraOption = None,
    mapping: Annotated[
        str | None,
        typer.Option(help="Mapping of columns and values: a .toml or .csv file, or cellxgene or scimilarity."),
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer with counts or log1p of raw cells; X by default.")] = None,
    device: DeviceOption = "auto",
    as_json: JsonFlag = False,
) -> None:
    """Add cells; the atlas changes as a whole or not at all."""
    from insignia.atlas import Atlas
    from insignia.workflows import add_cells

    report = add_cells(
        Atlas.open(atlas),
        cells,
        model=model,
        columns=pairs(column, "--column"),
        constants=pairs(constant, "--constant"),
        extra=extra or (),
        mapping=mapping,
        layer=layer,
        device=device,
        show_progress=False if as_json else None,
    )
    emit(asdict(report), as_json=as_json)


@app.command("import")
def import_cells(
    atlas: AtlasPath,
    source: Annotated[Path, typer.Argument(help="Published attribution folder, or a CELLxGENE Census on disk.")],
    model: Annotated[
        Path | None, typer.Option("-m", "--model", help="The atlas's model, to attribute the cells of a Census.")
    ] = None,
    cell_type: Annotated[
        list[str] | None, typer.Option(help="Cell type of a published folder; all by default. Repeatable.")
    ] = None,
    where: Annotated[str | None, typer.Option(help="Cells of a Census, e.g. \"tissue == 'blood'\".")] = None,
    mapping: Annotated[
        str | None, typer.Option(help="Mapping of columns and values; scimilarity or cellxgene by default.")
    ] = None,
    device: DeviceOption = "auto",
    as_json: JsonFlag = False,
) -> None:
    """Bring in published attributions, or a slice of a Census; the atlas changes as a whole or not at all."""
    from insignia.atlas import Atlas
    from insignia.workflows import import_census, import_published

    opened, show = Atlas.open(atlas), False if as_json else None
    if model is None:
        if where is not None:
            raise InputError("--where chooses cells of a Census, which are attributed on the way: give --model too.")
        report = import_published(
            opened, source, cell_types=cell_type, mapping=mapping or "scimilarity", show_progress=show
        )
    else:
        if cell_type is not None:
            raise InputError("--cell-type is for published folders. Choose cells of a Census with --where.")
        report = import_census(
            opened, source, model=model, where=where, mapping=mapping or "cellxgene", device=device, show_progress=show
        )
    emit(asdict(report), as_json=as_json)


@app.command()
def info(atlas: AtlasPath, as_json: JsonFlag = False) -> None:
    """Say what an atlas holds."""
    from insignia.atlas import Atlas

    emit(Atlas.open(atlas).info(), as_json=as_json)


@app.command()
def cutoffs(
    atlas: AtlasPath,
    delete: Annotated[str | None, typer.Option(help="Forget the cut-off of this name.", metavar="NAME")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List the cut-offs that are kept with an atlas, and what they were taken from."""
    from insignia.atlas import Atlas

    opened = Atlas.open(atlas)
    if delete is not None:
        opened.delete_cutoff(delete)
    kept = {name: opened.cutoffs[name] for name in opened.cutoffs}
    lines = [
        f"{name}: {made.calibration.signature}, {made.rule} at {made.text()}, from {made.reference}"
        for name, made in kept.items()
    ]
    emit(
        {name: made.to_dict() for name, made in kept.items()},
        as_json=as_json,
        text="\n".join(lines) or "The atlas keeps no cut-offs; insignia search --save-cutoff NAME makes one.",
    )


add_commands(app)
