"""Scorers that are weighted sums over genes: attribution, log expression, z-score and TF-IDF."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from insignia.genes.scorers.contract import GeneSet, Scorer, scorers

__all__ = ["tf_idf", "weighted_mean", "z_score"]


def weighted_mean(matrix: csr_matrix, sets: Sequence[GeneSet]) -> np.ndarray:
    r"""Score by the mean, :math:`\sum w a / \sum |w|`: (cells, sets)."""
    return _summed(matrix, sets, np.ones(matrix.shape[1]))


def z_score(matrix: csr_matrix, sets: Sequence[GeneSet]) -> np.ndarray:
    r"""Score by the combined z-score, :math:`\sum w z / \sqrt{\sum w^2}`: (cells, sets).

    Each gene is standardised over the cells at hand, by the standard deviation with n - 1, so a score depends on which
    cells are scored together. Genes that do not vary have z = 0.

    References
    ----------
    Definition: Lee et al. 2008 (doi:10.1371/journal.pcbi.1000217).
    """
    mean, deviation = _moments(matrix)
    inverse = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    columns = []
    for made in sets:
        weights = made.weights / np.sqrt((made.weights**2).sum()) * inverse[made.positions]
        columns.append(matrix[:, made.positions] @ weights - mean[made.positions] @ weights)
    return np.column_stack(columns)


def tf_idf(matrix: csr_matrix, sets: Sequence[GeneSet]) -> np.ndarray:
    r"""Score by the mean of TF-IDF, :math:`\sum w\, t \log(1 + n / n_g) / \sum |w|`: (cells, sets).

    The term frequency t is log1p of counts per 10,000; n is the number of cells, and n_g the number that express the
    gene, so genes that few cells express count more. Which cells are scored together matters.

    References
    ----------
    The inverse frequency: Cusanovich et al. 2018 (doi:10.1016/j.cell.2018.06.052).
    """
    present = np.asarray((matrix != 0).sum(axis=0)).ravel()
    rarity = np.log1p(np.divide(matrix.shape[0], present, out=np.zeros(matrix.shape[1]), where=present > 0))
    return _summed(matrix, sets, rarity)


def _summed(matrix: csr_matrix, sets: Sequence[GeneSet], factor: np.ndarray) -> np.ndarray:
    shares = [made.weights / np.abs(made.weights).sum() * factor[made.positions] for made in sets]
    return np.column_stack([matrix[:, made.positions] @ share for made, share in zip(sets, shares, strict=True)])


def _moments(matrix: csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (n - 1) of every column, in float64; 0 where a column is constant."""
    n = matrix.shape[0]
    values = matrix.data.astype(np.float64)
    width = matrix.shape[1]
    mean = np.bincount(matrix.indices, weights=values, minlength=width) / n
    stored = np.bincount(matrix.indices, minlength=width)
    # about the mean, since the difference of two large sums loses what varies little
    squares = np.bincount(matrix.indices, weights=(values - mean[matrix.indices]) ** 2, minlength=width)
    squares += (n - stored) * mean**2
    deviation = np.sqrt(squares / max(n - 1, 1))
    deviation[deviation <= 1e-9 * np.abs(mean)] = 0.0
    return mean, deviation


scorers.add("attribution", source="doi:10.1101/2025.06.14.659567")(
    Scorer(weighted_mean, "attribution", reads="attribution")
)
scorers.add("log_expression")(Scorer(weighted_mean, "log expression"))
scorers.add("z_score", source="doi:10.1371/journal.pcbi.1000217")(Scorer(z_score, "z-score"))
scorers.add("tf_idf", source="doi:10.1016/j.cell.2018.06.052")(Scorer(tf_idf, "TF-IDF"))
