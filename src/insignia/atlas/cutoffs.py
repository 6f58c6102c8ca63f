"""Cut-offs of a search: one number, or one for each cell type, with the cells that they were taken from.

They can be written into an atlas and used again: what is added to the atlas later does not change them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from insignia.atlas.filters import select
from insignia.core import keys
from insignia.core.errors import AtlasDamaged, AtlasMismatch, InputError, MissingMetadata, SignatureError
from insignia.data import AttributionRecord
from insignia.stats import cutoff, held_out_rate, rule_defaults

if TYPE_CHECKING:
    from insignia.atlas.result import SearchResult

__all__ = ["Calibration", "Cutoffs", "Stratum"]

_NULL_OPTIONS: Final = ("n_sets", "n_cells", "pool", "rng")
_LEAST_REFERENCE: Final = 20
"""Cells that a group needs for a cut-off of its own."""


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


@dataclass(frozen=True)
class Calibration:
    """What scores a cut-off was taken from, all that tells whether other scores compare with it.

    Attributes
    ----------
    signature, signature_sha256, agg, min_coverage
        What was scored, and how.
    where, filters
        Which cells were searched: the expression, and each named filter with what it dropped.
    record
        How the attributions were made.
    atlas_sha256
        Version of the atlas: hash of its manifest.
    software
        Version of insignia that took the cut-off.
    """

    signature: str
    signature_sha256: str
    agg: str
    min_coverage: float
    where: str | None
    filters: tuple[Mapping[str, Any], ...]
    record: AttributionRecord
    atlas_sha256: str
    software: str

    @classmethod
    def of(cls, result: "SearchResult") -> "Calibration":
        """Describe a search."""
        return cls(
            signature=result.signature.name,
            signature_sha256=result.signature.sha256,
            agg=result.agg,
            min_coverage=result.min_coverage,
            where=result.where,
            filters=tuple(step._asdict() for step in result.filters),
            record=result.snapshot.manifest.record,
            atlas_sha256=result.snapshot.manifest.sha256(),
            software=version("insignia"),
        )

    def check(self, result: "SearchResult") -> None:
        """Refuse scores that do not compare with those of the calibration.

        Raises
        ------
        SignatureError
            The search scored another signature, or combined genes in another way.
        AtlasMismatch
            Its atlas holds attributions of another kind.
        """
        if result.signature.sha256 != self.signature_sha256 or result.agg != self.agg:
            raise SignatureError(
                f"The cut-off was taken from scores of {self.signature!r} ({self.agg}) and cannot call scores of "
                f"{result.signature.name!r} ({result.agg}). Search the same signature the same way."
            )
        differences = self.record.differences(result.snapshot.manifest.record)
        if differences:
            raise AtlasMismatch(
                f"The cut-off belongs to attributions that differ in {', '.join(differences)} from those of the other "
                "search, so the scores do not compare. Call that search on its own."
            )


@dataclass(frozen=True, eq=False)
class Cutoffs:
    """Where to cut the scores of a search, and why there.

    Attributes
    ----------
    rule, params
        How they were found.
    within
        Metadata column each of whose values has a cut-off of its own, or `None`.
    strata
        Cut-off and reference by value of `within`; without it, by ``""``.
    selected
        Expression that selected the cells they were taken from, or `None` for all cells of the search.
    reference
        These cells in words.
    n_reference
        How many they are.
    calibration
        The search that they were taken from.
    """

    rule: str
    params: Mapping[str, float]
    within: str | None
    strata: Mapping[str, Stratum]
    selected: str | None
    reference: str
    n_reference: int
    calibration: Calibration
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
        params = {**rule_defaults(rule), **params}
        taken = _Population.of(result, rule, params, within, reference)
        for_rule = {name: value for name, value in params.items() if rule != "null" or name not in _NULL_OPTIONS}
        sizes = taken.sizes()
        enough = sorted(sizes) if within is None else sorted(name for name in sizes if sizes[name] >= _LEAST_REFERENCE)
        if within is not None and not enough:
            raise InputError(
                f"No value of {within!r} has {_LEAST_REFERENCE} cells to take a cut-off from (most: "
                f"{max(sizes.values(), default=0):,}). Widen the reference, or take one cut-off for all."
            )
        return cls(
            rule=rule,
            params=params,
            within=within,
            strata={label: taken.stratum(label, rule, for_rule) for label in enough},
            selected=reference,
            reference=taken.words if within is None else f"{taken.words}, each {within} by itself",
            n_reference=len(taken.scores),
            calibration=Calibration.of(result),
            _without=() if within is None else tuple(sorted(set(_labels(result, within).unique()) - set(enough))),
        )

    @property
    def values(self) -> dict[str, float]:
        """Cut-off by value of `within`; without it, by ``""``."""
        return {label: stratum.cutoff for label, stratum in self.strata.items()}

    @property
    def false_positive_rate(self) -> float | None:
        """Share of the reference that lies above its own cut-off by construction; `None` if the rule does not say."""
        q = self.params.get("q")
        return None if q is None else 1 - (q / 100 if self.rule == "percentile" else q)

    def table(self) -> pd.DataFrame:
        """One row a group: ``group``, ``cutoff``, ``cells``, ``donors``, ``rate``, ``held_out_rate``; see `Stratum`."""
        rows = [{"group": label or "all", **asdict(stratum)} for label, stratum in self.strata.items()]
        return pd.DataFrame(rows)

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

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON, that `from_dict` reads back without loss; NaN is written as null."""
        strata = {label: _plain(asdict(stratum)) for label, stratum in self.strata.items()}
        calibration = {**vars(self.calibration), "record": self.calibration.record.to_dict()}
        return {
            "rule": self.rule,
            "params": dict(self.params),
            "within": self.within,
            "strata": strata,
            "selected": self.selected,
            "reference": self.reference,
            "n_reference": self.n_reference,
            "without": list(self._without),
            "calibration": {**calibration, "filters": [dict(step) for step in self.calibration.filters]},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Cutoffs":
        """Read what `to_dict` gave.

        Raises
        ------
        AtlasDamaged
            An entry is absent or of another kind.
        """
        try:
            made = dict(content["calibration"])
            record = AttributionRecord.from_dict(made.pop("record"))
            calibration = Calibration(**{**made, "filters": tuple(made["filters"])}, record=record)
            strata = {
                label: Stratum(**{**entry, "held_out_rate": _number(entry["held_out_rate"])})
                for label, entry in content["strata"].items()
            }
            return cls(
                rule=str(content["rule"]),
                params=dict(content["params"]),
                within=content["within"],
                strata=strata,
                selected=content["selected"],
                reference=str(content["reference"]),
                n_reference=int(content["n_reference"]),
                calibration=calibration,
                _without=tuple(content["without"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise AtlasDamaged(
                f"A stored cut-off cannot be read ({error!r}). Delete it, and freeze it again."
            ) from error


@dataclass(frozen=True, eq=False)
class _Population:
    """What cut-offs are taken from: scores of reference cells, or of random gene sets in them, (cells, 1 or sets)."""

    scores: np.ndarray
    donors: np.ndarray
    labels: np.ndarray
    words: str

    @classmethod
    def of(
        cls, result: "SearchResult", rule: str, params: Mapping[str, float], within: str | None, reference: str | None
    ) -> "_Population":
        chosen = _chosen(result, reference)
        scored = chosen & ~np.isnan(result.scores)
        if reference is not None and not scored.any():
            raise InputError(f"None of the cells searched where {reference} has a score, so there is no reference.")
        words = _words(result, reference, int(scored.sum()))
        if rule == "null":
            from insignia.atlas.null import NullOptions, null_scores

            given = {name: int(value) for name, value in params.items() if name in _NULL_OPTIONS}
            null = null_scores(result, NullOptions(**given), within=within, chosen=chosen)
            told = f"{null.null.shape[1]:,} random gene sets like the signature in {len(null):,} of {words}"
            return cls(null.null, _donors(result)[null.rows], null.labels if within else _one(len(null)), told)
        # without a score at all, the rule says so
        rows = np.flatnonzero(scored if scored.any() else chosen)
        labels = _one(rows.size) if within is None else _labels(result, within).to_numpy(dtype=object)[rows]
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


def _labels(result: "SearchResult", within: str) -> pd.Series:
    if within not in result.snapshot.columns:
        raise MissingMetadata(f"The atlas has no column {within!r}. It has {', '.join(result.snapshot.columns)}.")
    return result.metadata([within])[within].astype(str)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in values.items()}
