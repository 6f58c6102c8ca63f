"""The published question from end to end: in which diseases do monocytes and macrophages carry MS1."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from insignia.atlas import Atlas, CellFilters, Comparison, Hits, SampleTable, SearchResult
from insignia.atlas.cell_filters import find_column
from insignia.core import keys
from insignia.core.files import atomic_file, atomic_folder, refuse_occupied
from insignia.data import write_table
from insignia.genes import Signature
from insignia.report import forest_figure, samples_figure, save_figure, search_report

__all__ = ["Ms1Answer", "Ms1Options", "ms1", "summary_of"]

MYELOID: Final = "(lower(cell_type) LIKE '%monocyte' OR lower(cell_type) LIKE '%macrophage')"
"""Monocytes and macrophages of all kinds, and not cells derived from them."""

MAX_DISTANCE: Final = 0.02
"""Distance to the nearest annotated cell that the published atlas kept."""


_PARAMETER: Final = {"value": "value", "mad": "k"}


@dataclass(frozen=True)
class Ms1Options:
    """How the question is asked.

    Parameters
    ----------
    signature
        What is searched.
    cell_types
        Names of cell types; none takes every type whose name ends in monocyte or macrophage.
    where
        A further expression over the metadata.
    filters
        `None` takes the published ones, as far as the atlas has their columns: straight from a body, and a predicted
        cell type whose nearest annotated cell is within 0.02; and each cell once, where it is told.
    rule, cut
        Hit rule, and its percentile, quantile, number of deviations or value.
    by, reference, test
        Groups, what they are compared with, and the test; see `SampleTable.compare`.
    min_cells, min_samples, min_coverage
        Least cells of a sample, samples of a group that is ranked, and share of the genes that a study measured.
    leave_out
        Compare again without each study and each gene in turn.
    """

    signature: str | Signature = "MS1"
    cell_types: Sequence[str] = ()
    where: str | None = None
    filters: CellFilters | None = None
    rule: str = "percentile"
    cut: float = 90.0
    by: str = keys.DISEASE
    reference: str = "normal"
    test: str = "van_elteren"
    min_cells: int = 25
    min_samples: int = 3
    min_coverage: float = 0.5
    leave_out: bool = True


@dataclass(frozen=True, eq=False)
class Ms1Answer:
    """What was found.

    Attributes
    ----------
    ranking
        One row a group, by the test: the most significant first, those that cannot be tested last; with the columns of
        `Comparison.table` and the ``samples``, ``cells`` and ``median_fraction`` of `SampleTable.summary`.
    notes
        What was not done, and why.
    """

    result: SearchResult
    hits: Hits
    samples: SampleTable
    comparison: Comparison
    ranking: pd.DataFrame
    notes: tuple[str, ...]

    def called(self) -> list[str]:
        """List groups that differ from the reference at the level of the comparison, the most significant first."""
        table = self.comparison.table
        chosen = table["testable"].astype(bool) & (table["q"] <= self.comparison.alpha)
        return list(dict.fromkeys(table["group"][chosen]))


def ms1(
    atlas: Atlas | str | Path,
    output: str | Path | None = None,
    options: Ms1Options | None = None,
    *,
    command: str | None = None,
) -> Ms1Answer:
    """Search MS1 in monocytes and macrophages, count hits in every sample, and rank diseases by a test of donors.

    Parameters
    ----------
    atlas
        An atlas, or its folder.
    output
        Folder to write: ``report.html``, ``ranking.csv``, ``samples.csv``, ``samples.png``, ``forest.png`` and
        ``summary.json``; `None` writes nothing.
    options
        How; the published workflow by default, with the test that it lacks.
    command
        Command line that asked, for the report.

    Raises
    ------
    FilterError
        No cell is of these types, or none is left after the filters.
    InputError
        `output` holds something, or no donor belongs to the reference.
    GeneMatchError
        No study measured enough of the signature.

    References
    ----------
    Gold et al. 2025, doi:10.1101/2025.06.14.659567.
    """
    options = options or Ms1Options()
    atlas = atlas if isinstance(atlas, Atlas) else Atlas.open(atlas)
    if output is not None:
        refuse_occupied(output)
    filters, notes = _filters(atlas, options)
    result = atlas.search(options.signature, where=_where(options), filters=filters, min_coverage=options.min_coverage)
    parameter: dict[str, Any] = {_PARAMETER.get(options.rule, "q"): options.cut}
    hits = result.call(options.rule, **parameter)
    samples = hits.by_sample(min_cells=options.min_cells)
    comparison = samples.compare(options.by, reference=options.reference, test=options.test)
    answer = Ms1Answer(result, hits, samples, comparison, _ranking(samples, comparison, options), notes)
    if output is not None:
        with atomic_folder(output) as folder:
            _write(answer, folder, options, command)
    return answer


def _where(options: Ms1Options) -> str:
    named = ", ".join("'" + name.replace("'", "''") + "'" for name in options.cell_types)
    types = f"{keys.CELL_TYPE} IN ({named})" if named else MYELOID
    return types if options.where is None else f"{types} AND ({options.where})"


def _filters(atlas: Atlas, options: Ms1Options) -> tuple[CellFilters | None, tuple[str, ...]]:
    """Take the filters that were asked for, or the published ones as far as the atlas can tell."""
    if options.filters is not None:
        return options.filters, ()
    columns = list(atlas.columns)
    has = {kind: find_column(columns, kind) is not None for kind in ("in_vivo", "tissue_type", "pred_distance")}
    told: dict[str, Any] = {
        "in_vivo": has["in_vivo"] or has["tissue_type"],
        "max_distance": MAX_DISTANCE if has["pred_distance"] else None,
        "primary": find_column(columns, "is_primary_data") is not None,
    }
    notes = {
        "in_vivo": "cells that are not straight from a body were not left out: no column in_vivo or tissue_type",
        "max_distance": "uncertain cell types were not left out: no column pred_distance",
        "primary": "cells that several studies share were not left out: no column is_primary_data",
    }
    return CellFilters(**told), tuple(notes[name] for name, value in told.items() if not value)


def _ranking(samples: SampleTable, comparison: Comparison, options: Ms1Options) -> pd.DataFrame:
    summary = samples.summary(options.by, min_samples=options.min_samples)
    described = summary[[options.by, "samples", "cells", "median_fraction", "enough"]]
    table = comparison.table.merge(described.rename(columns={options.by: "group"}), on="group", how="left")
    table.insert(0, "rank", table["p"].where(table["testable"].astype(bool)).rank(method="min"))
    return table.drop(columns="stratum")


def _write(answer: Ms1Answer, folder: Path, options: Ms1Options, command: str | None) -> None:
    """Write tables, figures, report and summary into an empty folder."""
    shown: dict[str, Any] = {"by": options.by, "min_samples": options.min_samples, "comparison": answer.comparison}
    write_table(answer.ranking, folder / "ranking.csv")
    write_table(answer.samples.table, folder / "samples.csv")
    save_figure(samples_figure(answer.samples, **shown), folder / "samples.png")
    if len(answer.comparison.table):
        save_figure(forest_figure(answer.comparison), folder / "forest.png")
    search_report(
        answer.result,
        answer.hits,
        answer.samples,
        folder / "report.html",
        command=command,
        leave_out=options.leave_out,
        notes=[f"{note[0].upper()}{note[1:]}." for note in answer.notes],
        **shown,
    )
    with atomic_file(folder / "summary.json") as temporary:
        temporary.write_text(json.dumps(summary_of(answer), indent=2) + "\n", encoding="utf-8")


def summary_of(answer: Ms1Answer) -> dict[str, Any]:
    """Give the headline figures as plain values."""
    from insignia.report import verdict

    columns = ["group", "donors", "studies_with_both", "shift", "low", "high", "p", "q", "note"]
    first = answer.ranking.head(10)[columns]
    return {
        "signature": answer.result.signature.name,
        "cells": len(answer.result),
        "hits": answer.hits.n_hits,
        "samples": len(answer.samples),
        "donors": len(answer.comparison.units.table),
        "called": answer.called(),
        "verdict": verdict(answer.comparison).replace("\u00a0", " "),
        "ranking": [{name: None if pd.isna(v) else v for name, v in row.items()} for row in first.to_dict("records")],
        "not_done": list(answer.notes),
    }
