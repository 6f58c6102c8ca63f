"""Metrics of how well a score tells groups apart."""

import numpy as np
import pandas as pd

from insignia.core.errors import InputError

__all__ = ["auroc", "auroc_by_donor"]


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a random positive scores above a random negative, ties counted half.

    Parameters
    ----------
    scores
        (cells,); entries that are NaN do not take part.
    positive
        (cells,), which entries are positives.

    Raises
    ------
    InputError
        The lengths differ, or one of the two groups has no score.

    References
    ----------
    Equals the Mann-Whitney U statistic over the number of pairs: doi:10.1148/radiology.143.1.7063747.
    """
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if scores.shape != positive.shape or scores.ndim != 1:
        raise InputError(f"scores {scores.shape} and positive {positive.shape} must be one value a cell each.")
    known = ~np.isnan(scores)
    scores, positive = scores[known], positive[known]
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if not n_positive or not n_negative:
        raise InputError(f"An AUROC needs both groups; found {n_positive} positives and {n_negative} negatives.")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    # tied scores share the mean of their ranks
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def auroc_by_donor(
    scores: np.ndarray, positive: np.ndarray, donors: np.ndarray | None = None, *, rng: int | np.random.Generator = 0
) -> pd.DataFrame:
    """AUROC within every donor, so that what differs between donors does not count, beside shuffled labels.

    Parameters
    ----------
    scores
        (cells,); entries that are NaN do not take part.
    positive
        (cells,), which cells are positives.
    donors
        (cells,) names; `None` takes all cells together, as donor ``"all"``.
    rng
        Of the control, in which the labels of each donor's cells are permuted.

    Returns
    -------
    One row a donor: donor, cells, positives, auroc, shuffled; NaN in both where a donor lacks positives or negatives.

    Raises
    ------
    InputError
        The lengths differ, or no donor has both kinds of cells.
    """
    scores, positive = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    names = np.full(scores.shape, "all") if donors is None else np.asarray(donors).astype(str)
    if not scores.shape == positive.shape == names.shape:
        raise InputError(
            f"{scores.size:,} scores, {positive.size:,} labels and {names.size:,} donors: one a cell each."
        )
    generator = np.random.default_rng(rng)
    rows = []
    for donor in np.unique(names):
        here = (names == donor) & ~np.isnan(scores)
        marked = positive[here]
        has_both = marked.any() and not marked.all()
        shuffled = generator.permutation(marked)
        found = (auroc(scores[here], marked), auroc(scores[here], shuffled)) if has_both else (np.nan, np.nan)
        rows.append((donor, int(here.sum()), int(marked.sum()), *found))
    table = pd.DataFrame(rows, columns=["donor", "cells", "positives", "auroc", "shuffled"])
    if not table["auroc"].notna().any():
        raise InputError(f"None of the {len(table):,} donors has both marked and other cells, so there is no AUROC.")
    return table
