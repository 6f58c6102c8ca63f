"""`insignia atlas pseudobulk` and `insignia atlas regroup`: means over groups of cells, exported and stored."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from insignia.cli.cell_options import AtlasPath
from insignia.cli.output import JsonFlag, emit

__all__ = ["pseudobulk", "regroup"]

WhereOption = Annotated[str | None, typer.Option(help="SQL expression over the metadata that chooses cells.")]


def pseudobulk(
    atlas: AtlasPath,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write, .h5ad.")],
    by: Annotated[
        list[str] | None,
        typer.Option(help="Column that forms groups; study, donor and cell_type by default. Repeatable."),
    ] = None,
    where: WhereOption = None,
    min_cells: Annotated[int, typer.Option(help="Leave out groups with fewer cells.")] = 1,
    genes: Annotated[str, typer.Option(help="shared: genes all groups measured; all: also others, NaN.")] = "shared",
    as_json: JsonFlag = False,
) -> None:
    """Write the mean attributions of groups of cells as AnnData, groups x genes."""
    from insignia.atlas import Atlas
    from insignia.data import write_h5ad

    made = Atlas.open(atlas).pseudobulk(by, where=where, min_cells=min_cells, genes=cast("Any", genes))
    write_h5ad(made, output)
    facts = {"groups": made.n_obs, "genes": made.n_vars, "cells": int(made.obs["psbulk_cells"].sum())}
    emit({**facts, **made.uns["pseudobulk"], "written": str(output)}, as_json=as_json)


def regroup(
    atlas: AtlasPath,
    column: Annotated[
        list[str] | None, typer.Option(help="Column that forms groups; sample by cell type by default. Repeatable.")
    ] = None,
    where: WhereOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Compute the means of groups of cells again and store them, so that screens by these take no time."""
    from dataclasses import asdict

    from insignia.atlas import Atlas

    emit(asdict(Atlas.open(atlas).regroup(column, where=where, progress=False if as_json else None)), as_json=as_json)
