"""Tests of one group of donors against the reference, by name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.core.registry import Registry
from insignia.stats import beta_binomial, meta_analysis, rank_test

__all__ = ["GroupTest", "Outcome", "group_tests", "studies_with_both"]


@dataclass(frozen=True)
class Outcome:
    """What a test says; `notes` say what it rests on."""

    p: float
    smallest_p: float
    notes: tuple[str, ...] = field(default=())


GroupTest: TypeAlias = Callable[[pd.DataFrame, np.ndarray], Outcome]
"""Takes one row a donor, with ``study``, ``hits``, ``cells``, ``fraction``, and which rows are cases."""

group_tests: Registry[GroupTest] = Registry("group test")
"""Every test by name."""


def studies_with_both(units: pd.DataFrame, is_case: np.ndarray) -> np.ndarray:
    """Mark the rows of studies that hold cases and others."""
    place = pd.factorize(units[keys.STUDY])[0]
    n_cases, n_units = np.bincount(place, is_case), np.bincount(place)
    return np.asarray(((n_cases > 0) & (n_cases < n_units))[place])


@group_tests.add("van_elteren", source="van Elteren 1960")
def van_elteren(units: pd.DataFrame, is_case: np.ndarray) -> Outcome:
    """Rank donors within each study that has both groups; others say nothing."""
    found = rank_test(units["fraction"].to_numpy(), is_case, units[keys.STUDY].to_numpy())
    if not found.strata:
        return Outcome(float("nan"), 1.0, ("no study has both groups",))
    return Outcome(found.p, found.smallest_p, () if found.is_exact else ("normal approximation",))


@group_tests.add("mann_whitney", source="doi:10.1214/aoms/1177730491")
def mann_whitney(units: pd.DataFrame, is_case: np.ndarray) -> Outcome:
    """Rank all donors together, whatever their study: differences between studies count as effects."""
    found = rank_test(units["fraction"].to_numpy(), is_case)
    notes = ["studies are not accounted for"]
    return Outcome(found.p, found.smallest_p, tuple(notes + ([] if found.is_exact else ["normal approximation"])))


@group_tests.add("cells_as_if_independent", source="doi:10.1038/s41467-021-25960-2")
def cells_as_if_independent(units: pd.DataFrame, is_case: np.ndarray) -> Outcome:
    """Rank cells, hits above others: wrong, because cells of one donor resemble each other."""
    hits, cells = (units[name].to_numpy(dtype=np.int64) for name in ("hits", "cells"))
    is_hit = np.repeat(np.tile([1.0, 0.0], len(units)), np.column_stack([hits, cells - hits]).ravel())
    found = rank_test(is_hit, np.repeat(is_case, cells))
    return Outcome(found.p, found.smallest_p, ("cells of one donor are not independent: p is far too small",))


@group_tests.add("meta", source="doi:10.6028/jres.087.022")
def meta(units: pd.DataFrame, is_case: np.ndarray) -> Outcome:
    """Combine the differences of each study by a random-effects model."""
    found = meta_analysis(units["fraction"].to_numpy(), is_case, units[keys.STUDY].to_numpy())
    if np.isnan(found.p):
        return Outcome(float("nan"), 1.0, ("no study has both groups, or nothing varies within them",))
    # a normal model has no smallest p; that of the ranks keeps two donors a side from being called significant
    reachable = rank_test(units["fraction"].to_numpy(), is_case, units[keys.STUDY].to_numpy()).smallest_p
    return Outcome(found.p, reachable, ("one study",) if len(found.studies) == 1 else ())


@group_tests.add("beta_binomial", source="doi:10.2307/2285194")
def model(units: pd.DataFrame, is_case: np.ndarray) -> Outcome:
    """Model hits among cells, studies random; falls back to `van_elteren` where it does not converge, and says so."""
    found = beta_binomial(units["hits"].to_numpy(), units["cells"].to_numpy(), is_case, units[keys.STUDY].to_numpy())
    if not found.converged:
        fallen = van_elteren(units, is_case)
        return Outcome(fallen.p, fallen.smallest_p, ("the model did not converge: van Elteren's test", *fallen.notes))
    reachable = rank_test(units["fraction"].to_numpy(), is_case).smallest_p
    both = studies_with_both(units, is_case).any()
    return Outcome(found.p, reachable, () if both else ("no study has both groups: rests on the model",))
