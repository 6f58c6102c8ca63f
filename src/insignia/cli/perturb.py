"""`insignia perturb`: what cells become after perturbations that were not measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from insignia.cli import perturb_options as shared
from insignia.cli.attribution_options import LayerOption
from insignia.cli.output import JsonFlag, OutputOption, emit, one_place
from insignia.cli.perturb_bench import bench
from insignia.cli.perturb_cell_eval import cell_eval
from insignia.cli.perturb_effects import attribute, effects
from insignia.cli.perturb_programs import programs
from insignia.cli.perturb_rank import rank
from insignia.cli.perturb_score import benchmark, evaluate
from insignia.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from insignia.data import Split

__all__ = ["app"]

app = typer.Typer(
    help="Predict cells after single and combined gene perturbations, beside simple answers.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("check")
def check(
    screen: shared.Screen,
    control: shared.Control = None,
    layout: shared.Layout = None,
    perturbation: shared.Perturbation = None,
    separator: Annotated[str | None, typer.Option(help="What joins the genes of a label.")] = None,
    context: shared.Context = None,
    batch: shared.Batch = None,
    dose: Annotated[str | None, typer.Option(help="obs column of doses; none for none.")] = None,
    kind: Annotated[str | None, typer.Option(help="obs column with the kind of perturbation; none for none.")] = None,
    where: shared.Where = None,
    leave_out: Annotated[list[str] | None, typer.Option(help="Label whose cells are left out; nan for empty.")] = None,
    genes: shared.Genes = None,
    layer: LayerOption = None,
    scale: shared.Scale = None,
    total: Annotated[str | None, typer.Option(help="obs column with the total counts of whole cells.")] = None,
    split: Annotated[Path | None, typer.Option(help="File of `perturb split`, whose strata are counted.")] = None,
    priors: shared.Priors = None,
    embedding: shared.Embedding = None,
    gene_sets: shared.GeneSets = None,
    string_links: shared.StringLinks = None,
    string_info: shared.StringInfo = None,
    save_priors: Annotated[Path | None, typer.Option(help="Folder for these priors, to be read faster.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="h5ad to write, which needs no options any more.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say what a screen and priors hold: cells, contexts, strata, coverage, what was assumed and what is too small."""
    from insignia import perturb
    from insignia.data import read_split, write_screen

    labels = {"perturbation": perturbation, "separator": separator, "dose": dose, "kind": kind, "batch": batch}
    values = {"layer": layer, "scale": shared.parse_scale(scale), "total": total, "leave_out": leave_out or ()}
    data = shared.open_screen(screen, control, layout, context, where, genes, **labels, **values)
    known, coverage = shared.open_priors(data, priors, embedding, gene_sets, string_links, string_info)
    found = perturb.check(data, None if split is None else read_split(split))
    if output is not None:
        write_screen(data, output)
    if save_priors is not None and known is not None:
        perturb.save_priors(known, save_priors)
    facts = {"screen": str(output or screen)} | found.record() | ({"priors": coverage} if coverage else {})
    emit(facts, as_json=as_json, text="\n".join([str(found), *_coverage_lines(coverage)]))


app.command("programs")(programs)


@app.command("split")
def split(
    screen: shared.Screen,
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON to write.")],
    kind: Annotated[str, typer.Option(help="combo, additive, unseen-genes, folds or unseen-context.")] = "combo",
    share: Annotated[
        float | None, typer.Option(help="Share to hold out: of combinations, or of genes for unseen-genes.")
    ] = None,
    share_genes: Annotated[float, typer.Option(help="Share of the genes that combo holds out.")] = 0.2,
    folds: Annotated[int, typer.Option(help="Parts of the perturbed genes for folds.")] = 5,
    hold: Annotated[list[str] | None, typer.Option(help="Context that unseen-context holds out; repeat.")] = None,
    control: shared.Control = None,
    layout: shared.Layout = None,
    context: shared.Context = None,
    where: shared.Where = None,
    seed: shared.Seed = 0,
    as_json: JsonFlag = False,
) -> None:
    """Divide conditions into what is learned from and what is predicted, and save that with its hash."""
    from insignia import perturb
    from insignia.cli.perturb_splits import make_splits
    from insignia.data import write_splits

    data = shared.open_screen(screen, control, layout, context, where, None)
    made = make_splits(data, kind, share=share, share_genes=share_genes, folds=folds, hold=hold or [], seed=seed)
    write_splits(made, output)
    rows = [_split_row(one, perturb.check(data, one).strata) for one in made]
    lines = [f"{row['name']} ({row['hash']}): {row['train']} to learn from; test {row['strata']}" for row in rows]
    emit({"output": str(output), "splits": rows}, as_json=as_json, text="\n".join([f"wrote {output}", *lines]))


@app.command("fit")
def fit(
    screen: shared.Screen,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the model to write.")],
    method: Annotated[str, typer.Option(help="flow, scbig, or a plain one such as ridge_embedding.")] = "flow",
    split: shared.OptionalSplit = None,
    option: shared.Options = None,
    control: shared.Control = None,
    layout: shared.Layout = None,
    context: shared.Context = None,
    where: shared.Where = None,
    genes: shared.Genes = None,
    priors: shared.Priors = None,
    embedding: shared.Embedding = None,
    gene_sets: shared.GeneSets = None,
    string_links: shared.StringLinks = None,
    string_info: shared.StringInfo = None,
    seed: shared.Seed = 0,
    as_json: JsonFlag = False,
) -> None:
    """Fit a predictor to a screen."""
    from insignia import perturb
    from insignia.data import read_split

    data = shared.open_screen(screen, control, layout, context, where, genes)
    known, coverage = shared.open_priors(data, priors, embedding, gene_sets, string_links, string_info)
    model = perturb.fit(
        data,
        None if split is None else read_split(split),
        method=method,
        priors=known,
        seed=seed,
        show_progress=False if as_json else None,
        **shared.parse_options(option),
    )
    model.save(output)
    size = sum(file.stat().st_size for file in output.iterdir())
    facts = {"model": str(output), "bytes": size} | model.describe() | ({"coverage": coverage} if coverage else {})
    emit(facts, as_json=as_json)


@app.command("predict")
def predict(
    model: Annotated[Path, typer.Argument(help="Folder of `perturb fit`.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="h5ad to write.")],
    conditions: Annotated[
        list[str] | None, typer.Argument(help="What is done, e.g. KLF1+MAP2K6; several are fine.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="File of `perturb split`, whose test side is predicted in place of conditions.")
    ] = None,
    context: Annotated[list[str] | None, typer.Option(help="Context to predict in; repeat. All by default.")] = None,
    cells: Annotated[int, typer.Option(help="Cells of each condition in each context.")] = 200,
    means: Annotated[bool, typer.Option("--means", help="Write one mean a condition, and no cells.")] = False,
    seed: shared.Seed = 0,
    as_json: JsonFlag = False,
) -> None:
    """Predict cells after perturbations: those named, or the test side of a split."""
    from insignia import perturb
    from insignia.core import keys
    from insignia.data import read_split, write_h5ad

    if bool(conditions) == (split is not None):
        raise InputError("Name conditions to predict, or the --split whose test side is predicted: one of the two.")
    wanted = conditions or [] if split is None else read_split(split)
    loaded = perturb.load_model(model)
    if means:
        found = loaded.means(wanted, contexts=context or None)
    else:
        found = loaded.predict(wanted, contexts=context or None, n_cells=cells, seed=seed)
    write_h5ad(found, output)
    flagged = found.obs.loc[found.obs[keys.STATUS] != "ok", keys.CONDITION].astype(str).unique().tolist()
    emit(
        {
            "output": str(output),
            "rows": found.n_obs,
            "genes": found.n_vars,
            "conditions": list(dict.fromkeys(found.obs[keys.CONDITION].astype(str))),
            "contexts": list(dict.fromkeys(found.obs[keys.CONTEXT].astype(str))),
            "fallback": flagged,
            "model_hash": loaded.fingerprint,
        },
        as_json=as_json,
    )


app.command("effects")(effects)
app.command("attribute")(attribute)
app.command("rank")(rank)
app.command("evaluate")(evaluate)
app.command("benchmark")(benchmark)
app.command("cell-eval")(cell_eval)
app.command("bench")(bench)


@app.command("simulate")
def simulate(
    output: Annotated[Path | None, typer.Argument(help="h5ad of the screen to write.")] = None,
    output_option: OutputOption = None,
    genes: Annotated[int, typer.Option(help="Measured genes.")] = 256,
    perturbations: Annotated[int, typer.Option(help="Perturbed genes.")] = 40,
    doubles: Annotated[int, typer.Option(help="Pairs of them.")] = 60,
    cells: Annotated[int, typer.Option(help="Cells of each condition.")] = 100,
    controls: Annotated[int, typer.Option(help="Control cells.")] = 600,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="NAME=VALUE of the simulator, e.g. interaction=0, n_contexts=2; repeat."),
    ] = None,
    priors: Annotated[
        Path | None, typer.Option(help="Folder to write: embeddings, a network and gene_sets.gmt that tell the truth.")
    ] = None,
    seed: shared.Seed = 0,
    as_json: JsonFlag = False,
) -> None:
    """Simulate a screen with known programs, effects and interactions."""
    from insignia import perturb
    from insignia.data import simulate_screen, write_screen
    from insignia.genes import Signature, write_gmt

    place = one_place(output, output_option)
    sizes: dict[str, Any] = {
        "n_genes": genes,
        "n_perturbations": perturbations,
        "n_doubles": doubles,
        "cells_per_condition": cells,
        "n_controls": controls,
    }
    made = simulate_screen(rng=seed, **(sizes | shared.parse_options(option)))
    write_screen(made.data, place)
    facts = {"output": str(place), "cells": len(made.data), "conditions": len(made.data.conditions) - 1}
    if priors is not None:
        perturb.save_priors(made.priors, priors)
        sets = made.priors.gene_sets.items()
        write_gmt({name: Signature.from_genes(genes, name) for name, genes in sets}, priors / "gene_sets.gmt")
        facts["priors"] = str(priors)
    emit(facts, as_json=as_json)


def _split_row(split: "Split", strata: "pd.DataFrame") -> dict[str, Any]:
    rows = strata.reset_index()
    rows = rows[rows["side"] == "test"]
    found = {str(name): int(size) for name, size in zip(rows["stratum"], rows["conditions"], strict=True)}
    return {"name": split.name, "hash": split.fingerprint, "train": len(split.train), "strata": found}


def _coverage_lines(coverage: dict[str, Any]) -> list[str]:
    return [
        f"{name}: {row['found']:,} of {row['asked']:,} genes known"
        + (f", not e.g. {row['not_found']}" if row["not_found"] else "")
        for name, row in coverage.items()
    ]
