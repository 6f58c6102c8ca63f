"""The methods of a search in a paragraph that can stand in a paper: model, score, hits, units, test, versions."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from insignia.report.answers import unit_of
from insignia.report.comparison_part import HOW
from insignia.report.style import count, percent

if TYPE_CHECKING:
    from insignia.atlas import Comparison, Hits, SampleTable, SearchResult

__all__ = ["combined", "methods", "rule_of"]

_SIGNS: Final = {"absolute": "absolute values", "signed": "signed values"}


def methods(
    result: "SearchResult", hits: "Hits", table: "SampleTable", by: str, comparison: "Comparison | None"
) -> list[str]:
    """Write the paragraphs."""
    return [
        f"{_attribution(result)} {_selection(result)}",
        f"{_score(result)} {_hits(hits, table)}",
        _statistics(by, comparison),
    ]


def combined(agg: str) -> str:
    """Say how genes were combined."""
    return {"mean": "mean", "sum": "sum", "weighted_mean": "weighted mean"}.get(agg, agg) + " attribution"


def rule_of(hits: "Hits") -> str:
    """Say the hit rule with its parameters."""
    params = ", ".join(f"{name} = {value:g}" for name, value in hits.params.items())
    return f"rule {hits.rule}, {params}" if params else f"rule {hits.rule}"


def _attribution(result: "SearchResult") -> str:
    manifest = result.snapshot.manifest
    record = manifest.record
    steps = f" with {record.n_steps} steps" if record.n_steps else ""
    scale = f", rows scaled to {record.scale:,.0f}" if record.scale else ""
    return (
        f"Attributions of {manifest.cells:,} cells of {count(len(manifest.studies), 'study')} were those of the model "
        f"{record.model} (fingerprint {record.fingerprint[:12]}) by {record.method.replace('_', ' ')}{steps} from the "
        f"{record.baseline} baseline, target {record.target}, {_SIGNS.get(record.sign, record.sign)}{scale}; atlas "
        f"sha256 {manifest.sha256()[:12]}."
    )


def _selection(result: "SearchResult") -> str:
    where = f"cells where {result.where}" if result.where else "all cells"
    dropped = [
        f"{step.name} dropped {step.dropped:,} of {step.before:,}"
        + (f" ({step.unknown:,} because the value is missing)" if step.unknown else "")
        for step in result.filters
    ]
    filters = f" after the filters {'; '.join(dropped)}" if dropped else ""
    return f"Searched were {where}{filters}: {len(result):,} cells."


def _score(result: "SearchResult") -> str:
    made = result.signature
    source = f" (doi:{made.doi.removeprefix('doi:').removeprefix('https://doi.org/')})" if made.doi else ""
    return (
        f"The score of a cell for {made.name}{source}, sha256 {made.sha256[:12]}, is the {combined(result.agg)} of the "
        f"{result.match.n_found} of {count(len(made.genes), 'gene')} that the atlas knows, over those that the cell's "
        f"study measured; studies that measured less than {percent(result.min_coverage)} of the genes were left out."
    )


def _hits(hits: "Hits", table: "SampleTable") -> str:
    rate = hits.cutoffs.false_positive_rate
    expected = "" if rate is None else f", of which {percent(rate)} lie above by construction"
    return (
        f"A cell was a hit if its score was above {hits.cutoffs.text()} ({rule_of(hits)}), taken from "
        f"{hits.reference}{expected}. {unit_of(table).capitalize()}s with fewer than {table.min_cells} scored cells "
        "were put aside."
    )


def _statistics(by: str, comparison: "Comparison | None") -> str:
    software = f"insignia {version('insignia')}, numpy {version('numpy')} and scipy {version('scipy')}"
    if comparison is None:
        return f"Groups by {by.replace('_', ' ')} were described and not tested. Software: {software}."
    studies = comparison.units.table["study"].nunique()
    return (
        f"Groups by {by.replace('_', ' ')} were compared with {comparison.reference}, the unit being the donor (the "
        f"samples of a donor pooled; {count(len(comparison.units.table), 'donor')} of {count(studies, 'study')}), by "
        f"{HOW.get(comparison.test, comparison.test)}; two-sided, false discovery rate by Benjamini and Hochberg over "
        f"the rows that could reach {comparison.alpha:g}. Effects are Hodges-Lehmann shifts of the fraction of hits "
        f"within studies with bootstrap intervals of 95 % over studies, then donors. Software: {software}."
    )
