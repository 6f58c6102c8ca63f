"""How much a comparison hangs on one study: the same tests without each study in turn."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from insignia.core import keys

if TYPE_CHECKING:
    from insignia.atlas.comparison import Comparison

__all__ = ["again", "left_out_ranges", "without_each_study"]

KEYED = ["group", "stratum"]


def without_each_study(comparison: "Comparison") -> pd.DataFrame:
    """Compare again without each study in turn: one row a group, stratum and ``without``, as `again` gives them."""
    table = comparison.units.table
    parts = []
    for study in sorted(table[keys.STUDY].unique()):
        kept = table[table[keys.STUDY] != study]
        if comparison.reference in set(kept[comparison.by]):
            parts.append(again(comparison, kept).assign(without=study))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*KEYED, "shift", "p", "rank"])


def again(comparison: "Comparison", units: pd.DataFrame) -> pd.DataFrame:
    """Compare changed units in the same way: group, stratum, shift, p, and rank of p among the testable."""
    from insignia.atlas.comparison import compare

    rows = compare(
        replace(comparison.units, table=units),
        by=comparison.by,
        reference=comparison.reference,
        test=comparison.test,
        alpha=comparison.alpha,
        n_boot=1,
    ).table
    return rows[[*KEYED, "shift", "p"]].assign(rank=rows["p"].where(rows["testable"]).rank(method="min"))


def left_out_ranges(parts: pd.DataFrame) -> pd.DataFrame:
    """Say how far each group's shift, p and rank move, and without what p is highest.

    Parameters
    ----------
    parts
        One row a group, stratum and ``without``.

    Returns
    -------
    One row a group and stratum: ``shift_lowest``, ``shift_highest``, ``p_highest``, ``rank_best``, ``rank_worst`` and
    ``hangs_on``.
    """
    columns = ["shift_lowest", "shift_highest", "p_highest", "rank_best", "rank_worst", "hangs_on"]
    if not len(parts):
        return pd.DataFrame(columns=[*KEYED, *columns])
    grouped = parts.groupby(KEYED, sort=False)
    # among equal p the one that leaves the smallest shift
    ordered = (
        parts.dropna(subset="p").assign(size=parts["shift"].abs()).sort_values(["p", "size"], ascending=[True, False])
    )
    worst = ordered.groupby(KEYED, sort=False).last()
    table = grouped.agg(
        shift_lowest=("shift", "min"),
        shift_highest=("shift", "max"),
        p_highest=("p", "max"),
        rank_best=("rank", "min"),
        rank_worst=("rank", "max"),
    )
    return table.assign(hangs_on=worst["without"]).reset_index()
