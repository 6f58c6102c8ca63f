"""`insignia perturb bench`: published protocols on a user's download."""

from pathlib import Path
from typing import Annotated

import typer

from insignia.cli.output import JsonFlag, emit

__all__ = ["bench"]


def bench(
    protocol: Annotated[str, typer.Argument(help="norman-additive, norman-holdout, rpe1, k562 or adamson.")],
    path: Annotated[Path, typer.Argument(help="h5ad file of the download.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for splits, tables, JSON and a page.")],
    method: Annotated[list[str] | None, typer.Option(help="Predictor; repeat for more. flow by default.")] = None,
    priors: Annotated[Path | None, typer.Option(help="Folder of saved priors.")] = None,
    gene_sets: Annotated[list[Path] | None, typer.Option(help="GMT file to make an embedding of; repeat.")] = None,
    splits: Annotated[int | None, typer.Option(help="Splits or folds; those of the protocol by default.")] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds each method is run with.")] = 1,
    genes: Annotated[int, typer.Option(help="Genes to keep, by their mean in controls.")] = 2000,
    control: Annotated[str | None, typer.Option(help="Label of the control cells, where it is unusual.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run a published protocol on your download: every predictor, baseline and control."""
    from insignia import perturb
    from insignia.data.gene_priors import GenePriors
    from insignia.perturb.protocols import run_protocol

    known = None if priors is None else perturb.load_priors(priors)
    if known is None and gene_sets:
        known = GenePriors(embedding=perturb.from_gene_sets(perturb.read_gene_sets(*gene_sets)))
    board = run_protocol(
        protocol,
        path,
        output,
        methods=method or ["flow"],
        priors=known,
        seeds=tuple(range(seeds)),
        n_splits=splits,
        genes=genes,
        control=control,
        show_progress=False if as_json else None,
    )
    emit(board.record(), as_json=as_json, text=str(board))
