"""`insignia perturb programs`: genes that go together, as JSON and as gene sets for an atlas."""

import json
from pathlib import Path
from typing import Annotated

import typer

from insignia.cli import perturb_options as shared
from insignia.cli.output import JsonFlag, emit
from insignia.core.errors import InputError

__all__ = ["programs"]


def programs(
    screen: shared.Screen,
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON to write: genes and their programs.")],
    source: Annotated[
        str, typer.Option(help="expression, fused, embedding, smoothed, grc; kmeans and random to compare with.")
    ] = "expression",
    number: Annotated[int, typer.Option(help="How many programs.")] = 32,
    balance: Annotated[str, typer.Option(help="Sizes of programs: exact, bounded or none.")] = "exact",
    gmt: Annotated[
        Path | None, typer.Option(help="GMT file to write, one set a program, for screen and search.")
    ] = None,
    signed: Annotated[
        bool, typer.Option("--signed", help="In the GMT file, genes that go against their program are in sets _DN.")
    ] = False,
    max_genes: Annotated[
        int | None, typer.Option(help="In the GMT file, keep so many genes of a program, the most typical.")
    ] = None,
    split: shared.OptionalSplit = None,
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
    """Divide the measured genes into programs, and say how stable and meaningful they are."""
    from insignia import perturb
    from insignia.core.files import atomic_file
    from insignia.data import read_split
    from insignia.data.perturbation_splits import training_cells
    from insignia.genes import write_gmt

    if gmt is None and (signed or max_genes is not None):
        raise InputError("--signed and --max-genes say how programs are written: name a file with --gmt.")

    data = shared.open_screen(screen, control, layout, context, where, genes)
    known, _ = shared.open_priors(data, priors, embedding, gene_sets, string_links, string_info)
    chosen = None if split is None else read_split(split)
    train = data if chosen is None else training_cells(data, chosen)
    found = perturb.induce_programs(
        train, source=source, n_programs=number, priors=known, balance=balance, split=chosen, seed=seed
    )
    report = perturb.report_programs(found, train, priors=known, seed=seed)
    with atomic_file(output) as temporary:
        temporary.write_text(json.dumps(found.to_dict(), ensure_ascii=False), encoding="utf-8")
    written = {"output": str(output)}
    if gmt is not None:
        loadings = perturb.program_loadings(found, train) if signed or max_genes is not None else None
        made = found.signatures(loadings if signed or loadings is None else loadings.abs(), max_genes=max_genes)
        write_gmt(made, gmt)
        written["gmt"] = str(gmt)
    emit(written | report.record(), as_json=as_json, text=str(report))
