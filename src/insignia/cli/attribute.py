"""`insignia attribute` and `insignia score`: files in, files out."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from insignia.cli.output import JsonFlag, emit, parse_steps

__all__ = ["attribute", "score"]


def attribute(
    cells: Annotated[Path, typer.Argument(help="Cells: h5ad (read in blocks), 10x h5, 10x mtx folder or zarr.")],
    model: Annotated[Path, typer.Option("-m", "--model", help="Directory of a model.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The h5ad file to write.")],
    method: Annotated[str, typer.Option(help="Attribution method.")] = "integrated_gradients",
    target: Annotated[
        str, typer.Option(help="What is attributed: self, or self_abs as in the published atlas.")
    ] = "self",
    n_steps: Annotated[str, typer.Option(help="Steps on the path, or auto.")] = "50",
    signed: Annotated[bool, typer.Option("--signed", help="Keep the sign.")] = False,
    layer: Annotated[str | None, typer.Option(help="Layer with counts or log1p; X by default.")] = None,
    input_space: Annotated[str | None, typer.Option(help="counts or log1p; detected by default.")] = None,
    gene_symbols: Annotated[str | None, typer.Option(help="var column with gene symbols.")] = None,
    gene_ids: Annotated[str | None, typer.Option(help="var column with Ensembl ids.")] = None,
    lean: Annotated[bool, typer.Option("--lean", help="Write attributions without expression.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Score how much each gene moves each cell's embedding."""
    from insignia.attribution import AttributeOptions, PathOptions
    from insignia.core import keys
    from insignia.workflows import attribute_file

    options = AttributeOptions(method, target, signed=signed, path=PathOptions(n_steps=parse_steps(n_steps)))
    adata = attribute_file(
        cells,
        model,
        output,
        options=options,
        layer=layer,
        input_space=cast(Any, input_space),
        gene_symbols=gene_symbols,
        gene_ids=gene_ids,
        keep_expression=not lean,
        show_progress=False if as_json else None,
    )
    index = adata.var[keys.gene_index()]
    emit(
        {
            "output": str(output),
            "cells": adata.n_obs,
            "genes": adata.n_vars,
            "genes_in_model": int((index >= 0).sum()),
            "median_gap": float(adata.obs[keys.gap()].median()),
            **{name: adata.uns[keys.ATTRIBUTION][name] for name in ("model", "method", "target", "input_space")},
        },
        as_json=as_json,
    )


def score(
    cells: Annotated[Path, typer.Argument(help="Attributed cells, h5ad.")],
    signature: Annotated[
        str, typer.Argument(help="Bundled name (MS1), genes (IL1B,S100A8), FILE.gmt:SET or FILE.toml.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Table to write: .csv, .tsv or .parquet.")],
    layer: Annotated[str, typer.Option(help="Layer to score; X for expression.")] = "attribution",
    agg: Annotated[str, typer.Option(help="mean, sum or weighted_mean.")] = "mean",
    as_json: JsonFlag = False,
) -> None:
    """Score a signature in every cell of a file, into a table."""
    from insignia import tl
    from insignia.cli.signatures import parse_signature
    from insignia.data import read, write_table

    adata = read(cells)
    made = parse_signature(signature)
    tl.score(adata, made, layer=None if layer == "X" else layer, agg=agg, key_added="score")
    table = adata.obs[["score"]].rename_axis("barcode").reset_index()
    write_table(table, output)
    values = adata.obs["score"]
    emit(
        {
            "output": str(output),
            "signature": made.name,
            "cells": adata.n_obs,
            "mean": values.mean(),
            "max": values.max(),
        },
        as_json=as_json,
    )
