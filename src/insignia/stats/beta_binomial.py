"""A beta-binomial mixed model of counts: how the odds of a hit differ between two groups, studies being random."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, expit, gammaln, logit, logsumexp
from scipy.stats import norm
from scipy.stats import t as student

from insignia.core.errors import InputError

__all__ = ["BetaBinomialFit", "beta_binomial"]

_NODES: Final = np.linspace(-4.5, 4.5, 61)
"""Where the effect of a study is integrated over, in its standard deviations."""

_BOUNDS: Final = {"log_sd": (-5.0, 1.5), "log_phi": (-9.0, 2.0), "effect": (-12.0, 12.0)}


@dataclass(frozen=True)
class BetaBinomialFit:
    """A fitted beta-binomial mixed model.

    Parameters
    ----------
    log_odds
        Of cases against the others, with `low` and `high`, an interval of 95 % from the curvature of the likelihood and
        Student's t.
    p
        Of the likelihood ratio against no difference, read as that of a linear model with `df` degrees of freedom: few
        studies and donors say little of how much they vary, which the chi-square of large samples ignores.
    statistic
        Twice the logarithm of the likelihood ratio.
    df
        Degrees of freedom, between those of donors within studies and those of studies, by where the information on
        the difference comes from.
    study_sd
        Standard deviation of the studies' effects on the log odds.
    overdispersion
        Correlation of two cells of one unit, beyond what group and study explain.
    converged
        Whether the optimum was found; else nothing above should be used.
    """

    log_odds: float
    low: float
    high: float
    p: float
    statistic: float
    df: float
    study_sd: float
    overdispersion: float
    converged: bool


def beta_binomial(hits: np.ndarray, cells: np.ndarray, is_case: np.ndarray, studies: np.ndarray) -> BetaBinomialFit:
    """Fit hits of cells as ``BetaBinomial(cells, mean, overdispersion)`` with ``logit(mean) = a + b case + u(study)``.

    The studies' effects u are normal and integrated out on a grid. It takes the number of cells into account, and
    learns from studies with one group only, which then rests on the model.

    Parameters
    ----------
    hits, cells
        (units,) whole numbers, hits among cells.
    is_case
        (units,) bool.
    studies
        (units,) labels.

    Raises
    ------
    InputError
        Lengths differ, there are more hits than cells, or a group is empty.
    """
    hits, cells = np.asarray(hits, dtype=np.float64), np.asarray(cells, dtype=np.float64)
    is_case, studies = np.asarray(is_case, dtype=bool), np.asarray(studies)
    if not hits.shape == cells.shape == is_case.shape == studies.shape:
        raise InputError("Hits, cells, groups and studies must be one a unit.")
    if (hits < 0).any() or (hits > cells).any() or (cells < 1).any():
        raise InputError("Every unit needs at least one cell, and no more hits than cells.")
    if is_case.all() or not is_case.any():
        raise InputError(f"Both groups are needed; found {int(is_case.sum())} cases among {len(is_case)} units.")
    place = np.unique(studies, return_inverse=True)[1]
    data = (hits, cells, is_case.astype(float), place)
    full, null = _fit(data, with_effect=True), _fit(data, with_effect=False)
    statistic = max(0.0, 2 * (null.fun - full.fun))
    df, size = _degrees_of_freedom(full.x, data)
    squared = df * np.expm1(statistic / size)
    # the estimates of maximum likelihood are too narrow by what the means took from them
    reach = float(student.ppf(0.975, df) * _standard_error(full.x, data) * (size / df) ** 0.5)
    effect = float(full.x[3])
    return BetaBinomialFit(
        log_odds=effect,
        low=effect - reach,
        high=effect + reach,
        p=float(2 * student.sf(squared**0.5, df)),
        statistic=statistic,
        df=df,
        study_sd=float(np.exp(full.x[1])),
        overdispersion=float(expit(full.x[2])),
        converged=bool(full.success and null.success and np.isfinite(reach)),
    )


def _degrees_of_freedom(at: np.ndarray, data: tuple[np.ndarray, ...]) -> tuple[float, float]:
    """Degrees of freedom of the effect, and the number of observations of the linear model that has as many.

    Satterthwaite's rule over two sources: differences within studies, whose variance the donors tell, and differences
    between studies, whose variance the studies tell. A study of one group speaks only through the latter.
    """
    _, cells, case, place = data
    mean = expit(at[0] + at[3] * case)
    # variance of a donor's empirical log odds: sampling of cells, and donors that differ
    variance = (1 + (cells - 1) * expit(at[2])) / (cells * mean * (1 - mean))
    n_studies = int(place.max()) + 1
    cases = np.bincount(place, case / variance, minlength=n_studies)
    others = np.bincount(place, (1 - case) / variance, minlength=n_studies)
    total = cases + others
    within = float((cases * others / total).sum())
    # what the means of studies add, each weighed by the variance of its own mean
    share, weight = cases / total, 1 / (np.exp(2 * at[1]) + 1 / total)
    spread = share - (weight * share).sum() / weight.sum()
    between = float((weight * spread**2).sum())
    held = int(np.count_nonzero((cases > 0) & (others > 0)))
    used = np.isin(place, np.flatnonzero((cases > 0) & (others > 0)))
    df_within, size_within = max(1.0, float(used.sum() - held - 1)), max(3.0, float(used.sum()))
    df_between, size_between = max(1.0, n_studies - 2.0), max(3.0, float(n_studies))
    if within + between <= 0:
        return df_between, size_between
    df = (within + between) ** 2 / (within**2 / df_within + between**2 / df_between)
    return df, df * (within * size_within / df_within + between * size_between / df_between) / (within + between)


def _fit(data: tuple[np.ndarray, ...], *, with_effect: bool):  # type: ignore[no-untyped-def]
    hits, cells = data[:2]
    start = [float(logit(np.clip(hits.sum() / cells.sum(), 1e-4, 1 - 1e-4))), np.log(0.5), logit(0.05)]
    bounds = [(-12.0, 12.0), _BOUNDS["log_sd"], _BOUNDS["log_phi"]]
    if with_effect:
        start, bounds = [*start, 0.0], [*bounds, _BOUNDS["effect"]]
    return minimize(_negative_log_likelihood, start, args=(data,), method="L-BFGS-B", bounds=bounds)


def _negative_log_likelihood(parameters: np.ndarray, data: tuple[np.ndarray, ...]) -> float:
    hits, cells, case, place = data
    effect = parameters[3] if len(parameters) > 3 else 0.0
    mean = expit(parameters[0] + effect * case[:, None] + np.exp(parameters[1]) * _NODES)
    total = 1 / expit(parameters[2]) - 1
    a, b = mean * total, (1 - mean) * total
    k, n = hits[:, None], cells[:, None]
    units = betaln(k + a, n - k + b) - betaln(a, b)
    studies = np.zeros((place.max() + 1, len(_NODES)))
    np.add.at(studies, place, units)
    weights = norm.logpdf(_NODES) + np.log(_NODES[1] - _NODES[0])
    ways = gammaln(cells + 1) - gammaln(hits + 1) - gammaln(cells - hits + 1)
    return -float(logsumexp(studies + weights, axis=1).sum() + ways.sum())


def _standard_error(at: np.ndarray, data: tuple[np.ndarray, ...]) -> float:
    """Take the standard error of the effect from the curvature of the likelihood at its top."""
    n, step = len(at), 1e-3
    eye = step * np.eye(n)
    curvature = np.empty((n, n))
    for i in range(n):
        for j in range(i, n):
            corners = (
                _negative_log_likelihood(at + s * eye[i] + t * eye[j], data) * s * t for s in (1, -1) for t in (1, -1)
            )
            curvature[i, j] = curvature[j, i] = sum(corners) / (4 * step**2)
    # spreads that are all but zero do not move the likelihood, and are held where they are
    inner = [i for i in range(n) if i in (0, 3) or curvature[i, i] > 1e-2]
    try:
        variance = np.linalg.inv(curvature[np.ix_(inner, inner)])[inner.index(3), inner.index(3)]
    except np.linalg.LinAlgError:
        return float("nan")
    return float(variance**0.5) if variance > 0 else float("nan")
