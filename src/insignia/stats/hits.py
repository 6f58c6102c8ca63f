"""Hit rules: where to cut a score so that the cells above it count as hits.

A rule takes the scores of a reference population and gives one number. A cell is a hit when its score is
above that number, in the reference or anywhere else the number is used later.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import pandas as pd

from insignia.core.errors import InputError
from insignia.core.registry import Registry

__all__ = ["Rule", "cutoff", "held_out_rate", "rule_defaults", "rules"]


Rule: TypeAlias = Callable[..., float]
"""Gives the cut-off of finite scores, float64 (cells,), never empty; its parameters are keyword-only."""

rules: Registry[Rule] = Registry("hit rule")
"""Every hit rule by name."""


@rules.add("percentile", source="doi:10.1101/2025.06.14.659567")
def percentile(scores: np.ndarray, *, q: float = 90.0) -> float:
    """Cut at the `q`-th percentile, `q` within 0 to 100."""
    if not 0 <= q <= 100:
        raise InputError(f"A percentile lies within 0 and 100; q is {q}.")
    if 0 < q < 1:
        raise InputError(f"q={q} is the {q}-th percentile; for a fraction use rule='quantile' or q={100 * q:g}.")
    return float(np.percentile(scores, q))


@rules.add("quantile", source="doi:10.1101/2025.06.14.659567")
def quantile(scores: np.ndarray, *, q: float = 0.9) -> float:
    """Cut at the `q`-quantile, `q` within 0 to 1."""
    if not 0 <= q <= 1:
        raise InputError(f"A quantile lies within 0 and 1; q is {q}. For 0 to 100 use rule='percentile'.")
    return float(np.quantile(scores, q))


@rules.add("healthy_quantile", source="doi:10.1101/2025.06.14.659567")
def healthy_quantile(scores: np.ndarray, *, q: float = 0.99) -> float:
    """Cut at the `q`-quantile of healthy cells, so that a share 1 - `q` of them is above: the false positive rate."""
    return quantile(scores, q=q)


@rules.add("null", source="doi:10.1038/s41588-022-01167-z")
def null(scores: np.ndarray, *, q: float = 0.99) -> float:
    """Cut at the `q`-quantile of the scores of random gene sets, so that a share 1 - `q` of these is above."""
    return quantile(scores, q=q)


@rules.add("mad", source="doi:10.1016/j.jesp.2013.03.013")
def mad(scores: np.ndarray, *, k: float = 3.0) -> float:
    """Cut `k` robust standard deviations (1.4826 times the median absolute deviation) above the median."""
    if not np.isfinite(k):
        raise InputError(f"k is a number of robust standard deviations, not {k}.")
    middle = np.median(scores)
    return float(middle + k * 1.4826 * np.median(np.abs(scores - middle)))


@rules.add("value", source="doi:10.1101/2025.06.14.659567")
def value(scores: np.ndarray, *, value: float) -> float:  # noqa: ARG001 (every rule sees the scores)
    """Cut at a value that the caller knows."""
    if not np.isfinite(value):
        raise InputError(f"A cut-off is a finite number; value is {value}.")
    return float(value)


def held_out_rate(
    scores: np.ndarray, groups: np.ndarray, rule: str, params: Mapping[str, float], *, folds: int = 10
) -> float:
    """Share of scores above a cut-off in whose taking their group had no part.

    Groups are dealt to folds in the order of their labels; the cut-off of each fold is taken from the others.

    Parameters
    ----------
    scores
        Scores of the reference population, (cells,); NaN does not take part.
    groups
        Label of the donor of each, (cells,).
    rule, params
        As for `cutoff`.
    folds
        Fewer where there are fewer groups.

    Returns
    -------
    NaN with fewer than two groups.

    Raises
    ------
    UnknownName
        No rule has this name.
    InputError
        As for `cutoff`.
    """
    scored = ~np.isnan(scores)
    scores = np.asarray(scores, dtype=np.float64)[scored]
    fold = pd.factorize(np.asarray(groups)[scored], sort=True)[0] % folds
    parts = np.unique(fold)
    if parts.size < 2:
        return float("nan")
    above = sum(int((scores[fold == k] > cutoff(scores[fold != k], rule, **params)).sum()) for k in parts)
    return above / scores.size


def rule_defaults(rule: str) -> dict[str, float]:
    """Parameters that a rule takes when none are given.

    Raises
    ------
    UnknownName
        No rule has this name.
    """
    parameters = inspect.signature(rules[rule]).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}


def cutoff(scores: np.ndarray, rule: str, **params: float) -> float:
    """Cut-off of `scores` under a rule; cells without a score (NaN) do not take part.

    Parameters
    ----------
    scores
        Scores of the reference population, (cells,).
    rule
        Name of a rule: ``"percentile"``, ``"quantile"``, ``"mad"``, ``"value"``, or one registered elsewhere.
    params
        What the rule takes, e.g. ``q=90``.

    Raises
    ------
    UnknownName
        No rule has this name.
    InputError
        No cell has a score, a score is infinite, or a parameter is missing, unknown or out of range.
    """
    found = rules[rule]
    given = np.asarray(scores, dtype=np.float64)
    finite = given[~np.isnan(given)]
    if not finite.size:
        raise InputError(f"None of the {given.size:,} cells has a score, so {rule!r} has nothing to cut.")
    if not np.isfinite(finite).all():
        raise InputError(f"{int(np.isinf(finite).sum()):,} scores are infinite; a cut-off needs numbers.")
    try:
        inspect.signature(found).bind(finite, **params)
    except TypeError as error:
        raise InputError(_misfit(rule, params)) from error
    return float(found(finite, **params))


def _misfit(rule: str, params: Mapping[str, float]) -> str:
    """Say what a rule takes and what the caller gave it, and name the rule that was meant, if one of that name is."""
    takes, defaults = list(inspect.signature(rules[rule]).parameters)[1:], rule_defaults(rule)
    given = {name: value for name, value in params.items() if name not in defaults or value != defaults[name]}
    said = ", ".join(f"{name}={value!r}" for name, value in given.items())
    meant = [name for name in given if name not in takes and name in rules]
    hint = ""
    if meant:
        first = list(inspect.signature(rules[meant[0]]).parameters)[1]
        hint = f" The rule {meant[0]!r} is called so: call({meant[0]!r}, {first}={given[meant[0]]!r})."
    return f"Hit rule {rule!r} takes {', '.join(takes)}; it was given {said or 'nothing'}.{hint}"
