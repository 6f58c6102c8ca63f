"""Two groups of donors, or each donor with itself, compared in many columns at once."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.stats import benjamini_hochberg, group_effects, paired_tests, rank_tests

__all__ = ["contrast", "patterns"]

_UNIT = [keys.STUDY, keys.DONOR]


def contrast(
    units: Sequence[pd.DataFrame], values: Sequence[np.ndarray], *, paired: bool, alpha: float
) -> pd.DataFrame:
    """Compare two arms.

    Parameters
    ----------
    units
        ``study`` and ``donor`` of the units of each arm.
    values
        (units, columns) of each arm; NaN where a unit has no value, and then takes no part.
    paired
        Compare each donor with itself by Wilcoxon's signed rank test; else donors are ranked within studies that have
        both arms, by van Elteren's.

    Returns
    -------
    One row a column of the values: ``donors``, ``reference_donors``, ``studies``, ``mean``, ``reference_mean``,
    ``shift``, ``effect``, ``cliffs_delta``, ``p``, ``smallest_p``, ``q``, ``testable``.

    Raises
    ------
    InputError
        Arms are to be paired and share no donor.
    """
    test = _paired if paired else _apart
    table = pd.concat(test(units, values)).sort_index()
    table["testable"] = table["p"].notna() & (table["smallest_p"] <= alpha)
    tested = table["testable"].to_numpy(dtype=bool)
    table.insert(len(table.columns) - 1, "q", benjamini_hochberg(np.where(tested, table["p"], np.nan)))
    return table.reset_index(drop=True)


def patterns(has: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give the sets of units that occur, and the columns in which exactly these have values."""
    distinct, number = np.unique(has, axis=1, return_inverse=True)
    for k in range(distinct.shape[1]):
        yield distinct[:, k], np.flatnonzero(number.ravel() == k)


def _apart(units: Sequence[pd.DataFrame], values: Sequence[np.ndarray]) -> Iterator[pd.DataFrame]:
    both = np.concatenate(values)
    is_case = np.repeat([True, False], [len(part) for part in values])
    studies = np.concatenate([part[keys.STUDY].to_numpy(dtype=object) for part in units]).astype(str)
    for pattern, columns in patterns(~np.isnan(both)):
        own, case, study = both[pattern][:, columns], is_case[pattern], studies[pattern]
        tests, effects = rank_tests(own, case, study), group_effects(own, case, study)
        compared = np.isin(study, sorted(set(study[case]) & set(study[~case])))
        yield pd.DataFrame(
            {
                "donors": int(case.sum()),
                "reference_donors": int((~case).sum()),
                "studies": tests.strata,
                "mean": _mean(own[case & compared], columns.size),
                "reference_mean": _mean(own[~case & compared], columns.size),
                "shift": effects.shift,
                "effect": effects.standardised,
                "cliffs_delta": effects.cliffs_delta,
                "p": tests.p if tests.strata else np.nan,
                "smallest_p": tests.smallest_p,
            },
            index=columns,
        )


def _paired(units: Sequence[pd.DataFrame], values: Sequence[np.ndarray]) -> Iterator[pd.DataFrame]:
    names = [pd.MultiIndex.from_frame(part[_UNIT]) for part in units]
    there = names[1].get_indexer(names[0])
    kept = np.flatnonzero(there >= 0)
    if not kept.size:
        raise InputError("No donor has cells in both groups, so that none can be paired. Pass paired=False.")
    first, second = values[0][kept], values[1][there[kept]]
    studies = units[0][keys.STUDY].to_numpy()[kept]
    for pattern, columns in patterns(~np.isnan(first - second)):
        ours, theirs = first[pattern][:, columns], second[pattern][:, columns]
        apart, n = ours - theirs, int(pattern.sum())
        tests = paired_tests(apart) if n else None
        spread = apart.std(axis=0, ddof=1) if n > 1 else np.zeros(columns.size)
        shift = np.median(apart, axis=0) if n else np.full(columns.size, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            effect = np.where(spread > 0, shift / spread, np.nan)
        yield pd.DataFrame(
            {
                "donors": n,
                "reference_donors": n,
                "studies": len(set(studies[pattern])),
                "mean": _mean(ours, columns.size),
                "reference_mean": _mean(theirs, columns.size),
                "shift": shift,
                "effect": effect,
                "cliffs_delta": np.sign(apart).mean(axis=0) if n else np.nan,
                "p": np.nan if tests is None else tests.p_rank,
                "smallest_p": 1.0 if tests is None else tests.smallest_p,
            },
            index=columns,
        )


def _mean(values: np.ndarray, n_columns: int) -> np.ndarray:
    mean: np.ndarray = values.mean(axis=0) if len(values) else np.full(n_columns, np.nan)
    return mean
