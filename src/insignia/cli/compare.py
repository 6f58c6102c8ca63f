"""`insignia compare`: one signature scored by attribution and by other methods, into a table and a figure."""

from pathlib import Path
from typing import Annotated, Any

import typer

from insignia.cli.attribution_options import LayerOption
from insignia.cli.output import JsonFlag, emit

__all__ = ["compare"]


def compare(
    cells: Annotated[Path, typer.Argument(help="Cells with expression, and attributions for that score, h5ad.")],
    signature: Annotated[
        str, typer.Argument(help="Bundled name (MS1), genes (IL1B,S100A8), FILE.gmt:SET or FILE.toml.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Table of scores to write: .csv, .tsv or .parquet.")
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Some of attribution, log_expression, z_score, tf_idf, score_genes, ucell, aucell, ulm; with commas."
        ),
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Metadata column that marks cells.")] = None,
    positive: Annotated[
        list[str] | None, typer.Option(help="Value of it where the signature should be high; may be repeated.")
    ] = None,
    donors: Annotated[str | None, typer.Option(help="Metadata column; cells are told apart within each donor.")] = None,
    attribution: Annotated[str, typer.Option(help="Layer with attributions.")] = "attribution",
    layer: LayerOption = None,
    min_coverage: Annotated[float, typer.Option(help="Refuse a signature of which less is measured.")] = 0.5,
    figure: Annotated[Path | None, typer.Option(help="Figure to write, .png, .pdf or .svg.")] = None,
    summary: Annotated[
        Path | None, typer.Option(help="Table of AUROCs by method and donor to write; needs --labels.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score the same signature on the same cells by several methods, side by side."""
    from insignia import tl
    from insignia.cli.signatures import parse_signature
    from insignia.core import keys
    from insignia.core.errors import InputError
    from insignia.data import read, write_table

    if summary is not None and labels is None:
        raise InputError("--summary writes AUROCs, which need --labels and --positive.")
    adata = read(cells)
    made = parse_signature(signature)
    tl.compare_scores(
        adata,
        made,
        methods=None if methods is None else [name.strip() for name in methods.split(",")],
        attribution=attribution,
        layer=layer,
        labels=labels,
        positive=positive,
        donors=donors,
        min_coverage=min_coverage,
        key_added="score",
    )
    facts = adata.uns["score"]
    if output is not None:
        named = {keys.method_score("score", name): name for name in facts["methods"]}
        table = adata.obs[list(named)].rename(columns=named)
        write_table(table.rename_axis("barcode").reset_index(), output)
    if summary is not None:
        write_table(facts["auroc"], summary)
    if figure is not None:
        from insignia.report import compare_scores_figure, save_figure

        save_figure(compare_scores_figure(adata, "score"), figure)
    written = {"scores": output, "aurocs": summary, "figure": figure}
    emit(
        {
            "signature": made.name,
            "cells": adata.n_obs,
            **_found(facts),
            **{name: str(path) for name, path in written.items() if path},
        },
        as_json=as_json,
    )


def _found(facts: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"methods": facts["methods"], "left_out": facts["left_out"]}
    if "auroc" in facts:
        grouped = facts["auroc"].groupby("method")
        table = grouped[["auroc", "shuffled"]].mean().assign(sd=grouped["auroc"].std(), donors=grouped["auroc"].count())
        found["auroc"] = table.sort_values("auroc", ascending=False).round(4).to_dict("index")
    if "attribution" in facts["methods"]:
        found["spearman_with_attribution"] = facts["spearman"]["attribution"].round(4).to_dict()
    return found
