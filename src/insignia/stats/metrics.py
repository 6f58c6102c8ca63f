"""Metrics of how well a score tells groups apart."""

import numpy as np

from insignia.core.errors import InputError

__all__ = ["auroc"]


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
