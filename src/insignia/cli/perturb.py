"""`insignia perturb`: what cells become after perturbations that were not measured."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from insignia.cli.output import JsonFlag, emit, pairs
from insignia.core.errors import InputError

__all__ = ["app"]

app = typer.Typer(
    help="Predict cells after single and combined gene perturbations, beside simple answers.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Screen = Annotated[
    Path, typer.Argument(help="Screen: h5ad, 10x or zarr; one that `perturb check -o` wrote needs no options.")
]
Control = Annotated[
    list[str] | None, typer.Option(help="Label that means nothing was perturbed; repeat for more. Never guessed.")
]
Layout = Annotated[str | None, typer.Option(help="gears, scperturb, pairs, cell_eval or plain; recognised by default.")]
Context = Annotated[
    list[str] | None, typer.Option(help="obs column whose values have controls of their own; repeat for more.")
]
Where = Annotated[list[str] | None, typer.Option(help="COLUMN=VALUE that cells to read have; repeat for more.")]
Genes = Annotated[int | None, typer.Option(help="Keep this many genes, those with the highest mean in control cells.")]
Seed = Annotated[int, typer.Option(help="Seed; equal seeds give equal results.")]


@app.command("check")
def check(
    screen: Screen,
    control: Control = None,
    layout: Layout = None,
    perturbation: Annotated[str | None, typer.Option(help="obs column of the labels, where it is unusual.")] = None,
    separator: Annotated[str | None, typer.Option(help="What joins the genes of a label.")] = None,
    context: Context = None,
    batch: Annotated[str | None, typer.Option(help="obs column of replicates or batches.")] = None,
    dose: Annotated[str | None, typer.Option(help="obs column of doses; none for none.")] = None,
    kind: Annotated[str | None, typer.Option(help="obs column with the kind of perturbation; none for none.")] = None,
    where: Where = None,
    leave_out: Annotated[list[str] | None, typer.Option(help="Label whose cells are left out; nan for empty.")] = None,
    genes: Genes = None,
    layer: Annotated[str | None, typer.Option(help="Layer with counts or log1p; X by default.")] = None,
    scale: Annotated[str | None, typer.Option(help="Total that counts are scaled to, or median of controls.")] = None,
    total: Annotated[str | None, typer.Option(help="obs column with the total counts of whole cells.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="h5ad to write, which needs no options any more.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say what a screen holds: cells, contexts, strata, what was assumed and what is too small."""
    from insignia import perturb
    from insignia.data import read_screen, write_screen

    data = read_screen(
        screen,
        control=control or None,
        layout=layout,
        perturbation=perturbation,
        separator=separator,
        context=context or None,
        batch=batch,
        dose=dose,
        kind=kind,
        where=pairs(where, "--where"),
        leave_out=leave_out or (),
        genes=genes,
        layer=layer,
        scale=_scale(scale),
        total=total,
    )
    if output is not None:
        write_screen(data, output)
    found = perturb.check(data)
    facts = {"screen": str(output or screen)} | found.record()
    emit(facts, as_json=as_json, text=str(found))


@app.command("simulate")
def simulate(
    output: Annotated[Path, typer.Argument(help="h5ad of the screen to write.")],
    genes: Annotated[int, typer.Option(help="Measured genes.")] = 256,
    perturbations: Annotated[int, typer.Option(help="Perturbed genes.")] = 40,
    doubles: Annotated[int, typer.Option(help="Pairs of them.")] = 60,
    cells: Annotated[int, typer.Option(help="Cells of each condition.")] = 100,
    controls: Annotated[int, typer.Option(help="Control cells.")] = 600,
    seed: Seed = 0,
    as_json: JsonFlag = False,
) -> None:
    """Simulate a screen with known programs, effects and interactions."""
    from insignia.data import simulate_screen, write_screen

    made = simulate_screen(
        n_genes=genes,
        n_perturbations=perturbations,
        n_doubles=doubles,
        cells_per_condition=cells,
        n_controls=controls,
        rng=seed,
    )
    write_screen(made.data, output)
    emit({"output": str(output), "cells": len(made.data), "conditions": len(made.data.conditions) - 1}, as_json=as_json)


def _scale(text: str | None) -> float | Literal["median"] | None:
    if text is None:
        return None
    if text == "median":
        return "median"
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--scale takes a number or median; found {text!r}.") from None
