"""Cut-offs of a search: one number, or one for each cell type, with the cells that they were taken from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from insignia.atlas.filters import select
from insignia.core.errors import InputError, MissingMetadata
from insignia.stats import cutoff

if TYPE_CHECKING:
    from insignia.atlas.result import SearchResult

__all__ = ["Cutoffs"]

_LEAST_REFERENCE: Final = 20
"""Cells that a group needs for a cut-off of its own."""


@dataclass(frozen=True, eq=False)
class Cutoffs:
    """Where to cut the scores of a search, and why there.

    Attributes
    ----------
    rule, params
        How they were found.
    within
        Metadata column each of whose values has a cut-off of its own, or `None`.
    values
        Cut-off by value of `within`; without it, by ``""``.
    selected
        Expression that selected the cells they were taken from, or `None` for all cells of the search.
    reference
        These cells in words.
    n_reference
        How many they are.
    """

    rule: str
    params: Mapping[str, float]
    within: str | None
    values: Mapping[str, float]
    selected: str | None
    reference: str
    n_reference: int
    _without: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls,
        result: "SearchResult",
        rule: str,
        params: Mapping[str, float],
        *,
        within: str | None = None,
        reference: str | None = None,
    ) -> "Cutoffs":
        """Take cut-offs from the cells of a search, or from those of them that `reference` selects."""
        chosen = _chosen(result, reference)
        scored = chosen & ~np.isnan(result.scores)
        if reference is not None and not scored.any():
            raise InputError(f"None of the cells searched where {reference} has a score, so there is no reference.")
        n_studies = len({entry.study for entry in result.studies if not entry.reason})
        where = [text for text in (result.where, reference) if text]
        named = f"where {', where '.join(where)}" if where else "all cells"
        words = f"{int(scored.sum()):,} cells of {n_studies:,} studies ({named})"
        if within is None:
            values = {"": cutoff(result.scores[chosen], rule, **params)}
            return cls(rule, dict(params), None, values, reference, words, int(scored.sum()))
        labels = _labels(result, within)
        sizes = labels[scored].value_counts()
        enough = sorted(sizes.index[sizes >= _LEAST_REFERENCE])
        if not enough:
            raise InputError(
                f"No value of {within!r} has {_LEAST_REFERENCE} cells to take a cut-off from (most: {sizes.max():,}). "
                "Widen the reference, or take one cut-off for all."
            )
        by_label = {
            label: cutoff(result.scores[scored & (labels == label).to_numpy()], rule, **params) for label in enough
        }
        without = tuple(sorted(set(labels.unique()) - set(enough)))
        return cls(
            rule,
            dict(params),
            within,
            by_label,
            reference,
            f"{words}, each {within} by itself",
            int(scored.sum()),
            without,
        )

    @property
    def false_positive_rate(self) -> float | None:
        """Share of the reference that lies above its own cut-off by construction; `None` if the rule does not say."""
        q = self.params.get("q")
        return None if q is None else 1 - (q / 100 if self.rule == "percentile" else q)

    def of_cells(self, result: "SearchResult") -> np.ndarray:
        """Cut-off of each cell of a search, (cells,); NaN where its group has none."""
        if self.within is None:
            return np.full(len(result), self.values[""])
        return _labels(result, self.within).map(self.values).to_numpy(dtype=np.float64, na_value=np.nan)

    def text(self, digits: int = 4) -> str:
        """Say where the cut is: ``"1.5"``, or ``"0.8 to 2.1, by cell type"``."""
        ends = sorted(self.values.values())
        if self.within is None:
            return f"{ends[0]:.{digits}g}"
        return f"{ends[0]:.{digits}g} to {ends[-1]:.{digits}g}, by {self.within.replace('_', ' ')}"

    def note(self) -> str:
        """Say which groups have no cut-off; empty if all have one."""
        if not self._without:
            return ""
        named = ", ".join(self._without[:5]) + (" and others" if len(self._without) > 5 else "")
        return f"Not called for want of {_LEAST_REFERENCE} reference cells: {named}."


def _chosen(result: "SearchResult", reference: str | None) -> np.ndarray:
    if reference is None:
        return np.ones(len(result), dtype=bool)
    rows = select(result.snapshot, reference)
    own = np.arange(len(result)) if result.rows is None else result.rows
    return np.isin(own, rows)


def _labels(result: "SearchResult", within: str) -> pd.Series:
    if within not in result.snapshot.columns:
        raise MissingMetadata(f"The atlas has no column {within!r}. It has {', '.join(result.snapshot.columns)}.")
    return result.metadata([within])[within].astype(str)
