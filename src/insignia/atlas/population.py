"""What cut-offs are taken from: the scores of reference cells, or of random gene sets in them, donor by donor."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from insignia.atlas.filters import select
from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata
from insignia.stats import cutoff, held_out_rate

if TYPE_CHECKING:
    from insignia.atlas.result import SearchResult

__all__ = ["NULL_OPTIONS", "Population", "Stratum", "labels_of"]

NULL_OPTIONS: Final = ("n_sets", "n_cells", "pool", "rng")
"""Parameters of the rule ``"null"`` that say which random sets there are, not where their scores are cut."""


@dataclass(frozen=True)
class Stratum:
    """The cut-off of one group of cells, and what it was taken from.

    Attributes
    ----------
    cutoff
        A cell is a hit when its score is above.
    cells, donors
        Reference cells with a score, and how many donors they come from; a donor that is not one person counts as one
        for each of its samples.
    rate
        Share of the reference cells above the cut-off: the false positive rate, where the reference is healthy.
    held_out_rate
        The same for donors that had no part in the cut-off: cut-offs are taken again without a tenth of the donors in
        turn. NaN with one donor. It is what a new donor should be expected to show.
    """

    cutoff: float
    cells: int
    donors: int
    rate: float
    held_out_rate: float


@dataclass(frozen=True, eq=False)
class Population:
    """What cut-offs are taken from: scores of reference cells, or of random gene sets in them, (cells, 1 or sets)."""

    scores: np.ndarray
    donors: np.ndarray
    labels: np.ndarray
    words: str

    @classmethod
    def of(
        cls, result: "SearchResult", rule: str, params: Mapping[str, float], within: str | None, reference: str | None
    ) -> "Population":
        """Take the cells of a search, or those of them that `reference` selects, in groups `within`."""
        chosen = _chosen(result, reference)
        scored = chosen & ~np.isnan(result.scores)
        if reference is not None and not scored.any():
            raise InputError(f"None of the cells searched where {reference} has a score, so there is no reference.")
        words = _words(result, reference, int(scored.sum()))
        if rule == "null":
            from insignia.atlas.null import NullOptions, null_scores

            given = {name: int(value) for name, value in params.items() if name in NULL_OPTIONS}
            null = null_scores(result, NullOptions(**given), within=within, chosen=chosen)
            told = f"{null.null.shape[1]:,} random gene sets like the signature in {len(null):,} of {words}"
            return cls(null.null, _donors(result)[null.rows], null.labels if within else _one(len(null)), told)
        # without a score at all, the rule says so
        rows = np.flatnonzero(scored if scored.any() else chosen)
        labels = _one(rows.size) if within is None else labels_of(result, within).to_numpy(dtype=object)[rows]
        return cls(result.scores[rows, None], _donors(result)[rows], labels, words)

    def sizes(self) -> dict[str, int]:
        """Cells of each group."""
        # by hashes: sorting the labels of a million cells takes longer than the search
        return {str(label): int(cells) for label, cells in pd.Series(self.labels).value_counts().items()}

    def stratum(self, label: str, rule: str, params: Mapping[str, float]) -> Stratum:
        """Take the cut-off of one group."""
        here = self.labels == label
        scores, donors = self.scores[here], self.donors[here]
        n_sets = scores.shape[1]
        value = cutoff(scores.ravel(), rule, **params)
        # random sets are held out as donors are
        groups = donors if n_sets == 1 else np.tile(np.arange(n_sets), len(scores))
        return Stratum(
            cutoff=value,
            cells=len(scores),
            donors=int(pd.unique(donors).size),
            rate=float((scores > value).mean()),
            held_out_rate=held_out_rate(scores.ravel(), groups, rule, params),
        )


def _one(n: int) -> np.ndarray:
    return np.full(n, "", dtype=object)


def _donors(result: "SearchResult") -> np.ndarray:
    """Tell the donors of cells apart by number, or their samples, where a donor is not one person."""
    obs = result.metadata([keys.STUDY, keys.SAMPLE, keys.DONOR])
    codes = [column.cat.codes.to_numpy(dtype=np.int64) for column in (obs[name] for name in obs)]
    nobody = obs[keys.DONOR].isin([name for name in obs[keys.DONOR].cat.categories if keys.is_not_one_person(name)])
    study, sample, donor = codes
    person = np.where(nobody, sample + donor.max(initial=0) + 1, donor)
    numbers: np.ndarray = pd.factorize(study * (person.max(initial=0) + 1) + person, sort=True)[0]
    return numbers


def _words(result: "SearchResult", reference: str | None, n_cells: int) -> str:
    n_studies = len({entry.study for entry in result.studies if not entry.reason})
    where = [text for text in (result.where, reference) if text]
    named = f"where {', where '.join(where)}" if where else "all cells"
    rules = "".join(f", {step.name}" for step in result.filters)
    return f"{n_cells:,} cells of {n_studies:,} studies ({named}{rules})"


def _chosen(result: "SearchResult", reference: str | None) -> np.ndarray:
    if reference is None:
        return np.ones(len(result), dtype=bool)
    rows = select(result.snapshot, reference)
    own = np.arange(len(result)) if result.rows is None else result.rows
    return np.isin(own, rows)


def labels_of(result: "SearchResult", within: str) -> pd.Series:
    """Give the value of a metadata column for each cell of a search, as text; a missing one is "unknown".

    Raises
    ------
    MissingMetadata
        The atlas has no such column.
    """
    if within not in result.snapshot.columns:
        raise MissingMetadata(f"The atlas has no column {within!r}. It has {', '.join(result.snapshot.columns)}.")
    labels = result.metadata([within])[within].astype(object)
    return labels.where(labels.notna(), keys.UNKNOWN).astype(str)
