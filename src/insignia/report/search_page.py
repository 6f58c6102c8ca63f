"""The report of a search: one page with the question, the answer, figures, tables, and how to repeat it."""

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from insignia.core import keys
from insignia.report.answers import answer, cautions, unit_of, warnings_of
from insignia.report.comparison_part import comparison_parts, verdict
from insignia.report.gene_part import gene_parts
from insignia.report.html import Section, page
from insignia.report.methods import combined, methods, rule_of
from insignia.report.parts import Bullets, Facts, Lead, Note, Part, Picture, Table
from insignia.report.repeat import repeat
from insignia.report.style import count, percent

if TYPE_CHECKING:
    from insignia.atlas import Comparison, FilterStep, Hits, SampleTable, SearchResult

__all__ = ["search_report"]

_PERCENTS = ("fraction", "mean_fraction", "median_fraction", "coverage")
_FEW_ROWS = 15
_PACKAGES = ("insignia", "anndata", "matplotlib", "numpy", "pandas", "scipy")


def search_report(
    result: "SearchResult",
    hits: "Hits",
    table: "SampleTable",
    path: str | Path,
    *,
    by: str = keys.DISEASE,
    title: str | None = None,
    top: int = 12,
    min_samples: int = 3,
    max_rows: int = 50,
    command: str | None = None,
    comparison: "Comparison | None" = None,
    leave_out: bool = True,
    notes: Sequence[str] = (),
) -> Path:
    """Write one self-contained HTML page about a search.

    Parameters
    ----------
    result
        The search.
    hits
        The cells that were called.
    table
        Their samples.
    path
        Where to write the page.
    by
        Column that forms groups: ``"disease"``, ``"tissue"`` or ``"study"``.
    title
        Title of the page; `None` names the signature.
    top
        Groups in the figure; the tables hold all.
    min_samples
        Groups with fewer samples are not ranked.
    max_rows
        Rows of each table on the page; the CSV files inside it hold all.
    command
        Command line that made the page. `None` writes one for ``insignia search``, if the signature is a bundled one.
    comparison
        What `SampleTable.compare` found, which then leads the answer.
    leave_out
        Compare again without each study and without each gene of the signature in turn, which takes about as long as
        one comparison for each of them.
    notes
        Further warnings, shown with the answer.

    Returns
    -------
    `path`.

    Raises
    ------
    InputError
        `by` is not a column that forms groups.
    """
    name = result.signature.name
    n_studies = len({entry.study for entry in result.studies})
    sections = [
        Section("Question", _question(result, hits, table, by)),
        Section("Answer", _answer(result, table, by, min_samples, comparison, notes)),
        Section("Samples by group", _figures(table, by, top, min_samples, comparison)),
        *_comparison(comparison, hits, max_rows, leave_out),
        Section("Groups", _groups(table, by, min_samples, max_rows)),
        Section("Samples", _samples(table, max_rows)),
        Section("Genes and studies", _coverage(result, max_rows)),
        Section("Methods", list(methods(result, hits, table, by, comparison))),
        Section("Settings and provenance", [Facts(_settings(result, hits, table)), Facts(_provenance(result))]),
        Section("Repeat it", repeat(result, hits, table, Path(path), by, min_samples, command, comparison)),
    ]
    subtitle = f"{len(result):,} cells, {count(n_studies, 'study')}, {count(len(table), unit_of(table))}"
    return page(title or f"{name}: which {by.replace('_', ' ')} has most hits?", sections, path, subtitle=subtitle)


def _question(result: "SearchResult", hits: "Hits", table: "SampleTable", by: str) -> list[Part]:
    signature, about = result.signature, table.about
    where = f"the cells where {result.where}" if result.where else "all cells of the atlas"
    split = f", split by {table.stratum.replace('_', ' ')}" if table.stratum else ""
    said = (
        f"In which {by.replace('_', ' ')} do cells carry {signature.name} ({count(len(signature.genes), 'gene')})? "
        f"Searched were {where}: {len(result):,}."
    )
    how = (
        f"Each cell has a score, the {combined(result.agg)} of the signature's genes. "
        f"A hit is a cell with a score above {about['cutoff']} ({rule_of(hits)}, taken from {about['reference']}). "
        f"Hits are counted in each {unit_of(table)}{split}; {unit_of(table)}s with fewer than {table.min_cells} scored "
        "cells are put aside."
    )
    origin = [part.rstrip(".") for part in (signature.description, signature.source, _doi(signature.doi)) if part]
    return [said, how, *([f"{signature.name}: {'. '.join(origin)}."] if origin else [])]


def _answer(
    result: "SearchResult",
    table: "SampleTable",
    by: str,
    min_samples: int,
    comparison: "Comparison | None",
    further: Sequence[str],
) -> list[Part]:
    first, *others = answer(table, by=by, min_samples=min_samples)
    notes = [Note(said) for said in [*warnings_of(table, result.coverage), *further]]
    tested = [Lead(verdict(comparison))] if comparison is not None else []
    return [
        *tested,
        Lead(first),
        *([" ".join(others)] if others else []),
        Bullets(cautions(table, by, is_tested=comparison is not None)),
        *notes,
    ]


def _comparison(comparison: "Comparison | None", hits: "Hits", max_rows: int, leave_out: bool) -> list[Section]:
    if comparison is None:
        return []
    name = hits.result.signature.name
    against = comparison_parts(comparison, name=name, max_rows=max_rows, leave_out=leave_out)
    genes = gene_parts(comparison, hits, max_rows=max_rows, leave_out=leave_out)
    sections = [Section(f"Against {comparison.reference}", against), Section("Gene by gene", genes)]
    return [section for section in sections if section.parts]


def _figures(table: "SampleTable", by: str, top: int, min_samples: int, comparison: "Comparison | None") -> list[Part]:
    from insignia.report.atlas_figures import samples_figure
    from insignia.report.strata_figures import strata_figure

    if not len(table):
        return ["There is nothing to draw: no row has enough scored cells."]
    unit = unit_of(table)
    compared = comparison if comparison is not None and comparison.by == by else None
    drawn = samples_figure(table, by=by, top=top, min_samples=min_samples, comparison=compared)
    caption = (
        f"Each point is a {unit}: the share of its scored cells that are hits. Boxes span the quartiles, the line is "
        "the median, the diamond the mean, and the dashed line the share over all scored cells. Grey rows have fewer "
        f"than {min_samples} {unit}s and are not ranked."
    )
    if compared is not None:
        caption += (
            f" The band spans the quartiles of {compared.reference}; q is that of the comparison of donors below."
        )
    parts: list[Part] = [Picture(drawn, caption, f"Fraction of hits per {unit}, by {by}")]
    if table.stratum is not None:
        parts.append(
            Picture(strata_figure(table, by=by, min_samples=min_samples), "Mean fraction of hits in each field.")
        )
    return parts


def _groups(table: "SampleTable", by: str, min_samples: int, max_rows: int) -> list[Part]:
    summary = table.summary(by, min_samples=min_samples)
    caption = f"One row for each {by.replace('_', ' ')}; enough: at least {min_samples} {unit_of(table)}s."
    return [Table(summary, caption, name=f"{table.about['signature']}-groups", max_rows=max_rows, percents=_PERCENTS)]


def _samples(table: "SampleTable", max_rows: int) -> list[Part]:
    name = str(table.about["signature"])
    rows = table.table.sort_values(["fraction", "study", "sample"], ascending=[False, True, True])
    if table.stratum is None:
        rows = rows.drop(columns="stratum")
    parts: list[Part] = [
        Table(rows, "Highest fraction first.", name=f"{name}-samples", max_rows=max_rows, percents=_PERCENTS)
    ]
    if len(table.excluded):
        columns = ["reason", *[column for column in rows.columns if column in table.excluded]]
        aside = table.excluded[columns]
        parts.append(Table(aside, "Put aside.", name=f"{name}-put-aside", max_rows=max_rows, percents=_PERCENTS))
    return parts


def _coverage(result: "SearchResult", max_rows: int) -> list[Part]:
    name = result.signature.name
    genes = result.match.frame()
    if result.signature.weights is not None:
        genes.insert(1, "weight", list(result.signature.weights))
    found = genes["status"] == "matched"
    # what was not simply found is what the reader looks for
    genes = pd.concat([genes[~found], genes[found]])
    n_genes_shown = min(max_rows, max(_FEW_ROWS, int((~found).sum())))
    about_genes = "Genes of the signature in the atlas; those not found under their own name first."
    about_studies = "Genes of the signature that each study measured; those with fewest first."
    studies = result.coverage.sort_values(["scored", "coverage", "study"], ignore_index=True)
    lost = int((~studies["scored"]).sum())
    said = (
        f"{lost} of {len(studies)} studies measured too few of the genes and are left out."
        if lost
        else (f"All {len(studies)} studies measured at least {percent(result.min_coverage)} of the genes.")
    )
    return [
        result.match.summary(name) + ".",
        said,
        Table(genes, about_genes, name=f"{name}-genes", max_rows=n_genes_shown),
        Table(studies, about_studies, name=f"{name}-studies", max_rows=max_rows, percents=_PERCENTS),
    ]


def _settings(result: "SearchResult", hits: "Hits", table: "SampleTable") -> dict[str, object]:
    return {
        "signature": f"{result.signature.name} (sha256 {result.signature.sha256})",
        "where": result.where or "all cells",
        **{f"filter {step.name}": _dropped(step) for step in result.filters},
        "combining genes": combined(result.agg),
        "least coverage of a study": percent(result.min_coverage),
        "hit rule": rule_of(hits),
        "cut-off": _cuts(hits),
        "cut-off taken from": f"{hits.reference} {hits.cutoffs.note()}".strip(),
        "hits": f"{hits.n_hits:,} of {len(result):,} cells; {hits.n_nan:,} without a score",
        "least cells of a sample": table.min_cells,
    }


def _provenance(result: "SearchResult") -> dict[str, object]:
    manifest = result.snapshot.manifest
    record = {name.replace("_", " "): value for name, value in manifest.record.to_dict().items()}
    record["version"] = f"insignia {record['version']} made the attributions"
    return {
        "atlas": f"{result.snapshot.path.name}, {manifest.cells:,} cells of {count(len(manifest.studies), 'study')}",
        "atlas sha256": manifest.sha256(),
        **record,
        "software": ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
        + f", Python {platform.python_version()}",
    }


def _dropped(step: "FilterStep") -> str:
    unknown = f", {step.unknown:,} of them because a value is missing" if step.unknown else ""
    return f"dropped {step.dropped:,} of {step.before:,} cells{unknown} ({step.expression})"


def _cuts(hits: "Hits") -> str:
    named = hits.cutoffs.values
    if hits.cutoffs.within is None:
        return repr(hits.cutoff)
    return ", ".join(f"{label}: {value!r}" for label, value in named.items())


def _doi(doi: str) -> str:
    return f"doi:{doi.removeprefix('doi:').removeprefix('https://doi.org/')}" if doi else ""
