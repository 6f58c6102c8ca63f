"""`insignia search`: where in an atlas is a signature active."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from insignia.cli.cell_options import AtlasPath
from insignia.cli.filter_options import (
    InVivoOption,
    KeepUnknownOption,
    MaxDistanceOption,
    MaxGapOption,
    MaxGenesOption,
    MaxMitoOption,
    MinCountsOption,
    MinGenesOption,
    PrimaryOption,
)
from insignia.cli.output import JsonFlag, emit

if TYPE_CHECKING:
    import pandas as pd

    from insignia.atlas import Comparison

__all__ = ["search"]


def search(
    atlas: AtlasPath,
    signature: Annotated[
        str, typer.Argument(help="Bundled name (MS1), genes (IL1B,S100A8), FILE.gmt:SET or FILE.toml.")
    ],
    where: Annotated[
        str | None, typer.Option(help="SQL expression over the metadata, e.g. \"tissue = 'blood'\".")
    ] = None,
    by: Annotated[str, typer.Option(help="Group samples by disease, tissue or study.")] = "disease",
    stratum: Annotated[str | None, typer.Option(help="Split samples by a metadata column, e.g. cell_type.")] = None,
    rule: Annotated[
        str, typer.Option(help="Hit rule: percentile, quantile, healthy_quantile, null, mad or value.")
    ] = "percentile",
    cut: Annotated[
        float | None,
        typer.Option(help="Percentile (0-100, 90 unless told), quantile (0-1), robust standard deviations, or value."),
    ] = None,
    within: Annotated[
        str | None, typer.Option(help="Metadata column each of whose values gets its own cut-off, e.g. cell_type.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Cells to take cut-offs from, e.g. \"disease = 'normal'\"."),
    ] = None,
    cutoff: Annotated[
        str | None, typer.Option(help="Use the cut-off that is kept with the atlas under this name.", metavar="NAME")
    ] = None,
    save_cutoff: Annotated[
        str | None, typer.Option(help="Keep the cut-off with the atlas under this name.", metavar="NAME")
    ] = None,
    agg: Annotated[str, typer.Option(help="mean, sum or weighted_mean.")] = "mean",
    min_coverage: Annotated[float, typer.Option(help="Leave out studies that measured less of the signature.")] = 0.5,
    min_cells: Annotated[int, typer.Option(help="Leave out samples with fewer scored cells.")] = 25,
    min_samples: Annotated[int, typer.Option(help="Mark groups with fewer samples.")] = 3,
    compare: Annotated[
        str | None, typer.Option(help="Group to compare the others with, by donor, e.g. normal.", metavar="GROUP")
    ] = None,
    test: Annotated[str, typer.Option(help="van_elteren, meta, beta_binomial or mann_whitney.")] = "van_elteren",
    min_genes: MinGenesOption = None,
    max_genes: MaxGenesOption = None,
    min_counts: MinCountsOption = None,
    max_pct_mito: MaxMitoOption = None,
    max_gap: MaxGapOption = None,
    max_distance: MaxDistanceOption = None,
    in_vivo: InVivoOption = False,
    primary: PrimaryOption = False,
    keep_unknown: KeepUnknownOption = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Report to write, .html.")] = None,
    table: Annotated[Path | None, typer.Option(help="Sample table to write: .csv, .tsv or .parquet.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Search a signature: hits per sample, groups ranked, a table and a report."""
    from insignia.atlas import Atlas, CellFilters
    from insignia.cli.signatures import parse_signature
    from insignia.data import write_table
    from insignia.report import search_report

    filters = CellFilters(
        min_genes=min_genes,
        max_genes=max_genes,
        min_counts=min_counts,
        max_pct_mito=max_pct_mito,
        max_gap=max_gap,
        max_distance=max_distance,
        in_vivo=in_vivo,
        primary=primary,
        keep_unknown=keep_unknown,
    )
    opened = Atlas.open(atlas)
    found = parse_signature(signature)
    result = opened.search(found, where=where, agg=agg, min_coverage=min_coverage, filters=filters)  # type: ignore[arg-type]
    params = {} if cut is None else {{"value": "value", "mad": "k"}.get(rule, "q"): cut}
    stored = None if cutoff is None else opened.cutoffs[cutoff]
    hits = result.call(rule if stored is None else stored, within=within, reference=reference, **params)
    if save_cutoff is not None:
        opened.save_cutoff(save_cutoff, hits)
    samples = hits.by_sample(stratum, min_cells=min_cells)
    summary = samples.summary(by, min_samples=min_samples)
    comparison = samples.compare(by, reference=compare, test=test) if compare is not None else None
    if table is not None:
        write_table(samples.table, table)
    if output is not None:
        command = shlex.join(["insignia", *sys.argv[1:]])
        search_report(
            result, hits, samples, output, by=by, min_samples=min_samples, command=command, comparison=comparison
        )
    facts = {
        **hits.about(),
        "samples": len(samples),
        "excluded": len(samples.excluded),
        "genes": result.match.summary(),
    }
    written = {"report": output, "table": table}
    compared = {} if comparison is None else {"comparison": comparison.table.to_dict("records")}
    emit(
        {
            **facts,
            **compared,
            **{name: str(path) for name, path in written.items() if path},
            "groups": summary.to_dict("records"),
        },
        as_json=as_json,
        text=_text(facts, _shown(summary, comparison), written),
    )


def _shown(summary: "pd.DataFrame", comparison: "Comparison | None") -> str:
    groups = summary.head(15).to_string(index=False, float_format="{:.3f}".format)
    if comparison is None:
        return groups
    from insignia.report import verdict

    columns = ["group", "stratum", "donors", "studies_with_both", "shift", "low", "high", "p", "q", "note"]
    rows = comparison.table.head(15)[columns].to_string(index=False, float_format="{:.3g}".format)
    return f"{groups}\n\n{rows}\n\n{verdict(comparison)}"


def _text(facts: dict[str, object], groups: str, written: dict[str, Path | None]) -> str:
    lines = [
        f"{facts['signature']}: {facts['hits']:,} hits of {facts['cells']:,} cells above {facts['cutoff']}",
        *(
            f"filter {step['name']}: dropped {step['dropped']:,} of {step['before']:,} cells"
            + (f", {step['unknown']:,} for want of a value" if step["unknown"] else "")
            for step in cast("list[dict[str, Any]]", facts["filters"])
        ),
        f"genes: {facts['genes']}",
        f"{facts['samples']} samples, {facts['excluded']} put aside",
        "",
        groups,
    ]
    return "\n".join([*lines, *(f"{name}: {path}" for name, path in written.items() if path)])
