"""The groups of a sample table that a figure shows, their samples, and how they are called."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from insignia.core.errors import InputError
from insignia.report import style
from insignia.report.answers import unit_of
from insignia.report.style import p_value

if TYPE_CHECKING:
    from insignia.atlas import Comparison, SampleTable

__all__ = ["SampleGroups"]

_NAME_LETTERS: Final = 34
_FEW_FOR_BAND: Final = 3


@dataclass(frozen=True, eq=False)
class SampleGroups:
    """The groups that are drawn: their rows in the order of the summary, and the samples of each."""

    table: "SampleTable"
    by: str
    min_samples: int
    summary: pd.DataFrame
    members: list[pd.DataFrame]
    n_all: int
    comparison: "Comparison | None" = None

    @classmethod
    def of(
        cls,
        table: "SampleTable",
        by: str,
        top: int | None,
        min_samples: int,
        comparison: "Comparison | None" = None,
    ) -> "SampleGroups":
        """Take the first `top` groups of the summary; `None` takes all."""
        if comparison is not None and comparison.by != by:
            raise InputError(f"The comparison is of groups by {comparison.by!r}, and the figure by {by!r}.")
        if top is not None and top < 1:
            raise InputError(f"top is how many groups to show, at least 1; found {top}.")
        if not len(table.table):
            raise InputError(
                f"The table has no samples to draw: {style.count(len(table.excluded), 'row')} were put aside, see "
                "table.excluded for the reasons. Lower min_cells, or search more cells."
            )
        summary = table.summary(by, min_samples=min_samples)
        names = [by] if table.stratum is None else [by, "stratum"]
        groups = dict(list(table.table.groupby(names, sort=False)))
        shown = summary.head(top or len(summary))
        members = [groups[key] for key in shown[names].itertuples(index=False, name=None)]
        return cls(table, by, min_samples, shown, members, len(summary), comparison)

    @property
    def unit(self) -> str:
        """What one point is."""
        return unit_of(self.table)

    @property
    def names(self) -> list[str]:
        """Names of the groups, broken into lines."""
        parts = [self.summary[self.by].astype(str)]
        if self.table.stratum is not None:
            parts.append(self.summary["stratum"].astype(str))
        return [style.wrapped(" · ".join(names), _NAME_LETTERS) for names in zip(*parts, strict=True)]

    @property
    def sizes(self) -> list[str]:
        """How many samples, donors and studies each group has, in words."""
        return [self._size(row) for row in self.summary.to_dict("records")]

    def _size(self, row: dict[Any, Any]) -> str:
        few = "" if row["enough"] else f"fewer than {self.min_samples} {self.unit}s: "
        donors = [] if self.unit == "donor" else [style.count(row["donors"], "donor") if row["donors"] else "donors ?"]
        parts = [style.count(row["samples"], self.unit), *donors, style.count(row["studies"], "study")]
        return few + ", ".join([*parts, *self._test(row)])

    def _test(self, row: dict[Any, Any]) -> list[str]:
        """Say the q of a group, that it is what others are compared with, or that it cannot be tested."""
        # the note of a group with too few samples is long as it is
        if self.comparison is None or not row["enough"]:
            return []
        if row[self.by] == self.comparison.reference:
            return ["reference"]
        table = self.comparison.table
        found = table[(table["group"] == row[self.by]) & (table["stratum"] == row.get("stratum", "all"))]
        if not len(found):
            return []
        return [f"q = {p_value(found['q'].iloc[0])}" if found["testable"].iloc[0] else "not testable"]

    def reference_bands(self) -> list[tuple[float, float] | None]:
        """Quartiles of the reference's samples, for each row those of its stratum; `None` where there are too few."""
        if self.comparison is None:
            return [None] * len(self.summary)
        table = self.table.table
        of_reference = table[table[self.by] == self.comparison.reference]
        return [
            _quartiles(of_reference["fraction"][of_reference["stratum"] == row.get("stratum", "all")])
            for row in self.summary.to_dict("records")
        ]


def _quartiles(fractions: pd.Series) -> tuple[float, float] | None:
    known = fractions.dropna()
    return None if len(known) < _FEW_FOR_BAND else (float(known.quantile(0.25)), float(known.quantile(0.75)))
