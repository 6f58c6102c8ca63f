"""Many signatures compared between groups of donors, by the tests that compare hits, with one correction over all."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from insignia.atlas.comparison import labels_of, note, pairs, sizes
from insignia.atlas.group_tests import Outcome, group_tests, studies_with_both
from insignia.atlas.screens.contrast import patterns
from insignia.atlas.screens.donors import Donors, donors_of
from insignia.core import keys
from insignia.core.errors import InputError
from insignia.stats import benjamini_hochberg, group_effect, group_effects, rank_tests

if TYPE_CHECKING:
    from insignia.atlas.screens.screen import Screen

__all__ = ["ScreenComparison", "compare_screen"]

_RANKS: Final = ("van_elteren", "mann_whitney")
_NEED_HITS: Final = ("beta_binomial", "cells_as_if_independent")


@dataclass(frozen=True, eq=False)
class ScreenComparison:
    """Signatures that differ between groups of donors and a reference.

    Attributes
    ----------
    table
        One row a signature, group and stratum, the most significant first, then those that cannot be tested:
        ``signature``, ``group``, ``stratum``, ``donors``, ``reference_donors``, ``studies`` (with cases),
        ``studies_with_both``, ``mean_score``, ``reference_score`` (among the studies compared), ``shift``
        (Hodges-Lehmann, within studies), ``effect`` (the shift in standard deviations of donors within their group and
        study), ``cliffs_delta``, ``p``, ``smallest_p``, ``q``, ``testable``, ``note``, and ``low`` and ``high``, the
        ends of the interval of the shift, for the first `n_intervals` rows.
    reference, by, test, alpha
        As they were asked for.
    units
        The donors that were compared.
    """

    table: pd.DataFrame
    reference: str
    by: str
    test: str
    alpha: float
    units: Donors | None = field(repr=False)

    @property
    def called(self) -> pd.DataFrame:
        """Rows whose q is at or below the level."""
        return self.table[self.table["q"] <= self.alpha]

    def matrix(self, value: str = "effect", *, stratum: str | None = None) -> pd.DataFrame:
        """One column of the table as signatures x groups, of one stratum or of all as further levels of the columns.

        Raises
        ------
        InputError
            There is no such column.
        """
        if value not in self.table:
            raise InputError(f"There is no column {value!r}; there are {', '.join(self.table.columns)}.")
        rows = self.table if stratum is None else self.table[self.table["stratum"] == stratum]
        columns = "group" if stratum is not None or rows["stratum"].nunique() < 2 else ["group", "stratum"]
        return rows.pivot(index="signature", columns=columns, values=value)

    def sentence(self) -> str:
        """Say what was found."""
        tested = int(self.table["testable"].sum())
        n, called = self.table["signature"].nunique(), self.called
        if not tested:
            return (
                f"None of {len(self.table):,} comparisons of {n:,} signatures with {self.reference} can be tested: "
                "there are too few donors, or no study that holds both groups."
            )
        among = f"{tested:,} testable comparisons of {n:,} signatures with {self.reference}"
        if not len(called):
            return f"None of {among} differs at a false discovery rate of {self.alpha:g}."
        named = "; ".join(_named(row) for row in called.head(3).to_dict("records"))
        more = f"; and {len(called) - 3:,} more" if len(called) > 3 else ""
        differ = "differs" if len(called) == 1 else "differ"
        return f"Of {among}, {len(called):,} {differ} at a false discovery rate of {self.alpha:g}: {named}{more}."


def _named(row: dict) -> str:
    place = str(row["group"]) if row["stratum"] == "all" else f"{row['group']}, {row['stratum']}"
    size = f"{row['effect']:+.2f} standard deviations" if np.isfinite(row["effect"]) else f"{row['shift']:+.3g}"
    return f"{row['signature']} in {place} ({size}, q = {row['q']:.2g})"


def compare_screen(
    screen: "Screen",
    *,
    by: str,
    reference: str,
    stratum: str | None,
    test: str,
    alpha: float,
    min_cells: int,
    n_intervals: int,
    rng: int,
) -> ScreenComparison:
    """Compare groups of donors signature by signature; see `Screen.compare`."""
    group_tests[test]
    if test in _NEED_HITS:
        raise InputError(
            f"The test {test!r} counts hits among cells, and a screen holds means. Choose 'van_elteren', 'meta' or "
            "'mann_whitney', or search the signature and compare its hits."
        )
    donors = donors_of(screen, by=by, stratum=stratum, min_cells=min_cells)
    if reference not in (labels := labels_of(donors.table[by])):
        raise InputError(f"No donor has {by} {reference!r} to compare with. There are: {', '.join(labels) or 'none'}.")
    parts = [
        _one_pair(donors, group, layer, members, is_case, by=by, test=test, alpha=alpha)
        for group, layer, members, is_case in pairs(donors.table, by, reference)
    ]
    if not parts:
        raise InputError(f"There is no group but {reference!r} in {by}, so there is nothing to compare.")
    table = pd.concat(parts, ignore_index=True)
    tested = table["testable"].to_numpy(dtype=bool)
    table.insert(len(table.columns) - 2, "q", benjamini_hochberg(np.where(tested, table["p"], np.nan)))
    table = table.assign(size=table["effect"].abs().fillna(0)).sort_values(
        ["testable", "p", "size", "signature"], ascending=[False, True, False, True], ignore_index=True
    )
    table = table.drop(columns="size").assign(low=np.nan, high=np.nan)
    _add_intervals(table.head(n_intervals), table, donors, by=by, reference=reference, rng=rng)
    return ScreenComparison(table, reference, by, test, alpha, donors)


def _one_pair(
    donors: Donors,
    group: str,
    layer: str,
    members: pd.DataFrame,
    is_case: np.ndarray,
    *,
    by: str,
    test: str,
    alpha: float,
) -> pd.DataFrame:
    """All signatures of one group and stratum; those that the same donors have are tested together."""
    values = donors.values[members.index]
    has = ~np.isnan(values)
    rows = []
    for pattern, columns in patterns(has):
        units, case, own = members[pattern], is_case[pattern], values[pattern][:, columns]
        names = [donors.names[k] for k in columns]
        rows.append(_tested(units, case, own, names, by=by, test=test, alpha=alpha))
    table = pd.concat(rows, ignore_index=True)
    table.insert(1, "group", group)
    table.insert(2, "stratum", layer)
    return table


def _tested(
    units: pd.DataFrame, is_case: np.ndarray, values: np.ndarray, names: list[str], *, by: str, test: str, alpha: float
) -> pd.DataFrame:
    both = studies_with_both(units, is_case) if len(units) else np.zeros(0, dtype=bool)
    studies = units[keys.STUDY].to_numpy()
    effects = group_effects(values, is_case, studies)
    outcomes = _outcomes(units, is_case, values, test)
    compared = both if both.any() else np.ones(len(units), dtype=bool)
    case, other = values[is_case & compared], values[~is_case & compared]
    counts = sizes(units.assign(fraction=0.0), is_case, both) if is_case.any() else {"donors": 0, "studies": 0}
    notes = {
        key: note(units, is_case, by, key[0], key[1], alpha) if is_case.any() else "no case has a score"
        for key in {(one.notes, one.smallest_p) for one in outcomes}
    }
    table = pd.DataFrame({"signature": names})
    for name in ("donors", "reference_donors", "studies", "studies_with_both"):
        table[name] = int(counts.get(name, 0))
    table["mean_score"] = case.mean(axis=0) if len(case) else np.nan
    table["reference_score"] = other.mean(axis=0) if len(other) else np.nan
    table["shift"], table["effect"], table["cliffs_delta"] = effects.shift, effects.standardised, effects.cliffs_delta
    table["p"] = [one.p for one in outcomes]
    table["smallest_p"] = [one.smallest_p for one in outcomes]
    table["testable"] = table["p"].notna() & (table["smallest_p"] <= alpha)
    table["note"] = [notes[one.notes, one.smallest_p] for one in outcomes]
    return table


def _outcomes(units: pd.DataFrame, is_case: np.ndarray, values: np.ndarray, test: str) -> list[Outcome]:
    """Run a test of groups on every column; the rank tests all at once."""
    nothing = Outcome(float("nan"), 1.0, ("no study has both groups",))
    if not is_case.any() or is_case.all():
        return [nothing] * values.shape[1]
    if test not in _RANKS:
        return [group_tests[test](units.assign(fraction=column), is_case) for column in values.T]
    found = rank_tests(values, is_case, units[keys.STUDY].to_numpy() if test == "van_elteren" else None)
    if not found.strata:
        return [nothing] * values.shape[1]
    always = () if test == "van_elteren" else ("studies are not accounted for",)
    return [
        Outcome(float(p), float(least), always if exact else (*always, "normal approximation"))
        for p, least, exact in zip(found.p, found.smallest_p, found.is_exact, strict=True)
    ]


def _add_intervals(
    rows: pd.DataFrame, table: pd.DataFrame, donors: Donors, *, by: str, reference: str, rng: int
) -> None:
    wanted = set(zip(rows["group"], rows["stratum"], strict=True))
    members = {
        (group, layer): (units, case)
        for group, layer, units, case in pairs(donors.table, by, reference)
        if (group, layer) in wanted
    }
    place = {name: k for k, name in enumerate(donors.names)}
    for at, name, group, layer in zip(rows.index, rows["signature"], rows["group"], rows["stratum"], strict=True):
        units, case = members[group, layer]
        values = donors.values[units.index.to_numpy(), place[name]]
        has = ~np.isnan(values)
        effect = group_effect(values[has], case[has], units[keys.STUDY].to_numpy()[has], rng=rng)
        table.loc[at, ["low", "high"]] = effect.low, effect.high
