"""From what was found to what is answered: typed, with missing numbers as null."""

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from insignia.atlas import Comparison, Contributions
from insignia.atlas.drill_down import top_genes
from insignia.atlas.screens.ranking import ProgramRanking
from insignia.core import keys
from insignia.genes import GeneMatch, Signature, bundled, paste_of, signature
from insignia.report import answer, verdict
from insignia.report.answers import cautions, warnings_of
from insignia.serve import answers as a
from insignia.serve.explore import Found, heat_map, joined_samples, rank_correlation
from insignia.serve.predicates import facet_counts, mask
from insignia.serve.question import Question
from insignia.serve.shelf import OpenAtlas

__all__ = [
    "atlas_info",
    "cell_page",
    "command",
    "comparison_answer",
    "contribution_table",
    "facets",
    "gene_sets",
    "match_report",
    "reverse_answer",
    "sample_genes",
    "sample_page",
    "sample_rows",
    "search_answer",
    "signatures",
    "two_signatures",
]

_GENES_OF_CELL = 6
_UNIT = [keys.STUDY, keys.SAMPLE, keys.DONOR, keys.TISSUE, keys.DISEASE]


def atlas_info(atlas: OpenAtlas) -> a.AtlasInfo:
    """Say what an atlas holds, but not where it lies."""
    facts = atlas.atlas.info()
    record = atlas.atlas.record
    return a.AtlasInfo(
        name=atlas.name,
        version=atlas.version,
        **{name: facts[name] for name in ("cells", "values", "studies", "genes", "organism")},
        model=record.model,
        method=record.method,
        facets=list(atlas.facets),
    )


def signatures() -> a.SignatureList:
    """List the bundled signatures."""
    known = [signature(name) for name in bundled()]
    return a.SignatureList(
        signatures=[
            a.SignatureInfo(
                name=one.name,
                genes=len(one),
                organism=one.organism,
                description=one.description,
                doi=one.doi,
                is_signed=one.is_signed,
            )
            for one in known
        ]
    )


def gene_sets(sets: Sequence[Signature]) -> a.GeneSetList:
    """List uploaded sets in the form that addresses take."""
    return a.GeneSetList(
        sets=[a.GeneSet(name=one.name, size=len(one), genes=paste_of(one), description=one.description) for one in sets]
    )


def match_report(wanted: Signature, match: GeneMatch) -> a.MatchReport:
    """Say which genes the atlas has."""
    rows = zip(_plain(match.frame()), wanted.weight_array.tolist(), strict=True)
    return a.MatchReport(
        name=wanted.name,
        summary=match.summary(),
        matched=len(match.matched),
        renamed=len(match.renamed),
        ambiguous=len(match.ambiguous),
        missing=len(match.missing),
        coverage=match.coverage,
        genes=[a.GeneRow(**row, weight=weight) for row, weight in rows],
        hints=list(match.hints),
    )


def facets(atlas: OpenAtlas, filters: dict[str, tuple[str, ...]]) -> a.Facets:
    """Count cells of each value of each facet."""
    counts = facet_counts(atlas, filters)
    return a.Facets(
        cells=int(np.count_nonzero(mask(atlas, filters))),
        facets=[
            a.Facet(
                column=column,
                values=[
                    a.FacetValue(value=value, cells=cells, chosen=value in filters.get(column, ()))
                    for value, cells in sorted(values.items(), key=lambda item: (-item[1], item[0]))
                ],
            )
            for column, values in counts.items()
        ],
    )


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
        excluded=[a.ExcludedRow(**row) for row in _plain(excluded[[*_UNIT, "cells", "reason"]])],
        n_excluded=len(table.excluded),
        heat_map=_heat_map(found),
        studies=[a.StudyRow(**row) for row in _plain(found.result.coverage)],
        command=command(found, question),
        seconds=seconds,
    )


def sample_rows(rows: pd.DataFrame) -> list[a.SampleRow]:
    """Rows of a sample table."""
    columns = list(a.SampleRow.model_fields)
    return [a.SampleRow(**row) for row in _plain(rows[columns])]


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


def comparison_answer(comparison: Comparison) -> a.ComparisonAnswer:
    """Say how groups differ from the reference."""
    table = comparison.table.drop(columns="stratum", errors="ignore")
    columns = [name for name in a.ComparisonRow.model_fields if name in table]
    rows = _plain(table[columns]) if len(table) else []
    return a.ComparisonAnswer(
        verdict=verdict(comparison),
        reference=comparison.reference,
        test=comparison.test,
        alpha=comparison.alpha,
        rows=[a.ComparisonRow(**row) for row in rows],
    )


def contribution_table(parts: Contributions, group: str | None) -> a.ContributionTable:
    """Say what each gene adds to the score of a group, the most first; the group that scores highest by default."""
    scores = parts.groups["score"].to_numpy()
    row = int(np.argmax(scores)) if group is None else parts.row(group)
    order = np.argsort(-parts.values[row], kind="stable")
    score = float(scores[row])
    columns = {
        "gene": np.array(parts.genes, dtype=object),
        "weight": parts.weights,
        "contribution": parts.values[row],
        "share": parts.values[row] / score if score else np.full(len(parts.genes), np.nan),
        "attribution": parts.attribution[row],
        "detection": parts.detection[row],
        "measured": parts.measured[row],
    }
    return a.ContributionTable(
        group=parts.labels[row],
        groups=parts.labels,
        score=_number(score),
        unit=parts.unit,
        genes=[a.ContributionRow(**one) for one in _plain(pd.DataFrame(columns).iloc[order])],
    )


def cell_page(found: Found, cells: pd.DataFrame, sample: Mapping[str, str], *, page: int, page_size: int) -> a.CellPage:
    """One page of the cells of a sample."""
    first = (page - 1) * page_size
    shown = cells.iloc[first : first + page_size]
    genes = top_genes(found.result, shown["place"].to_numpy(), _GENES_OF_CELL)
    best: dict[int, list[a.CellGene]] = {}
    for cell, row in zip(genes["cell"].tolist(), _plain(genes.drop(columns="cell")), strict=True):
        best.setdefault(cell, []).append(a.CellGene(**row))
    rows = _plain(shown[["barcode", "cell_type", "score", "is_hit"]].astype({"barcode": str, "cell_type": str}))
    rows = [{**row, "top_genes": best.get(cell, [])} for row, cell in zip(rows, shown["place"].tolist(), strict=True)]
    return a.CellPage(
        study=sample[keys.STUDY],
        sample=sample[keys.SAMPLE],
        cells=len(cells),
        hits=int(cells["is_hit"].sum()),
        rows=[a.CellRow(**row) for row in rows],
        page=page,
        page_size=page_size,
    )


def sample_genes(genes: pd.DataFrame, sample: Mapping[str, str]) -> a.SampleGenes:
    """List the genes that matter most in a sample."""
    rows = [a.SampleGene(**row) for row in _plain(genes)]
    return a.SampleGenes(study=sample[keys.STUDY], sample=sample[keys.SAMPLE], genes=rows)


def reverse_answer(ranking: ProgramRanking, *, top: int) -> a.ReverseAnswer:
    """Say which programs and genes stand out."""
    programs = [name for name in a.RankedProgram.model_fields if name in ranking.programs]
    genes = [name for name in a.RankedGene.model_fields if name in ranking.genes]
    return a.ReverseAnswer(
        sentence=ranking.sentence(),
        where=ranking.where,
        reference=ranking.reference,
        is_paired=ranking.is_paired,
        test=ranking.test,
        alpha=ranking.alpha,
        programs=[a.RankedProgram(**row) for row in _plain(ranking.programs[programs])],
        genes=[a.RankedGene(**row) for row in _plain(ranking.genes[genes].head(top))],
        n_genes=len(ranking.genes),
        n_genes_left_out=ranking.n_genes_left_out,
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
        samples=[a.SharedSample(**row) for row in _plain(shown[list(a.SharedSample.model_fields)])],
        n_samples=len(joined),
        sample_correlation=_number(of_samples),
        cell_correlation=_number(rank_correlation(*scores)),
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
    return [a.GroupRow(**row) for row in _plain(summary.rename(columns={question.by: "group"}))]


def _heat_map(found: Found) -> a.HeatMapAnswer:
    drawn = heat_map(found, keys.CELL_TYPE, keys.TISSUE)
    scores = [[_number(value) for value in row] for row in drawn.mean_score.tolist()]
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


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values; what is no number becomes `None`."""
    rows = frame.astype(object).mask(frame.isna(), np.nan).replace({np.nan: None}).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
