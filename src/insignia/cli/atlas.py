"""`insignia atlas`: create atlases, add studies, and say what is in them."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from insignia.cli.output import DeviceOption, InterpolateOption, JsonFlag, PrecisionOption, emit, pairs, parse_steps

__all__ = ["app"]

app = typer.Typer(help="Create atlases, add studies, and say what is in them.", no_args_is_help=True)

AtlasPath = Annotated[Path, typer.Argument(help="Folder of the atlas.")]


@app.command()
def create(
    atlas: AtlasPath,
    model: Annotated[Path, typer.Option("-m", "--model", help="Directory of the model whose attributions it holds.")],
    method: Annotated[str, typer.Option(help="Attribution method.")] = "integrated_gradients",
    target: Annotated[str, typer.Option(help="What is attributed.")] = "self",
    n_steps: Annotated[str, typer.Option(help="Steps on the path, or auto.")] = "50",
    interpolate: InterpolateOption = "values",
    precision: PrecisionOption = "float32",
    signed: Annotated[bool, typer.Option("--signed", help="Keep the sign.")] = False,
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
    cells: Annotated[Path, typer.Argument(help="Attributed h5ad, or raw cells together with --model.")],
    model: Annotated[
        Path | None, typer.Option("-m", "--model", help="The atlas's model, to attribute raw cells.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="Your obs column = ours, e.g. patient=donor. Repeatable.")
    ] = None,
    constant: Annotated[
        list[str] | None, typer.Option(help="One value for all cells, e.g. study=GSE1. Repeatable.")
    ] = None,
    extra: Annotated[list[str] | None, typer.Option(help="Further obs column to keep. Repeatable.")] = None,
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


@app.command()
def info(atlas: AtlasPath, as_json: JsonFlag = False) -> None:
    """Say what an atlas holds."""
    from insignia.atlas import Atlas

    emit(Atlas.open(atlas).info(), as_json=as_json)
