"""`insignia model convert`: rewrite a checkpoint so that nothing in it can run."""

from pathlib import Path
from typing import Annotated

import typer

from insignia.cli.output import JsonFlag, emit

__all__ = ["convert"]


def convert(
    path: Annotated[Path, typer.Argument(help="Directory that scvi-tools wrote.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write: safetensors and JSON.")],
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Read it by RUNNING what it names: only for files from a source that you trust."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Rewrite an scVI or scANVI model as safetensors and JSON, from which nothing can run."""
    from insignia import models
    from insignia.models.scvi_converted import convert_scvi

    convert_scvi(path, output, trust=trust)
    emit({"model": str(output), **models.load(output, family="scvi").describe()}, as_json=as_json)
