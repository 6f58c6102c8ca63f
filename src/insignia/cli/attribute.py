"""`insignia attribute` and `insignia score`: files in, files out."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from insignia.cli.attribution_options import (
    DeviceOption,
    GeneIdsOption,
    GeneSymbolsOption,
    InputSpaceOption,
    InterpolateOption,
    LayerOption,
    MethodOption,
    MinOverlapOption,
    PrecisionOption,
    SignedFlag,
    StepsOption,
    TargetOption,
)
from insignia.cli.output import JsonFlag, OverwriteFlag, emit, parse_steps
from insignia.core.errors import InputError

__all__ = ["attribute", "score"]


def attribute(
    cells: Annotated[Path, typer.Argument(help="Cells: h5ad (read in blocks), 10x h5, 10x mtx folder or zarr.")],
    model: Annotated[Path, typer.Option("-m", "--model", help="Directory of a model.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The h5ad file to write; with shards, the folder of their parts.")
    ],
    method: MethodOption = "integrated_gradients",
    target: TargetOption = "self",
    n_steps: StepsOption = "50",
    interpolate: InterpolateOption = "values",
    signed: SignedFlag = False,
    layer: LayerOption = None,
    input_space: InputSpaceOption = None,
    gene_symbols: GeneSymbolsOption = None,
    gene_ids: GeneIdsOption = None,
    min_overlap: MinOverlapOption = 0.05,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "float32",
    lean: Annotated[bool, typer.Option("--lean", help="Write attributions without expression, as parts are.")] = False,
    shards: Annotated[int | None, typer.Option(help="Write this many parts; those that are there are kept.")] = None,
    shard: Annotated[str | None, typer.Option(help="Write only this part, e.g. 3/40.")] = None,
    processes: Annotated[int, typer.Option(help="Processes of this machine that share the shards.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a dask scheduler whose workers take the shards.")
    ] = None,
    overwrite: OverwriteFlag = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it will cost, and write nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Score how much each gene moves each cell's embedding."""
    from insignia.attribution import AttributeOptions, PathOptions

    path = PathOptions(n_steps=parse_steps(n_steps), interpolate=cast("Any", interpolate))
    number, n_shards, executor = _shards(shards, shard, processes, scheduler)
    settings = {
        "options": AttributeOptions(
            method,
            target,
            signed=signed,
            path=path,
            device=device,
            precision=cast("Any", precision),
            min_overlap=min_overlap,
        ),
        "layer": layer,
        "input_space": input_space,
        "gene_symbols": gene_symbols,
        "gene_ids": gene_ids,
    }
    show = False if as_json else None
    if overwrite and n_shards:
        raise InputError("--overwrite replaces one file, and parts that are there are kept. Remove their folder first.")
    if dry_run:
        result = _cost(cells, model, n_shards=n_shards or 1, keep_expression=not (lean or n_shards), **settings)
    elif number:
        result = _one_part(cells, model, output, shard=number, n_shards=n_shards, show_progress=show, **settings)
    elif n_shards:
        result = _parts(cells, model, output, n_shards=n_shards, executor=executor, show_progress=show, **settings)
    else:
        writing = {"keep_expression": not lean, "overwrite": overwrite, "show_progress": show}
        result = _file(cells, model, output, **writing, **settings)
    emit(result, as_json=as_json)


def _shards(shards: int | None, shard: str | None, processes: int, scheduler: str | None) -> tuple[int, int, int | str]:
    """Which shard (0 for all), of how many (0 for no shards), and where they run."""
    from insignia.workflows import parse_shard

    elsewhere = [name for name, given in (("--scheduler", scheduler), ("--processes", processes != 1)) if given]
    if len(elsewhere) > 1:
        raise InputError("Shards run on --scheduler or in --processes of this machine; found both. Leave one out.")
    if elsewhere and (shards is None or shard is not None):
        raise InputError(f"{elsewhere[0]} shares out all shards of a run. Say how many with --shards, without --shard.")
    if shards is not None and shards < 1:
        raise InputError(f"--shards takes a number from 1; found {shards}.")
    number, n_shards = parse_shard(shard) if shard is not None else (0, shards or 0)
    if shards is not None and n_shards != shards:
        raise InputError(f"--shard {shard} is one of {n_shards:,} and --shards says {shards:,}. Leave --shards out.")
    return number, n_shards, scheduler or processes


def _file(cells: Path, model: Path, output: Path, **settings: Any) -> dict[str, Any]:
    from insignia.core import keys
    from insignia.workflows import attribute_file

    adata = attribute_file(cells, model, output, **settings)
    index, facts = adata.var[keys.gene_index()], adata.uns[keys.ATTRIBUTION]
    return {
        "output": str(output),
        "cells": adata.n_obs,
        "genes": adata.n_vars,
        "genes_in_model": int((index >= 0).sum()),
        "median_gap": float(adata.obs[keys.gap()].median()),
        **{name: facts[name] for name in ("model", "method", "target", "input_space", "device")},
        **{name: float(facts[name]) for name in ("precision_error", "precision_error_worst") if name in facts},
    }


def _one_part(cells: Path, model: Path, output: Path, **settings: Any) -> dict[str, Any]:
    from insignia.workflows import attribute_shard

    part = attribute_shard(cells, model, output, **settings)
    return {"output": str(output / part.path.name), "shard": part.shard, "cells": part.n_cells, "is_new": part.is_new}


def _parts(cells: Path, model: Path, output: Path, **settings: Any) -> dict[str, Any]:
    from insignia.workflows import attribute_shards

    report = attribute_shards(cells, model, output, **settings)
    return {
        "output": str(output),
        "cells": report.n_cells,
        "shards": report.n_shards,
        "written": len(report.written),
        "kept": len(report.kept),
        "median_gap": report.median_gap,
        **({} if report.precision_error is None else {"precision_error_worst": report.precision_error}),
    }


def _cost(cells: Path, model: Path, **settings: Any) -> dict[str, Any]:
    from insignia.workflows import estimate_attribution

    return asdict(estimate_attribution(cells, model, **settings))


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
