"""What a sample table answers, in sentences that claim no more than it holds."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.report.style import count, percent

if TYPE_CHECKING:
    from insignia.atlas import SampleTable

__all__ = ["answer", "cautions", "warnings_of"]

_HEALTHY: Final = ("normal", "healthy", "control", "healthy control")
_NAMED: Final = 5


def answer(table: "SampleTable", *, by: str = keys.DISEASE, min_samples: int = 3) -> list[str]:
    """Say which group has the highest mean fraction of hits, how its samples spread, and what stands next to it.

    Parameters
    ----------
    table
        Hits per sample, or per donor after `SampleTable.pool_donors`.
    by
        Column that forms groups.
    min_samples
        Groups with fewer samples are not ranked.

    Returns
    -------
    The sentence to read first, then further ones.
    """
    unit, about = unit_of(table), table.about
    if not len(table.table):
        return [f"No {unit} has enough scored cells, so there is no answer; see the rows put aside."]
    if not about["hits"]:
        return [
            f"None of the {about['cells']:,} cells is a hit for {about['signature']}: no score is above the cut-off of "
            f"{about['cutoff']}. There is nothing to rank."
        ]
    summary = table.summary(by, min_samples=min_samples)
    ranked = summary[summary["enough"] & summary["mean_fraction"].notna()]
    if not len(ranked):
        return [
            f"No {_noun(by)} has {min_samples} {unit}s or more, so none is ranked. "
            f"The {count(len(summary), 'group')} with fewer stand in the table below."
        ]
    best = ranked.iloc[0]
    values = _members(table, best, by)["fraction"].to_numpy(dtype=np.float64)
    split = "" if table.stratum is None else f" and {_noun(table.stratum)}"
    others = f"{count(len(ranked), 'group')} by {_noun(by)}{split}"
    first = (
        f"{_label(best, by)} has the highest mean fraction of hits for {about['signature']} among {others} with at "
        f"least {min_samples} {unit}s: {percent(best['mean_fraction'])} (median {percent(best['median_fraction'])}, "
        f"range {percent(np.nanmin(values))} to {percent(np.nanmax(values))}; {_sizes(best, unit)})."
    )
    return [first, *_others(ranked, best, by, unit)]


def unit_of(table: "SampleTable") -> str:
    """Say what a row of the table is: ``"sample"``, or ``"donor"`` once samples were pooled."""
    return "donor" if "samples" in table.table else "sample"


def _others(ranked: pd.DataFrame, best: pd.Series, by: str, unit: str) -> list[str]:
    said = []
    if len(ranked) > 1:
        following = [f"{_label(row, by)} ({percent(row['mean_fraction'])})" for _, row in ranked.iloc[1:4].iterrows()]
        said.append(f"Next: {'; '.join(following)}.")
    healthy = ranked[ranked[by].str.lower().isin(_HEALTHY)]
    if "stratum" in ranked:
        healthy = healthy[healthy["stratum"] == best["stratum"]]
    said += [
        f"For comparison, {_label(row, by)}: {percent(row['mean_fraction'])} ({_sizes(row, unit)})."
        for _, row in healthy.iterrows()
        if row.name != best.name
    ]
    by_median: Any = ranked.loc[ranked["median_fraction"].idxmax()]
    if by_median.name != best.name:
        said.append(
            f"By the median, {_label(by_median, by)} would be first ({percent(by_median['median_fraction'])}): the "
            f"order depends on a few {unit}s."
        )
    if best["studies"] == 1 and by != keys.STUDY:
        said.append(
            f"All {unit}s of {_label(best, by)} come from one study, so what the {_noun(by)} does cannot be told from "
            "what the study does."
        )
    return said


def cautions(table: "SampleTable", by: str, *, is_tested: bool = False) -> list[str]:
    """Say what the numbers do not say."""
    about, unit = table.about, unit_of(table)
    untested = (
        f"No statistical test was made: the order describes these {unit}s, and groups whose {unit}s overlap in the "
        f"figure may well be equal. See the spread of the {unit}s."
    )
    ranked = "The order of groups by mean fraction ignores the studies; the test does not, and the two may disagree."
    said = [
        ranked if is_tested else untested,
        "This is association, not mechanism: the cells carry the genes of the signature; what causes it is not tested.",
        f"Studies differ in tissue, handling and sequencing. A {_noun(by)} seen in few studies carries their effects.",
    ]
    scored = about["cells"] - about["unscored"]
    if about["rule"] in ("percentile", "quantile") and scored:
        said.append(
            f"The cut-off was taken from {about['reference']}, and {percent(about['hits'] / scored)} of the "
            f"{scored:,} cells scored here lie above it. A fraction says how a {unit} stands against that population, "
            "not how many of its cells are positive in an absolute sense; another selection gives another cut-off."
        )
    return said


def warnings_of(table: "SampleTable", coverage: pd.DataFrame) -> list[str]:
    """Say what the reader has to know about data that were left out or are incomplete."""
    said = []
    lost = coverage[~coverage["scored"]]
    if len(lost):
        named = [f"{row.study} ({row.reason})" for row in lost.head(_NAMED).itertuples()]
        more = f" and {len(lost) - _NAMED} more, see the coverage table" if len(lost) > _NAMED else ""
        cells = int(lost["cells"].sum())
        said.append(f"Left out for want of genes: {', '.join(named)}{more}; {cells:,} cells have no score.")
    if len(table.excluded):
        said.append(f"{count(len(table.excluded), 'row')} of the sample table put aside; the reasons are listed below.")
    nobody = table.table[keys.DONOR].str.lower().isin(("pooled", keys.UNKNOWN)).sum() if len(table.table) else 0
    if nobody:
        said.append(
            f"{nobody:,} of {count(len(table.table), 'row')} name no single donor; they are samples, not donors."
        )
    unknown = int((table.table[keys.DISEASE] == keys.UNKNOWN).sum()) if len(table.table) else 0
    if unknown:
        said.append(f"{unknown:,} of {count(len(table.table), 'row')} have no known disease and form a group.")
    return said


def _noun(by: str) -> str:
    return by.replace("_", " ")


def _label(row: pd.Series, by: str) -> str:
    return f"{row[by]}, {row['stratum']}" if "stratum" in row.index else str(row[by])


def _sizes(row: pd.Series, unit: str) -> str:
    donors = [] if unit == "donor" or not row["donors"] else [count(int(row["donors"]), "donor")]
    parts = [count(int(row["samples"]), unit), *donors, count(int(row["studies"]), "study")]
    return ", ".join(parts)


def _members(table: "SampleTable", row: pd.Series, by: str) -> pd.DataFrame:
    chosen = (table.table[by] == row[by]).to_numpy()
    if "stratum" in row.index:
        chosen = chosen & (table.table["stratum"] == row["stratum"]).to_numpy()
    members: pd.DataFrame = table.table.loc[chosen]
    return members
