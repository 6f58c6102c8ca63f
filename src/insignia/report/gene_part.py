"""What single genes do to an answer: what each adds to the score, and what changes without it."""

from typing import TYPE_CHECKING

import pandas as pd

from insignia.core import keys
from insignia.report.attribution_figures import attribution_dots_figure
from insignia.report.contribution_figures import contributions_figure
from insignia.report.parts import Lead, Part, Picture, Table
from insignia.report.style import p_value

if TYPE_CHECKING:
    from insignia.atlas import Comparison, Hits

__all__ = ["gene_parts"]

_FIRST = 20


def gene_parts(comparison: "Comparison", hits: "Hits", *, max_rows: int, leave_out: bool) -> list[Part]:
    """Return the parts of the section about genes.

    Parameters
    ----------
    comparison
        Its first row names the group whose genes are drawn.
    hits
        The hits whose sample table was compared.
    max_rows
        Rows of each table on the page.
    leave_out
        Score, call and compare again without each gene; this takes about as long as a comparison a gene.
    """
    parts = _contributions(comparison, hits)
    if leave_out and len(comparison.table):
        parts += _left_out(comparison, hits, max_rows)
    return parts


def _contributions(comparison: "Comparison", hits: "Hits") -> list[Part]:
    result, by, reference = hits.result, comparison.by, comparison.reference
    if not len(comparison.table):
        return []
    group = str(comparison.table["group"].iloc[0])
    found = result.contributions(by)
    parts: list[Part] = []
    if {group, reference} <= set(found.labels):
        said = (
            f"What each gene adds to the mean score of {group} and of {reference}, each donor with one voice; genes "
            "with the largest difference first. A few genes that carry most of it are a reason to look at them."
        )
        parts.append(Picture(contributions_figure(found, group, reference=reference, top=_FIRST), said))
    if keys.CELL_TYPE in result.snapshot.columns:
        types = result.contributions(keys.CELL_TYPE)
        if 1 < len(types.groups) <= _FIRST:
            said = "Mean attribution of the signature's strongest genes in each cell type that was searched."
            parts.append(Picture(attribution_dots_figure(types, top=30), said))
    return parts


def _left_out(comparison: "Comparison", hits: "Hits", max_rows: int) -> list[Part]:
    from insignia.atlas.left_out import left_out_ranges

    name = hits.result.signature.name
    table = comparison.without_each_gene(hits)
    if not len(table):
        return ["The signature has one gene here, so none can be left out."]
    ranges = left_out_ranges(table)
    ranges = ranges if (ranges["stratum"] != "all").any() else ranges.drop(columns="stratum")
    table = table.rename(columns={"without": "gene"})
    table = table if (table["stratum"] != "all").any() else table.drop(columns="stratum")
    others = table["group"] != comparison.table["group"].iloc[0]
    order = table.assign(others=others, size=table["shift_change"].abs())
    order = order.sort_values(["others", "size"], ascending=[True, False], kind="stable").drop(
        columns=["others", "size"]
    )
    return [
        Lead(_verdict(comparison, ranges)),
        Table(
            ranges,
            "Scored, called and compared again without each gene in turn: how far shift, p and rank move, and the gene "
            "without which p is highest.",
            name=f"{name}-leave-one-gene-out",
            max_rows=max_rows,
        ),
        Table(
            order,
            f"Each gene's part: score is how much higher the mean score is than that of {comparison.reference} without "
            "the gene; the genes that move the first group's shift most come first.",
            name=f"{name}-without-each-gene",
            max_rows=min(max_rows, _FIRST),
        ),
    ]


def _verdict(comparison: "Comparison", ranges: pd.DataFrame) -> str:
    """Say whether what was called hangs on one gene."""
    table = comparison.table
    called = table[table["testable"].astype(bool) & (table["q"] <= comparison.alpha)]
    if not len(called):
        return "No group was called, so nothing hangs on a gene; the tables say how far single genes move the numbers."
    keyed = [column for column in ("group", "stratum") if column in ranges]
    found = called[keyed].merge(ranges, on=keyed)
    weak = found[found["p_highest"] > comparison.alpha]
    if not len(weak):
        named = ", ".join(dict.fromkeys(found["group"].head(5)))
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        differs = "differs" if len(found) == 1 else "differ"
        return f"{named}{more} still {differs} from {comparison.reference} without any single gene, p at most " + (
            f"{p_value(found['p_highest'].max())}."
        )
    named = ", ".join(f"{row.group} (without {row.hangs_on})" for row in weak.head(5).itertuples())
    return f"The result hangs on one gene for {named}: without it p is above {comparison.alpha:g}."
