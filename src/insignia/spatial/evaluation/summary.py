"""Averages over sections: first within a sample, then over samples, so that a large sample does not speak for all."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

__all__ = ["ROLES", "by_section", "over_samples", "over_seeds"]

ROLES: Final = ("imputer", "baseline", "control", "oracle")
"""What a row of the table is, in the order in which it is shown."""

_METHOD: Final = ["role", "method"]


def by_section(sections: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Average over seeds: one row a method, sample, known sections and section."""
    return _mean(sections, [*_METHOD, "sample", "known", "section"], metrics)


def over_samples(sections: pd.DataFrame, metrics: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Average over seeds, over the sections of a sample, over the choices of its known sections, and over samples.

    Parameters
    ----------
    sections
        One row a method, sample, known sections, section and seed.
    metrics
        Columns to average.

    Returns
    -------
    Mean and standard deviation over samples (NaN for one sample), both indexed by (role, method), in the order of the
    roles and of first appearance.
    """
    per_known = _mean(by_section(sections, metrics), [*_METHOD, "sample", "known"], metrics)
    per_sample = _mean(per_known, [*_METHOD, "sample"], metrics)
    grouped = per_sample.groupby(_METHOD, sort=False)[list(metrics)]
    order = _order(sections)
    return grouped.mean().loc[order], grouped.std().loc[order]


def over_seeds(sections: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Return the standard deviation over seeds of the average over samples, by (role, method); NaN for one seed."""
    per_seed = {seed: over_samples(rows, metrics)[0] for seed, rows in sections.groupby("seed")}
    return pd.concat(per_seed, names=["seed"]).groupby(_METHOD, sort=False).std().loc[_order(sections)]


def _mean(rows: pd.DataFrame, by: list[str], metrics: Sequence[str]) -> pd.DataFrame:
    return rows.groupby(by, sort=False)[list(metrics)].mean().reset_index()


def _order(sections: pd.DataFrame) -> list[tuple[str, str]]:
    found = sections[_METHOD].drop_duplicates()
    return [(role, method) for role in ROLES for method in found.loc[found["role"] == role, "method"]]
