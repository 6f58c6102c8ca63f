"""The `insignia` command."""

import sys
from typing import Annotated

import typer

from insignia import __version__
from insignia.cli import (
    atlas,
    atlas_groups,
    attribute,
    compare,
    demo,
    model,
    ms1,
    perturb,
    screen,
    search,
    serve,
    slurm,
    spatial,
)
from insignia.cli.flags import flags_of, in_flags
from insignia.cli.output import friendly_errors

__all__ = ["app", "run"]

app = typer.Typer(
    name="insignia",
    help="Which genes matter in this cell, and where else is a gene program active.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(model.app, name="model")
app.add_typer(atlas.app, name="atlas")
atlas.app.command("pseudobulk")(atlas_groups.pseudobulk)
atlas.app.command("regroup")(atlas_groups.regroup)
app.add_typer(spatial.app, name="spatial")
app.add_typer(perturb.app, name="perturb")
app.command("attribute")(attribute.attribute)
app.command("slurm")(slurm.slurm)
app.command("score")(attribute.score)
app.command("compare")(compare.compare)
app.command("search")(search.search)
app.command("screen")(screen.screen)
app.command("programs")(screen.programs)
app.command("serve")(serve.serve)
app.command("export-page")(serve.export_page)
app.command("ms1")(ms1.ms1)
app.command("demo")(demo.demo)


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _reworded(text: str) -> str:
    return in_flags(text, flags_of(typer.main.get_command(app), sys.argv[1:]))


def run() -> None:
    """Run the command line."""
    with friendly_errors(_reworded):
        app()
