"""What a comparison adds to a report: the answer in a sentence, a forest plot, tables, and how it was tested."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from insignia.report.forest_figures import forest_figure
from insignia.report.parts import Bullets, Part, Picture, Table
from insignia.report.style import count, p_value

if TYPE_CHECKING:
    from insignia.atlas import Comparison

__all__ = ["HOW", "comparison_parts", "verdict"]

HOW: Final = {
    "van_elteren": "van Elteren's test, which ranks donors within each study that has both groups, counted exactly "
    "where that is possible",
    "mann_whitney": "the test of Mann and Whitney over all donors, which takes differences between studies for effects",
    "meta": "a random-effects meta-analysis of the differences within studies (Paule and Mandel; Hartung, Knapp, Sidik "
    "and Jonkman)",
    "beta_binomial": "a beta-binomial model of hits among cells with random studies, by a likelihood ratio with "
    "the degrees of freedom that the donors and studies at hand give",
}


def verdict(comparison: "Comparison") -> str:
    """Say which groups differ from the reference."""
    table = comparison.table
    tested = table[table["testable"].astype(bool)]
    if not len(tested):
        return (
            f"None of {count(len(table), 'comparison')} with {comparison.reference} can be tested: there are too few "
            "donors, or no study that holds both groups."
        )
    called = tested[tested["q"] <= comparison.alpha]
    among = f"{count(len(tested), 'testable comparison')} with {comparison.reference}"
    if not len(called):
        return f"None of {among} differs at a false discovery rate of {comparison.alpha:g}."
    named = [
        f"{_name(row)} ({100 * row['shift']:+.3g} points, {100 * row['low']:.3g} to {100 * row['high']:.3g}; "
        f"q = {p_value(row['q'])})"
        for row in called.head(5).to_dict("records")
    ]
    more = f" and {len(called) - 5} more" if len(called) > 5 else ""
    differ = "differs" if len(called) == 1 else "differ"
    return f"Of {among}, {len(called)} {differ}: {'; '.join(named)}{more}."


def comparison_parts(comparison: "Comparison", *, name: str, max_rows: int, leave_out: bool) -> list[Part]:
    """Return the parts of the section; with `leave_out`, also what hangs on a single study."""
    table = comparison.table
    parts: list[Part] = [Bullets(_how(comparison))]
    if len(table):
        caption = (
            f"Squares: Hodges-Lehmann shift of the share of hits against {comparison.reference}, within studies; "
            "lines: bootstrap intervals of 95 % over studies and donors. Blue: q at or below the level. Grey: not "
            "testable, because donors, or those with any hit, are too few."
        )
        parts.append(Picture(forest_figure(comparison), caption, f"Forest plot against {comparison.reference}"))
        shown = table if (table["stratum"] != "all").any() else table.drop(columns="stratum")
        parts.append(Table(shown, "Most significant first.", name=f"{name}-comparison", max_rows=max_rows))
    left = comparison.leave_one_study_out() if leave_out else ()
    if isinstance(left, pd.DataFrame) and len(left):
        left = left if (left["stratum"] != "all").any() else left.drop(columns="stratum")
        about = "Without each study in turn: how far shift and p move, and the study that matters most."
        parts.append(Table(left, about, name=f"{name}-leave-one-study-out", max_rows=max_rows))
    return parts


def _how(comparison: "Comparison") -> list[str]:
    table, units = comparison.table, comparison.units.table
    untested = int((~table["testable"].astype(bool)).sum())
    said = [
        f"Units are {count(len(units), 'donor')}, never cells. Test: {HOW.get(comparison.test, comparison.test)}; "
        "two-sided; q by Benjamini and Hochberg over all rows that were testable.",
    ]
    if untested:
        said.append(
            f"{count(untested, 'row')} cannot reach {comparison.alpha:g} with these donors and studies, whatever they "
            "show; they have no q and no rank."
        )
    return said


def _name(row: Mapping[Any, Any]) -> str:
    return str(row["group"]) if row["stratum"] == "all" else f"{row['group']}, {row['stratum']}"
