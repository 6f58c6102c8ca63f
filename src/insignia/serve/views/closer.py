"""What is answered to who looks closer: comparisons, contributions, cells, genes and programs."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from insignia.atlas import Comparison, Contributions
from insignia.atlas.drill_down import top_genes
from insignia.atlas.screens.ranking import ProgramRanking
from insignia.core import keys
from insignia.report import verdict
from insignia.serve import answers as a
from insignia.serve.explore import Found
from insignia.serve.views.plain import number, plain

__all__ = [
    "cell_page",
    "comparison_answer",
    "contribution_table",
    "reverse_answer",
    "sample_genes",
]

_GENES_OF_CELL = 6


def comparison_answer(comparison: Comparison) -> a.ComparisonAnswer:
    """Say how groups differ from the reference."""
    table = comparison.table.drop(columns="stratum", errors="ignore")
    columns = [name for name in a.ComparisonRow.model_fields if name in table]
    rows = plain(table[columns]) if len(table) else []
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
        score=number(score),
        unit=parts.unit,
        genes=[a.ContributionRow(**one) for one in plain(pd.DataFrame(columns).iloc[order])],
    )


def cell_page(found: Found, cells: pd.DataFrame, sample: Mapping[str, str], *, page: int, page_size: int) -> a.CellPage:
    """One page of the cells of a sample."""
    first = (page - 1) * page_size
    shown = cells.iloc[first : first + page_size]
    genes = top_genes(found.result, shown["place"].to_numpy(), _GENES_OF_CELL)
    best: dict[int, list[a.CellGene]] = {}
    for cell, row in zip(genes["cell"].tolist(), plain(genes.drop(columns="cell")), strict=True):
        best.setdefault(cell, []).append(a.CellGene(**row))
    rows = plain(shown[["barcode", "cell_type", "score", "is_hit"]].astype({"barcode": str, "cell_type": str}))
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
    rows = [a.SampleGene(**row) for row in plain(genes)]
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
        programs=[a.RankedProgram(**row) for row in plain(ranking.programs[programs])],
        genes=[a.RankedGene(**row) for row in plain(ranking.genes[genes].head(top))],
        n_genes=len(ranking.genes),
        n_genes_left_out=ranking.n_genes_left_out,
    )
