"""Hits: the cells above a cut-off that is kept, with the population it was taken from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from insignia.atlas.samples import SampleTable, sample_table
from insignia.core.errors import AtlasMismatch, SignatureError
from insignia.stats import cutoff

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
    rule, params
        How the cut-off was found.
    cutoff
        A cell is a hit when its score is above this.
    reference
        The cells that the cut-off was taken from, in words.
    is_hit
        (cells,) bool; False where a cell has no score.
    """

    result: "SearchResult" = field(repr=False)
    rule: str
    params: Mapping[str, float]
    cutoff: float
    reference: str
    n_reference: int
    is_hit: np.ndarray = field(repr=False)

    @classmethod
    def from_result(cls, result: "SearchResult", rule: str, params: Mapping[str, float]) -> "Hits":
        """Take the cut-off from the cells of a search, and call them."""
        cut = cutoff(result.scores, rule, **params)
        n_scored = int((~np.isnan(result.scores)).sum())
        n_studies = len({entry.study for entry in result.studies if not entry.reason})
        chosen = f"where {result.where}" if result.where else "all cells"
        reference = f"{n_scored:,} cells of {n_studies:,} studies ({chosen})"
        return cls(result, rule, dict(params), cut, reference, n_scored, result.scores > cut)

    def apply_to(self, other: "SearchResult") -> "Hits":
        """Call the cells of another search with this cut-off, so that calls do not depend on what else is there.

        Raises
        ------
        SignatureError
            The other search scored another signature, or combined genes in another way.
        AtlasMismatch
            The other atlas holds attributions of another kind.
        """
        mine = self.result
        if other.signature.sha256 != mine.signature.sha256 or other.agg != mine.agg:
            raise SignatureError(
                f"The cut-off was taken from scores of {mine.signature.name!r} ({mine.agg}) and cannot call scores of "
                f"{other.signature.name!r} ({other.agg}). Search the same signature the same way."
            )
        differences = mine.snapshot.manifest.record.differences(other.snapshot.manifest.record)
        if differences:
            raise AtlasMismatch(
                f"The cut-off belongs to attributions that differ in {', '.join(differences)} from those of the other "
                "search, so the scores do not compare. Call that search on its own."
            )
        is_hit = other.scores > self.cutoff
        return Hits(other, self.rule, self.params, self.cutoff, self.reference, self.n_reference, is_hit)

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
        """How many cells have no score, because their study measured too little of the signature."""
        return int(np.isnan(self.result.scores).sum())

    def about(self) -> dict[str, Any]:
        """Say how hits were called, as plain values for a report."""
        return {
            "signature": self.result.signature.name,
            "signature_sha256": self.result.signature.sha256,
            "agg": self.result.agg,
            "where": self.result.where,
            "min_coverage": self.result.min_coverage,
            "rule": self.rule,
            "params": dict(self.params),
            "cutoff": self.cutoff,
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
