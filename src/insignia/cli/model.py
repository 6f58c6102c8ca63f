"""`insignia model`: train, inspect and convert models."""

from pathlib import Path
from typing import Annotated

import typer

from insignia.cli.attribution_options import DeviceOption, LayerOption
from insignia.cli.convert import convert
from insignia.cli.output import JsonFlag, emit

__all__ = ["app"]

app = typer.Typer(help="Train, inspect and convert models.", no_args_is_help=True)
app.command()(convert)


@app.command()
def train(
    cells: Annotated[Path, typer.Argument(help="Cells: h5ad, 10x h5, 10x mtx folder or zarr.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write, in the SCimilarity layout.")],
    labels: Annotated[
        str | None, typer.Option(help="obs column of cell types; without it, learn to fill in genes.")
    ] = None,
    layer: LayerOption = None,
    hold_out_by: Annotated[
        str | None, typer.Option(help="obs column, e.g. donor, held out whole for early stopping.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Most passes over the cells.")] = 40,
    latent: Annotated[int, typer.Option(help="Length of the embedding.")] = 64,
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option(help="Seed; equal seeds give equal weights.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Train a small encoder on your own cells."""
    from insignia import models
    from insignia.data import read

    encoder = models.train(
        read(cells),
        labels=labels,
        output=output,
        layer=layer,
        hold_out_by=hold_out_by,
        latent=latent,
        options=models.TrainOptions(epochs=epochs),
        device=device,
        rng=seed,
        show_progress=False if as_json else None,
    )
    emit({"model": str(output), **encoder.describe()}, as_json=as_json)


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="Directory of a model.")],
    as_json: JsonFlag = False,
) -> None:
    """Say what a model directory holds."""
    from insignia import models

    emit(models.load(path).describe(), as_json=as_json)
