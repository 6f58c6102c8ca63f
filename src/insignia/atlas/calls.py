"""Hits: the cells above a cut-off that is kept with the population it was taken from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from insignia.atlas.cutoffs import Cutoffs
from insignia.atlas.samples import SampleTable, sample_table
from insignia.core.errors import InputError, InsigniaError

if TYPE_CHECKING:
    from insignia.atlas.result import SearchResult

__all__ = ["Hits"]


@dataclass(frozen=True, eq=False)
class Hits:
    """Which cells of a search count as hits.

    Attributes
    ----------
    result
        The search whose cells were called.
    cutoffs
        Where its scores are cut, how that was found, and from which cells; a cell is a hit when its score is above.
    is_hit
        (cells,) bool; False where a cell was not called.
    is_called
        (cells,) bool; False where a cell has no score, or its group no cut-off.
    """

    result: "SearchResult" = field(repr=False)
    cutoffs: Cutoffs
    is_hit: np.ndarray = field(repr=False)
    is_called: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, result: "SearchResult", cutoffs: Cutoffs) -> "Hits":
        """Call the cells of a search.

        Raises
        ------
        SignatureError, AtlasMismatch
            The cut-offs were taken from scores that do not compare with these.
        """
        cutoffs.calibration.check(result)
        cuts = cutoffs.of_cells(result)
        is_called = ~np.isnan(result.scores) & ~np.isnan(cuts)
        # a comparison with NaN is False, which is what a cell that is not called is
        return cls(result, cutoffs, result.scores > cuts, is_called)

    def apply_to(self, other: "SearchResult") -> "Hits":
        """Call the cells of another search with this cut-off, so that calls do not depend on what else is there.

        Raises
        ------
        SignatureError
            The other search scored another signature, or combined genes in another way.
        AtlasMismatch
            The other atlas holds attributions of another kind.
        """
        return Hits.of(other, self.cutoffs)

    @property
    def is_own(self) -> bool:
        """Whether the cut-offs are what their rule gives for this search, and did not come from another one."""
        try:
            again = self.called_again(self.result)
        except InsigniaError:
            return False
        return again.cutoffs.values == self.cutoffs.values

    def called_again(self, result: "SearchResult") -> "Hits":
        """Call the cells of a search by the same rule, with a cut-off of its own."""
        made = self.cutoffs
        return result.call(made.rule, within=made.within, reference=made.selected, **made.params)

    @property
    def rule(self) -> str:
        """Name of the hit rule."""
        return self.cutoffs.rule

    @property
    def params(self) -> Mapping[str, float]:
        """What the rule took."""
        return self.cutoffs.params

    @property
    def cutoff(self) -> float:
        """The one cut-off.

        Raises
        ------
        InputError
            There is one for each group; see `cutoffs.values`.
        """
        if self.cutoffs.within is not None:
            raise InputError(f"There is a cut-off for each {self.cutoffs.within}: see hits.cutoffs.values.")
        return self.cutoffs.values[""]

    @property
    def reference(self) -> str:
        """The cells that the cut-off was taken from, in words."""
        return self.cutoffs.reference

    @property
    def n_reference(self) -> int:
        """How many cells the cut-off was taken from."""
        return self.cutoffs.n_reference

    @property
    def q(self) -> float | None:
        """The percentile or quantile, where the rule has one."""
        return self.params.get("q")

    @property
    def n_hits(self) -> int:
        """How many cells are hits."""
        return int(self.is_hit.sum())

    @property
    def n_nan(self) -> int:
        """How many cells were not called: too little of the signature was measured, or their group has no cut-off."""
        return int((~self.is_called).sum())

    def about(self) -> dict[str, Any]:
        """Say how hits were called, as plain values for a report."""
        return {
            "signature": self.result.signature.name,
            "signature_sha256": self.result.signature.sha256,
            "agg": self.result.agg,
            "where": self.result.where,
            "min_coverage": self.result.min_coverage,
            "filters": [step._asdict() for step in self.result.filters],
            "rule": self.rule,
            "params": dict(self.params),
            "cutoff": self.cutoffs.text(),
            "cutoffs": dict(self.cutoffs.values),
            "within": self.cutoffs.within,
            "false_positive_rate": self.cutoffs.false_positive_rate,
            "strata": self.cutoffs.table().to_dict("records"),
            "calibrated_on": self.cutoffs.calibration.atlas_sha256,
            "reference": self.reference,
            "cells": len(self.result),
            "hits": self.n_hits,
            "unscored": self.n_nan,
        }

    def by_sample(self, stratum: str | None = None, *, min_cells: int = 25) -> SampleTable:
        """Count hits in every sample.

        Parameters
        ----------
        stratum
            Metadata column that splits samples further, e.g. ``"cell_type"``.
        min_cells
            Samples with fewer scored cells are put aside, with the reason.

        Raises
        ------
        MissingMetadata
            The atlas has no such column.
        """
        return sample_table(self, stratum=stratum, min_cells=min_cells)
