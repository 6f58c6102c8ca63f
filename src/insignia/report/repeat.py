"""How to repeat a search: the command line and the lines of Python."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from insignia.report.answers import unit_of
from insignia.report.parts import Code, Part

if TYPE_CHECKING:
    from insignia.atlas import Comparison, Hits, SampleTable, SearchResult

__all__ = ["repeat"]


def repeat(
    result: "SearchResult",
    hits: "Hits",
    table: "SampleTable",
    path: Path,
    by: str,
    min_samples: int,
    command: str | None,
    comparison: "Comparison | None" = None,
) -> list[Part]:
    """Give the command line, where there is one, and the lines of Python that make the same table."""
    is_own = hits.is_own
    line = command or (_command(result, hits, table, path, by, min_samples, comparison) if is_own else None)
    python = "\n".join(
        [
            "import insignia as ins",
            *(["from insignia.atlas import CellFilters"] if result.filters else []),
            f"atlas = ins.Atlas.open({str(result.snapshot.path)!r})",
            f"result = atlas.search({_signature(result)}, where={result.where!r}, agg={result.agg!r}, "
            f"min_coverage={result.min_coverage!r}{_filters(result)})",
            f"hits = {_call(hits, is_own=is_own)}",
            f"table = hits.by_sample({table.stratum!r}, min_cells={table.min_cells})"
            + (".pool_donors()" if unit_of(table) == "donor" else ""),
            f"print(table.summary({by!r}, min_samples={min_samples}))",
            *_compared(comparison),
        ]
    )
    shell: list[Part] = ["On the command line:", Code(line)] if line else []
    return [*shell, "In Python:", Code(python)]


def _filters(result: "SearchResult") -> str:
    if result.cell_filters is None or not result.filters:
        return ""
    options = ", ".join(f"{name}={value!r}" for name, value in result.cell_filters.to_dict().items())
    return f", filters=CellFilters({options})"


def _compared(comparison: "Comparison | None") -> list[str]:
    if comparison is None:
        return []
    made = comparison
    options = f"reference={made.reference!r}, test={made.test!r}, alpha={made.alpha!r}"
    return [f"comparison = table.compare({made.by!r}, {options})", "print(comparison.table)"]


def _is_bundled(result: "SearchResult") -> bool:
    from insignia.genes import bundled, signature

    name = result.signature.name
    return name in bundled() and signature(name).sha256 == result.signature.sha256


def _signature(result: "SearchResult") -> str:
    made = result.signature
    if _is_bundled(result):
        return repr(made.name)
    weights = "" if made.weights is None else f", weights={made.weights!r}"
    return (
        f"ins.genes.Signature({made.name!r}, {made.genes!r}{weights}, organism={made.organism!r}, "
        f"id_type={made.id_type!r})"
    )


def _call(hits: "Hits", *, is_own: bool) -> str:
    """Write the call; a cut-off that came from another search is repeated as a number."""
    made = hits.cutoffs
    if not is_own:
        if made.within is None:
            return f"result.call('value', value={hits.cutoff!r})"
        return "earlier.apply_to(result)  # earlier: the hits of the search that the cut-offs came from"
    named = {"within": made.within, "reference": made.selected}
    options = {name: value for name, value in named.items() if value is not None} | dict(made.params)
    listed = ", ".join([repr(made.rule), *(f"{name}={value!r}" for name, value in options.items())])
    return f"result.call({listed})"


def _flag(name: str, value: object) -> list[str]:
    option = "--" + name.replace("_", "-")
    return [option] if value is True else [option, str(value)]


def _command(
    result: "SearchResult",
    hits: "Hits",
    table: "SampleTable",
    path: Path,
    by: str,
    min_samples: int,
    comparison: "Comparison | None",
) -> str | None:
    """Give the command line, if there is one that does the same."""
    if not (_is_bundled(result) and unit_of(table) == "sample"):
        return None
    told = result.cell_filters.to_dict() if result.cell_filters and result.filters else {}
    if "custom" in told:
        return None
    options: dict[str, tuple[object, object]] = {
        "--where": (result.where, None),
        "--by": (by, ""),
        "--stratum": (table.stratum, None),
        "--rule": (hits.rule, "percentile"),
        "--cut": (next(iter(hits.params.values()), None), None),
        "--within": (hits.cutoffs.within, None),
        "--reference": (hits.cutoffs.selected, None),
        "--agg": (result.agg, "mean"),
        "--min-coverage": (result.min_coverage, 0.5),
        "--min-cells": (table.min_cells, 25),
        "--min-samples": (min_samples, 3),
        "--compare": (None if comparison is None else comparison.reference, None),
        "--test": ("van_elteren" if comparison is None else comparison.test, "van_elteren"),
        "-o": (path.name, ""),
    }
    flags = [text for name, value in told.items() for text in _flag(name, value)]
    given = [text for name, (value, usual) in options.items() if value != usual for text in (name, str(value))]
    return shlex.join(["insignia", "search", str(result.snapshot.path), result.signature.name, *given, *flags])
