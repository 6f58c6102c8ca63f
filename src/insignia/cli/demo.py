"""`insignia demo`: the main job in minutes, without a download."""

from pathlib import Path
from typing import Annotated

import typer

from insignia.cli.output import JsonFlag, emit

__all__ = ["demo"]


def demo(
    name: Annotated[str, typer.Argument(help="Which demo: main, spatial, perturb or story.")] = "main",
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")] = Path("insignia-demo"),
    quick: Annotated[bool, typer.Option("--quick", help="A small run that checks that all parts work.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Run a demo: main searches, spatial imputes, perturb predicts, story follows one program through all."""
    from insignia.workflows import demos

    result = demos[name](output, quick=quick, show_progress=False if as_json else None)
    emit(result, as_json=as_json)
