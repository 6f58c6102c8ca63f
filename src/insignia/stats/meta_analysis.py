"""Differences within studies, combined over studies that may truly differ."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy.stats import t as student

from insignia.stats.arms import Arms, arms_of

__all__ = ["MetaAnalysis", "meta_analysis"]

_LEVEL: Final = 0.975


@dataclass(frozen=True, eq=False)
class MetaAnalysis:
    """A mean difference over studies.

    Parameters
    ----------
    difference, low, high
        Mean over studies, and its interval of 95 %.
    p
        Two-sided; NaN with a single study.
    tau, i2
        Standard deviation of the true differences between studies, and the share of the spread that is theirs.
    studies
        One row a study with both groups: ``study``, ``cases``, ``others``, ``difference``, ``low``, ``high``,
        ``weight``.
    """

    difference: float
    low: float
    high: float
    p: float
    tau: float
    i2: float
    studies: pd.DataFrame


def meta_analysis(values: np.ndarray, is_case: np.ndarray, studies: np.ndarray) -> MetaAnalysis:
    """Combine the differences of means within each study by a random-effects model.

    The variance of units is taken as one within all groups of all studies, since a group of two or three tells little
    of its own. The variance between studies follows Paule and Mandel, the interval Hartung, Knapp, Sidik and Jonkman;
    it is never narrower than that of a model without differences between studies.

    Parameters
    ----------
    values, is_case, studies
        As for `rank_test`.

    Returns
    -------
    The analysis; all NaN where no study has both groups, or no group has two units.

    Raises
    ------
    InputError
        Lengths differ, or a value is not finite.

    References
    ----------
    Paule and Mandel, doi:10.6028/jres.087.022; IntHout et al., doi:10.1186/1471-2288-14-25.
    """
    nan = float("nan")
    table, variance, df = _by_study(arms_of(values, is_case, studies))
    if not len(table) or not df or not variance:
        return MetaAnalysis(nan, nan, nan, nan, nan, nan, table.assign(low=nan, high=nan, weight=nan))
    variances = variance * (1 / table["cases"] + 1 / table["others"]).to_numpy()
    reach = student.ppf(_LEVEL, df) * np.sqrt(variances)
    table = table.assign(low=table["difference"] - reach, high=table["difference"] + reach, weight=1.0)
    if len(table) == 1:
        only = table.iloc[0]
        p = 2 * student.sf(abs(only["difference"]) / variances[0] ** 0.5, df)
        return MetaAnalysis(only["difference"], only["low"], only["high"], float(p), nan, nan, table)
    return _combined(table, variances)


def _combined(table: pd.DataFrame, variances: np.ndarray) -> MetaAnalysis:
    from statsmodels.stats.meta_analysis import combine_effects

    found = combine_effects(table["difference"].to_numpy(), variances, method_re="iterated")
    sd = max(float(found.sd_eff_w_re_hksj), float(found.sd_eff_w_re))
    mean, df = float(found.mean_effect_re), len(table) - 1
    reach = student.ppf(_LEVEL, df) * sd
    p = float(2 * student.sf(abs(mean) / sd, df))
    table = table.assign(weight=np.asarray(found.weights_rel_re))
    tau = float(max(found.tau2, 0.0) ** 0.5)
    return MetaAnalysis(mean, mean - reach, mean + reach, p, tau, float(max(found.i2, 0.0)), table)


def _by_study(arms: list[Arms]) -> tuple[pd.DataFrame, float, int]:
    """Differences of means, and the variance within groups with its degrees of freedom."""
    groups = [group for one in arms for group in (one.cases, one.others) if group.size]
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    df = sum(group.size - 1 for group in groups)
    rows = [
        (one.stratum, one.cases.size, one.others.size, float(one.cases.mean() - one.others.mean()))
        for one in arms
        if one.has_both
    ]
    table = pd.DataFrame(rows, columns=["study", "cases", "others", "difference"])
    return table, squares / df if df else 0.0, df
