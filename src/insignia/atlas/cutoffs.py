"""Cut-offs of a search: one number, or one for each cell type, with the cells that they were taken from.

They can be written into an atlas and used again: what is added to the atlas later does not change them.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from insignia.atlas.calibration import Calibration
from insignia.atlas.population import NULL_OPTIONS, Population, Stratum, labels_of
from insignia.core.errors import AtlasDamaged, InputError
from insignia.data import AttributionRecord
from insignia.stats import rule_defaults

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
        taken = Population.of(result, rule, params, within, reference)
        for_rule = {name: value for name, value in params.items() if rule != "null" or name not in NULL_OPTIONS}
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
            _without=() if within is None else tuple(sorted(set(labels_of(result, within).unique()) - set(enough))),
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
        return labels_of(result, self.within).map(self.values).to_numpy(dtype=np.float64, na_value=np.nan)

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


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in values.items()}
