"""`insignia screen` and `insignia programs`: many signatures over groups of cells, and which of them stand out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from insignia.cli.cell_options import AtlasPath
from insignia.cli.output import JsonFlag, emit

if TYPE_CHECKING:
    import pandas as pd

    from insignia.atlas import Screen
    from insignia.atlas.screens.signature_list import Signatures

__all__ = ["programs", "screen"]

SignaturesArgument = Annotated[
    str, typer.Argument(help="GMT file, or names of bundled signatures with commas between; all for every bundled one.")
]
WhereOption = Annotated[str | None, typer.Option(help="SQL expression over the metadata, e.g. \"tissue = 'blood'\".")]
CoverageOption = Annotated[
    float, typer.Option(help="Leave out studies that measured less of a signature.", metavar="SHARE")
]
AggOption = Annotated[str, typer.Option(help="mean, sum or weighted_mean.")]
MergeOption = Annotated[
    bool, typer.Option("--merge-up-down", help="Join sets NAME_UP and NAME_DN of a GMT file into a signed one, NAME.")
]
VolcanoOption = Annotated[Path | None, typer.Option(help="Volcano plot to write: .png, .pdf or .svg.")]
LevelOption = Annotated[float, typer.Option(help="False discovery rate.")]


def screen(
    atlas: AtlasPath,
    signatures: SignaturesArgument = "all",
    where: WhereOption = None,
    column: Annotated[
        list[str] | None, typer.Option(help="Column that forms groups; sample by cell type by default. Repeatable.")
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="Group to compare the others with, by donor, e.g. normal.", metavar="GROUP")
    ] = None,
    by: Annotated[str, typer.Option(help="Column whose values are compared.")] = "disease",
    stratum: Annotated[
        str, typer.Option(help="Column each of whose values is compared by itself, or none.")
    ] = "cell_type",
    test: Annotated[str, typer.Option(help="van_elteren, meta or mann_whitney.")] = "van_elteren",
    alpha: LevelOption = 0.05,
    min_cells: Annotated[int, typer.Option(help="Leave out samples with fewer cells from the comparison.")] = 25,
    agg: AggOption = "mean",
    merge_up_down: MergeOption = False,
    min_coverage: CoverageOption = 0.5,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Scores to write: .csv, .tsv, .parquet or .h5ad.")
    ] = None,
    table: Annotated[Path | None, typer.Option(help="Comparison to write: .csv, .tsv or .parquet.")] = None,
    volcano: VolcanoOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Score all signatures of a GMT file in all groups of cells, and compare groups of donors."""
    from insignia.atlas import Atlas
    from insignia.core.errors import InputError
    from insignia.data import write_table

    if compare is None and (table or volcano):
        raise InputError("--table and --volcano show a comparison: name its reference, e.g. --compare normal.")
    found = Atlas.open(atlas).screen(
        _signatures(signatures, merge_up_down=merge_up_down),
        where=where,
        columns=column,
        agg=cast("Any", agg),
        min_coverage=min_coverage,
    )
    facts: dict[str, Any] = {
        "signatures": len(found.signatures),
        "groups": len(found.groups),
        "cells": int(found.groups["cells"].sum()),
        "unscored": found.unscored().to_dict("records"),
    }
    written = {"scores": output, "table": table, "volcano": volcano}
    text = [f"{facts['signatures']:,} signatures in {facts['groups']:,} groups of {facts['cells']:,} cells"]
    if compare is not None:
        layer = None if stratum in ("none", "") else stratum
        result = found.compare(by, reference=compare, stratum=layer, test=test, alpha=alpha, min_cells=min_cells)
        facts |= {"sentence": result.sentence(), "comparison": result.table.to_dict("records")}
        text += ["", _shown(result.table, ["signature", "group", "stratum"]), "", result.sentence()]
        if table is not None:
            write_table(result.table, table)
        if volcano is not None:
            from insignia.report import save_figure, volcano_figure

            save_figure(volcano_figure(result), volcano)
    # a comparison that is refused leaves nothing behind
    if output is not None:
        _write_scores(found, output)
    facts |= {name: str(path) for name, path in written.items() if path}
    text += [f"{name}: {path}" for name, path in written.items() if path]
    emit(facts, as_json=as_json, text="\n".join(text))


def programs(
    atlas: AtlasPath,
    where: Annotated[str, typer.Option(help="Cells to ask about, an SQL expression over the metadata.")],
    reference: Annotated[str, typer.Option(help="Cells to compare them with, another expression.")],
    signatures: SignaturesArgument = "all",
    alpha: LevelOption = 0.05,
    min_cells: Annotated[int, typer.Option(help="Leave out samples with fewer such cells.")] = 25,
    agg: AggOption = "mean",
    merge_up_down: MergeOption = False,
    min_coverage: CoverageOption = 0.5,
    table: Annotated[Path | None, typer.Option(help="Programs to write: .csv, .tsv or .parquet.")] = None,
    genes: Annotated[Path | None, typer.Option(help="Genes to write: .csv, .tsv or .parquet.")] = None,
    volcano: VolcanoOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Tell which programs and genes stand out in some cells, donors being the units."""
    from insignia.atlas import Atlas
    from insignia.data import write_table

    found = Atlas.open(atlas).rank_programs(
        where,
        reference=reference,
        signatures=_signatures(signatures, merge_up_down=merge_up_down),
        alpha=alpha,
        min_cells=min_cells,
        agg=cast("Any", agg),
        min_coverage=min_coverage,
    )
    written = {"table": table, "genes": genes, "volcano": volcano}
    for rows, path in ((found.programs, table), (found.genes, genes)):
        if path is not None:
            write_table(rows, path)
    if volcano is not None:
        from insignia.report import save_figure, volcano_figure

        save_figure(volcano_figure(found.comparison()), volcano)
    paths = {name: str(path) for name, path in written.items() if path}
    facts = {
        "sentence": found.sentence(),
        "paired": found.is_paired,
        "programs": found.programs.to_dict("records"),
        "leading_genes": found.genes.head(20).to_dict("records"),
        "written": paths,
    }
    text = [_shown(found.programs, ["signature"]), "", _shown(found.genes, ["gene"]), "", found.sentence()]
    emit(facts, as_json=as_json, text="\n".join([*text, *(f"{name}: {path}" for name, path in paths.items())]))


def _signatures(text: str, *, merge_up_down: bool) -> "Signatures":
    if text == "all":
        return None
    if text.endswith((".gmt", ".gmt.gz")) and merge_up_down and Path(text).is_file():
        from insignia.genes import read_gmt

        return list(read_gmt(text, merge_up_down=True).values())
    if text.endswith((".gmt", ".gmt.gz")):
        return Path(text)
    return [name.strip() for name in text.split(",")]


def _shown(table: "pd.DataFrame", names: list[str]) -> str:
    columns = [*names, "donors", "reference_donors", "effect", "shift", "p", "q"]
    return table.head(15)[columns].to_string(index=False, float_format="{:.3g}".format)


def _write_scores(found: "Screen", path: Path) -> None:
    from insignia.data import write_h5ad, write_table

    if path.suffix == ".h5ad":
        write_h5ad(found.to_adata(), path)
    else:
        write_table(found.frame(), path)
