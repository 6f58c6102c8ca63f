"""What is answered to a search, and to two."""

import math
import shlex

import pandas as pd

from insignia.core import keys
from insignia.report import answer
from insignia.report.answers import cautions, warnings_of
from insignia.serve import answers as a
from insignia.serve.explore import Found, heat_map, joined_samples, rank_correlation
from insignia.serve.question import Question
from insignia.serve.views.plain import number, plain

__all__ = [
    "command",
    "sample_page",
    "sample_rows",
    "search_answer",
    "two_signatures",
]

_UNIT = [keys.STUDY, keys.SAMPLE, keys.DONOR, keys.TISSUE, keys.DISEASE]


def search_answer(found: Found, question: Question, *, max_points: int, seconds: float) -> a.SearchAnswer:
    """Answer a search."""
    table, about, by = found.table, found.table.about, question.by
    scored = about["cells"] - about["unscored"]
    excluded = table.excluded.head(max_points)
    return a.SearchAnswer(
        atlas=found.atlas.name,
        version=found.atlas.version,
        signature=found.result.signature.name,
        where=found.result.where,
        answer=answer(table, by=by, min_samples=question.min_samples),
        cautions=cautions(table, by),
        warnings=warnings_of(table, found.result.coverage),
        match=found.result.match.summary(),
        cells=about["cells"],
        hits=about["hits"],
        unscored=about["unscored"],
        rule=about["rule"],
        cutoff=about["cutoff"],
        cutoff_from=about["reference"],
        expected=about["hits"] / scored if scored else None,
        groups=_groups(found, question),
        samples=sample_rows(_sorted_samples(table.table).head(max_points)),
        n_samples=len(table),
        excluded=[a.ExcludedRow(**row) for row in plain(excluded[[*_UNIT, "cells", "reason"]])],
        n_excluded=len(table.excluded),
        heat_map=_heat_map(found),
        studies=[a.StudyRow(**row) for row in plain(found.result.coverage)],
        command=command(found, question),
        seconds=seconds,
    )


def sample_rows(rows: pd.DataFrame) -> list[a.SampleRow]:
    """Rows of a sample table."""
    columns = list(a.SampleRow.model_fields)
    return [a.SampleRow(**row) for row in plain(rows[columns])]


def sample_page(found: Found, *, sort: str, descending: bool, page: int, page_size: int) -> a.SamplePage:
    """One page of the sample table, sorted."""
    ties = [name for name in _UNIT if name != sort]
    rows = found.table.table.sort_values(
        [sort, *ties], ascending=[not descending, *([True] * len(ties))], na_position="last"
    )
    first = (page - 1) * page_size
    return a.SamplePage(
        rows=sample_rows(rows.iloc[first : first + page_size]), total=len(rows), page=page, page_size=page_size
    )


def two_signatures(one: Found, other: Found, *, max_points: int) -> a.TwoSignatures:
    """Compare two signatures over the same cells."""
    first, second = one.result.signature, other.result.signature
    joined = joined_samples(one, other)
    both_called = one.hits.is_called & other.hits.is_called
    hits = [found.hits.is_hit[both_called] for found in (one, other)]
    both = int((hits[0] & hits[1]).sum())
    only = [int(hits[0].sum()) - both, int(hits[1].sum()) - both]
    scores = [found.result.scores[both_called] for found in (one, other)]
    of_samples = rank_correlation(joined["fraction"], joined["fraction_other"])
    shown = joined.head(max_points)
    return a.TwoSignatures(
        first=first.name,
        second=second.name,
        shared_genes=sorted(set(first.genes) & set(second.genes)),
        samples=[a.SharedSample(**row) for row in plain(shown[list(a.SharedSample.model_fields)])],
        n_samples=len(joined),
        sample_correlation=number(of_samples),
        cell_correlation=number(rank_correlation(*scores)),
        both=both,
        only_first=only[0],
        only_second=only[1],
        neither=int(both_called.sum()) - both - sum(only),
        sentence=_likeness(first.name, second.name, of_samples, len(joined), both, sum(only)),
    )


def command(found: Found, question: Question) -> str:
    """Write the search as a command line."""
    result = found.result
    thing = question.signature or ",".join(result.signature.genes)
    words = ["insignia", "search", found.atlas.name, thing]
    words += ["--where", result.where] if result.where else []
    words += ["--by", question.by] if question.by != "disease" else []
    words += ["--rule", question.rule] if question.rule != "percentile" else []
    words += ["--cut", f"{question.cut:g}"] if question.cut != 90 or question.rule != "percentile" else []
    words += ["--within", question.within] if question.within else []
    chosen = found.hits.cutoffs.selected
    words += ["--reference", chosen] if chosen else []
    words += ["--agg", question.agg] if question.agg != "mean" else []
    words += ["--min-coverage", f"{question.min_coverage:g}"] if question.min_coverage != 0.5 else []
    words += ["--min-cells", str(question.min_cells)] if question.min_cells != 25 else []
    return shlex.join([*words, "-o", "report.html"])


def _groups(found: Found, question: Question) -> list[a.GroupRow]:
    if not len(found.table):
        return []
    summary = found.table.summary(question.by, min_samples=question.min_samples)
    return [a.GroupRow(**row) for row in plain(summary.rename(columns={question.by: "group"}))]


def _heat_map(found: Found) -> a.HeatMapAnswer:
    drawn = heat_map(found, keys.CELL_TYPE, keys.TISSUE)
    scores = [[number(value) for value in row] for row in drawn.mean_score.tolist()]
    return a.HeatMapAnswer(
        rows=drawn.rows,
        columns=drawn.columns,
        cells=drawn.cells.tolist(),
        hits=drawn.hits.tolist(),
        mean_score=scores,
    )


def _sorted_samples(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(["fraction", *_UNIT], ascending=[False, *([True] * len(_UNIT))])


def _likeness(first: str, second: str, rho: float, n: int, both: int, only: int) -> str:
    overlap = both / (both + only) if both + only else 0.0
    said = f"{both:,} cells are hits of both {first} and {second}, {overlap:.0%} of the cells that are hits of either."
    if math.isnan(rho):
        return f"{said} Too few samples are shared to compare their fractions."
    return f"Over {n:,} samples, fractions of hits have a rank correlation of {rho:.2f}. {said}"
