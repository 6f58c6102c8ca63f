"""`insignia ms1`: the published question from end to end, with a test of donors."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from insignia.cli.cell_options import AtlasPath
from insignia.cli.output import JsonFlag, emit

__all__ = ["ms1"]


def ms1(
    atlas: AtlasPath,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")],
    signature: Annotated[
        str, typer.Option(help="Bundled name (MS1), genes (IL1B,S100A8), FILE.gmt:SET or FILE.toml.")
    ] = "MS1",
    cell_type: Annotated[
        list[str] | None,
        typer.Option(help="Cell type to search, may be repeated; all monocytes and macrophages by default."),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="Further SQL expression over the metadata, e.g. \"tissue = 'blood'\".")
    ] = None,
    by: Annotated[str, typer.Option(help="Groups: disease, tissue or study.")] = "disease",
    reference: Annotated[str, typer.Option(help="Group to compare the others with.")] = "normal",
    test: Annotated[str, typer.Option(help="van_elteren, meta, beta_binomial or mann_whitney.")] = "van_elteren",
    rule: Annotated[str, typer.Option(help="Hit rule: percentile, quantile, mad or value.")] = "percentile",
    cut: Annotated[float, typer.Option(help="Percentile (0-100), quantile (0-1), deviations, or value.")] = 90.0,
    min_cells: Annotated[int, typer.Option(help="Leave out samples with fewer scored cells.")] = 25,
    min_samples: Annotated[int, typer.Option(help="Mark groups with fewer samples.")] = 3,
    min_coverage: Annotated[float, typer.Option(help="Leave out studies that measured less of the signature.")] = 0.5,
    leave_out: Annotated[
        bool, typer.Option(help="Compare again without each study and without each gene in turn.")
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """Search MS1 in monocytes and macrophages, rank diseases by a test of donors, and write a report."""
    from insignia.cli.signatures import parse_signature
    from insignia.workflows import Ms1Options
    from insignia.workflows import ms1 as run
    from insignia.workflows.ms1 import summary_of

    options = Ms1Options(
        signature=parse_signature(signature),
        cell_types=tuple(cell_type or ()),
        where=where,
        rule=rule,
        cut=cut,
        by=by,
        reference=reference,
        test=test,
        min_cells=min_cells,
        min_samples=min_samples,
        min_coverage=min_coverage,
        leave_out=leave_out,
    )
    answer = run(atlas, output, options, command=shlex.join(["insignia", *sys.argv[1:]]))
    summary = {"report": str(output / "report.html"), **summary_of(answer)}
    emit(summary, as_json=as_json, text=_text(summary))


def _text(summary: dict[str, Any]) -> str:
    import pandas as pd

    table = pd.DataFrame(summary["ranking"]).drop(columns="note", errors="ignore")
    return "\n".join(
        [
            f"{summary['signature']}: {summary['hits']:,} hits of {summary['cells']:,} cells, "
            f"{summary['samples']:,} samples, {summary['donors']:,} donors",
            *(f"not done: {note}" for note in summary["not_done"]),
            "",
            table.to_string(index=False, float_format="{:.3g}".format),
            "",
            summary["verdict"],
            f"report: {summary['report']}",
        ]
    )
