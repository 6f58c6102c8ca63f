"""The groups of a sample table that a figure shows, their samples, and how they are called."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from insignia.core.errors import InputError
from insignia.report import style
from insignia.report.answers import unit_of

if TYPE_CHECKING:
    from insignia.atlas import SampleTable

__all__ = ["SampleGroups"]

_NAME_LETTERS: Final = 34


@dataclass(frozen=True, eq=False)
class SampleGroups:
    """The groups that are drawn: their rows in the order of the summary, and the samples of each."""

    table: "SampleTable"
    by: str
    min_samples: int
    summary: pd.DataFrame
    members: list[pd.DataFrame]
    n_all: int

    @classmethod
    def of(cls, table: "SampleTable", by: str, top: int | None, min_samples: int) -> "SampleGroups":
        """Take the first `top` groups of the summary; `None` takes all."""
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
        return cls(table, by, min_samples, shown, members, len(summary))

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
        return few + ", ".join(parts)
