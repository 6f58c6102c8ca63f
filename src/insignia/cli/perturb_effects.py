"""`insignia perturb effects` and `attribute`: what perturbations do to genes, measured, predicted, seen by a model."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from insignia.cli import perturb_options as shared
from insignia.cli.attribution_options import DeviceOption, MethodOption, StepsOption
from insignia.cli.output import JsonFlag, emit, parse_steps
from insignia.core.errors import InputError

__all__ = ["attribute", "effects"]


def effects(
    source: Annotated[Path, typer.Argument(help="Screen, or folder of `perturb fit` for predicted effects.")],
    output: shared.TableFile,
    condition: shared.Conditions = None,
    unit: shared.Unit = None,
    programs: Annotated[
        Path | None, typer.Option(help="GMT file, e.g. of `perturb programs`: effects on its sets and not on genes.")
    ] = None,
    gmt: Annotated[
        Path | None, typer.Option(help="GMT file to write: the genes that each condition moves, up and down.")
    ] = None,
    n_genes: Annotated[int, typer.Option(help="Genes of a set of --gmt, or programs.")] = 50,
    opposite: Annotated[bool, typer.Option("--opposite", help="In --gmt, turn up and down round.")] = False,
    min_cells: shared.MinCells = 25,
    alpha: shared.Level = 0.05,
    control: shared.Control = None,
    layout: shared.Layout = None,
    perturbation: shared.Perturbation = None,
    context: shared.Context = None,
    batch: shared.Batch = None,
    where: shared.Where = None,
    genes: shared.Genes = None,
    scale: shared.Scale = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure or predict what perturbations do to every gene or program, and write it as signatures."""
    from insignia import perturb
    from insignia.data import write_table
    from insignia.genes import read_gmt, write_gmt

    if source.is_dir() and (source / "model.json").exists():
        if not condition or programs or unit:
            raise InputError("Of a fitted model, name conditions with --condition, and neither --programs nor --unit.")
        found = perturb.predicted_effects(perturb.load_model(source), condition)
    else:
        labels = {"perturbation": perturbation, "batch": batch, "scale": shared.parse_scale(scale)}
        data = shared.open_screen(source, control, layout, context, where, genes, **labels)
        units = shared.unit_column(source, unit)
        options: dict[str, Any] = {"units": units, "min_cells": min_cells, "alpha": alpha}
        if programs is None:
            found = perturb.gene_effects(data, condition or None, **options)
        else:
            sets = read_gmt(programs, merge_up_down=True)
            found = perturb.program_effects(data, list(sets.values()), condition or None, **options)
    write_table(found.table, output)
    facts: dict[str, Any] = {"output": str(output)} | found.record()
    text = [str(found), f"The table is in {output}."]
    if gmt is not None:
        made = found.signatures(n_genes=n_genes, opposite=opposite)
        write_gmt(made, gmt)
        facts |= {"gmt": str(gmt), "signatures": [one.name for one in made]}
        text.append(f"{len(made)} signatures are in {gmt}.")
    emit(facts, as_json=as_json, text="\n".join(text))


def attribute(
    screen: shared.Screen,
    model: Annotated[Path, typer.Option("-m", "--model", help="Directory of a model.")],
    output: shared.TableFile,
    condition: shared.Conditions = None,
    unit: shared.Unit = None,
    method: MethodOption = "integrated_gradients",
    n_steps: StepsOption = "50",
    start: Annotated[str, typer.Option(help="Where paths start: controls (their mean profile) or zero.")] = "controls",
    null: Annotated[
        list[str] | None, typer.Option(help="controls, shuffled or none; repeat. Both of the first by default.")
    ] = None,
    max_controls: Annotated[int, typer.Option(help="Controls of a comparison.")] = 1000,
    table: Annotated[Path | None, typer.Option(help="Table of conditions to write: .csv, .tsv or .parquet.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Figure to write: .png, .pdf or .svg.")] = None,
    processes: Annotated[int, typer.Option(help="Processes of this machine that share the conditions.")] = 1,
    min_cells: shared.MinCells = 25,
    alpha: shared.Level = 0.05,
    control: shared.Control = None,
    layout: shared.Layout = None,
    perturbation: shared.Perturbation = None,
    context: shared.Context = None,
    batch: shared.Batch = None,
    where: shared.Where = None,
    genes: shared.Genes = None,
    scale: shared.Scale = None,
    device: DeviceOption = "auto",
    seed: shared.Seed = 0,
    as_json: JsonFlag = False,
) -> None:
    """Attribute perturbed cells against their controls: which genes carry what each perturbation does."""
    from insignia.data import write_table
    from insignia.workflows import attribute_effects

    labels = {"perturbation": perturbation, "batch": batch, "scale": shared.parse_scale(scale)}
    data = shared.open_screen(screen, control, layout, context, where, genes, **labels)
    chosen = ["controls", "shuffled"] if not null else [name for name in null if name != "none"]
    found = attribute_effects(
        data,
        model,
        condition or None,
        units=shared.unit_column(screen, unit),
        method=method,
        n_steps=parse_steps(n_steps),
        start=cast("Any", start),
        nulls=cast("Any", chosen),
        max_controls=max_controls,
        min_cells=min_cells,
        alpha=alpha,
        device=device,
        executor=processes,
        seed=seed,
        show_progress=False if as_json else None,
    )
    write_table(found.table, output)
    written = {"output": output, "table": table, "figure": figure}
    if table is not None:
        write_table(found.conditions.reset_index(), table)
    if figure is not None:
        from insignia.report import contrast_figure, save_figure

        save_figure(contrast_figure(found), figure)
    paths = {name: str(path) for name, path in written.items() if path}
    emit(paths | found.record(), as_json=as_json, text=f"{found}\nThe table is in {output}.")
