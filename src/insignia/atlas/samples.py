"""Sample tables: one row for each sample, the unit that statistics count; never the cell."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata
from insignia.data import SEPARATOR, join_labels

if TYPE_CHECKING:
    from insignia.atlas.calls import Hits
    from insignia.atlas.comparison import Comparison
    from insignia.atlas.result import SearchResult

__all__ = ["UNIT", "SampleTable", "sample_table", "unit_columns"]

UNIT = [keys.STUDY, keys.SAMPLE, keys.DONOR, keys.TISSUE, keys.DISEASE, "stratum"]


@dataclass(frozen=True, eq=False)
class SampleTable:
    """Hits per sample.

    Attributes
    ----------
    table
        One row for each (study, sample, donor, tissue, disease, stratum), so that a sample with cells of two tissues
        has two rows, and equal sample names of two studies stay apart. Columns ``cells`` (scored), ``hits``,
        ``fraction`` (hits over cells), ``mean_score``, ``coverage`` (mean share of the signature that was measured),
        ``unscored`` (cells without a score, not among ``cells``).
    excluded
        Rows that were put aside, with a ``reason``.
    stratum
        Column that split the samples, or `None`.
    about
        How hits were called.
    """

    table: pd.DataFrame = field(repr=False)
    excluded: pd.DataFrame = field(repr=False)
    stratum: str | None
    min_cells: int
    about: Mapping[str, Any] = field(repr=False)

    def __len__(self) -> int:
        return len(self.table)

    def pool_donors(self) -> "SampleTable":
        """Join the samples of each donor: one row for each (study, donor, tissue, disease, stratum).

        ``sample`` then lists the samples and ``samples`` counts them. Donors called ``"pooled"`` or ``"unknown"``
        are not one person each; their rows are put aside, with the reason.
        """
        nobody = self.table[keys.DONOR].map(keys.is_not_one_person).astype(bool)
        aside = self.table[nobody].assign(
            reason=[f"donor {name!r} is not one person" for name in self.table.loc[nobody, keys.DONOR]]
        )
        kept = self.table[~nobody]
        weighted = kept.assign(
            mean_score=kept["mean_score"] * kept["cells"], coverage=kept["coverage"] * kept["cells"], samples=1
        )
        by = [name for name in UNIT if name != keys.SAMPLE]
        sums = dict.fromkeys(("cells", "hits", "mean_score", "coverage", "unscored", "samples"), "sum")
        pooled = weighted.groupby(by, sort=True, as_index=False).agg({keys.SAMPLE: _listed, **sums})
        pooled["mean_score"] /= pooled["cells"]
        pooled["coverage"] /= pooled["cells"]
        pooled["fraction"] = pooled["hits"] / pooled["cells"]
        return replace(
            self,
            table=pooled[[*self.table.columns, *(["samples"] if "samples" not in self.table else [])]],
            excluded=pd.concat([self.excluded, aside], ignore_index=True) if len(aside) else self.excluded,
        )

    def summary(self, by: str = keys.DISEASE, *, min_samples: int = 3) -> pd.DataFrame:
        """Describe groups of samples, the largest mean fraction first; no test is made.

        Parameters
        ----------
        by
            Column that forms groups: ``"disease"``, ``"tissue"`` or ``"study"``.
        min_samples
            Groups with fewer samples are kept, with ``enough`` False, behind all others.

        Returns
        -------
        One row for each group, and stratum where there are strata: ``samples``, ``donors``, ``studies``, ``cells``,
        ``hits``, ``mean_fraction``, ``median_fraction``, ``enough``. Donors called "pooled" or "unknown" are not
        counted as donors.
        """
        self._check_groups(by)
        groups = [by] if self.stratum is None else ["stratum", by]
        table = self.table.assign(
            donors=self.table[keys.STUDY] + "\0" + self.table[keys.DONOR],
            samples=self.table[keys.STUDY] + "\0" + self.table[keys.SAMPLE],
        )
        table.loc[table[keys.DONOR].map(keys.is_not_one_person).astype(bool), "donors"] = None
        grouped = table.groupby(groups, sort=True)
        summary = grouped.agg(
            samples=("samples", "nunique"),
            donors=("donors", "nunique"),
            studies=(keys.STUDY, "nunique"),
            cells=("cells", "sum"),
            hits=("hits", "sum"),
            mean_fraction=("fraction", "mean"),
            median_fraction=("fraction", "median"),
        ).reset_index()
        summary["enough"] = summary["samples"] >= min_samples
        return summary.sort_values(
            ["enough", "mean_fraction", *groups], ascending=[False, False, *([True] * len(groups))], ignore_index=True
        )

    def compare(
        self,
        by: str = keys.DISEASE,
        *,
        reference: str = "normal",
        test: str = "van_elteren",
        alpha: float = 0.05,
        n_boot: int = 999,
        rng: int = 0,
    ) -> "Comparison":
        """Compare each group with a reference, donors being the units, never cells.

        Samples are pooled by donor first. Every test is two-sided; q-values are those of Benjamini and Hochberg over
        all groups and strata that could have reached `alpha`. A donor with several diseases (``"a || b"``) is a case
        of each. It shows association, not mechanism.

        Parameters
        ----------
        by
            Column that forms groups: ``"disease"``, ``"tissue"``, ...
        reference
            Its value to compare with.
        test
            ``"van_elteren"`` ranks donors within each study that has both groups, which is what studies that differ
            demand; ``"meta"`` averages the differences of studies by a random-effects model; ``"beta_binomial"`` models
            hits among cells with random studies; ``"mann_whitney"`` ignores studies. ``"cells_as_if_independent"``
            exists to show what goes wrong: it takes every cell for a donor, and finds something everywhere.
        alpha
            Level that a row must be able to reach to be tested.
        n_boot, rng
            Of the bootstrap over studies, then donors, that gives the interval of the shift.

        Raises
        ------
        InputError
            No donor belongs to the reference, or `by` is not a column of the table.
        UnknownName
            No test has this name.
        """
        from insignia.atlas.comparison import compare

        self._check_groups(by)
        return compare(self, by=by, reference=reference, test=test, alpha=alpha, n_boot=n_boot, rng=rng)

    def _check_groups(self, by: str) -> None:
        if by not in UNIT[:-1]:
            raise InputError(f"Samples can be grouped by {', '.join(UNIT[:-1])}; found {by!r}.")


def sample_table(hits: "Hits", *, stratum: str | None, min_cells: int) -> SampleTable:
    """Count the hits of every sample; see `Hits.by_sample`."""
    result = hits.result
    scored = hits.is_called
    parts = unit_columns(result, stratum).assign(
        cells=scored,
        hits=hits.is_hit,
        mean_score=np.where(scored, result.scores, 0).astype(np.float64),
        coverage=result.cell_coverage.astype(np.float64),
        unscored=~scored,
        all=1,
    )
    table = parts.groupby(UNIT, sort=False, as_index=False, observed=True, dropna=False).sum()
    table = table.astype(dict.fromkeys(UNIT, str)).sort_values(UNIT, ignore_index=True)
    table["mean_score"] = table["mean_score"] / table["cells"]
    table["fraction"] = table["hits"] / table["cells"]
    table["coverage"] = table["coverage"] / table["all"]
    table = table[[*UNIT, "cells", "hits", "fraction", "mean_score", "coverage", "unscored"]]
    small = table["cells"] < min_cells
    excluded = table[small].assign(reason=[_reason(row, min_cells) for row in table[small].itertuples()])
    return SampleTable(
        table=table[~small].reset_index(drop=True),
        excluded=excluded.reset_index(drop=True),
        stratum=stratum,
        min_cells=min_cells,
        about=hits.about(),
    )


def unit_columns(result: "SearchResult", stratum: str | None) -> pd.DataFrame:
    """Columns that tell which row of a sample table each cell of a search belongs to.

    Raises
    ------
    MissingMetadata
        The atlas has no column `stratum`.
    """
    known = result.snapshot.columns
    if stratum is not None and stratum not in known:
        raise MissingMetadata(f"The atlas has no column {stratum!r} to split samples by. It has {', '.join(known)}.")
    cells = result.metadata(list(dict.fromkeys([*UNIT[:-1], stratum or keys.STUDY])))
    spelt = {text: join_labels(str(text)) for text in cells[keys.DISEASE].unique()}
    if any(new != text for text, new in spelt.items()):
        # an older version wrote the atlas; a set of diseases has one spelling now
        cells[keys.DISEASE] = cells[keys.DISEASE].astype(object).map(spelt)
    return cells[UNIT[:-1]].assign(stratum="all" if stratum is None else _as_text(cells[stratum]))


def _as_text(column: pd.Series) -> pd.Series:
    """Strata as text; a missing value is "unknown"."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype("category")
    column = column.cat.rename_categories([str(value) for value in column.cat.categories])
    if keys.UNKNOWN not in column.cat.categories:
        column = column.cat.add_categories(keys.UNKNOWN)
    return column.fillna(keys.UNKNOWN)


def _reason(row: Any, min_cells: int) -> str:
    if row.cells == 0 and row.unscored:
        return f"no score: the study measured {row.coverage:.0%} of the signature"
    return f"{row.cells} scored cells, fewer than {min_cells}"


def _listed(names: pd.Series) -> str:
    return SEPARATOR.join(dict.fromkeys(names))
