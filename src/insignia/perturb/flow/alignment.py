"""Losses that hold carried cells against measured ones in the scores of programs and pathways.

Each is least, in expectation, where the two have the same distribution; that is what makes it safe to add them.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from insignia.core.errors import GeneMatchError, InputError

__all__ = ["correlation_loss", "energy_loss", "gene_set_averages"]

_FEWEST_GENES: Final = 3


def energy_loss(predicted: Tensor, measured: Tensor) -> Tensor:
    """Energy distance of two samples, in the unbiased form.

    It has no width to choose, is zero in expectation where the samples are of one distribution and positive elsewhere,
    and scales with its points (Szekely & Rizzo 2013, doi:10.1016/j.jspi.2013.03.018).

    Parameters
    ----------
    predicted, measured
        (..., cells, scores), at least two cells each.

    Returns
    -------
    (...).
    """
    between = _distances(predicted, measured).mean((-2, -1))
    loss: Tensor = 2 * between - _within(predicted) - _within(measured)
    return loss


def correlation_loss(predicted: Tensor, measured: Tensor) -> Tensor:
    """Mean squared difference of the correlations of scores, free of the noise of few cells.

    The difference is taken in two halves of the cells, and the two are multiplied: their noises are independent, so
    that what is expected is the squared difference of the true correlations, and two samples of one distribution give
    zero. It may be negative.

    Parameters
    ----------
    predicted, measured
        (..., cells, scores), at least 16 cells each.

    Raises
    ------
    InputError
        There are fewer cells.
    """
    if min(predicted.shape[-2], measured.shape[-2]) < 16:
        raise InputError(
            f"Correlations need 16 cells on either side, found {predicted.shape[-2]} and {measured.shape[-2]}."
        )
    (first, second), (third, fourth) = (torch.tensor_split(one, 2, dim=-2) for one in (predicted, measured))
    off = _correlation(first) - _correlation(third), _correlation(second) - _correlation(fourth)
    n_scores = predicted.shape[-1]
    loss: Tensor = (off[0] * off[1]).sum((-2, -1)) / max(n_scores * (n_scores - 1), 1)
    return loss


def gene_set_averages(gene_sets: Mapping[str, Sequence[str]], genes: Sequence[str]) -> csr_matrix:
    """(genes, sets) weights that take the mean of each gene set with at least three measured genes.

    Raises
    ------
    GeneMatchError
        No set has three.
    """
    place = {gene: i for i, gene in enumerate(genes)}
    named = {name: getattr(members, "genes", members) for name, members in gene_sets.items()}
    found = [sorted({place[gene] for gene in members if gene in place}) for members in named.values()]
    kept = [rows for rows in found if len(rows) >= _FEWEST_GENES]
    if not kept:
        raise GeneMatchError(
            f"None of {len(gene_sets):,} gene sets has {_FEWEST_GENES} of {len(genes):,} measured genes, e.g. "
            f"{tuple(genes[:5])}. Pass priors with gene_sets of the same names."
        )
    rows, columns = np.concatenate(kept), np.repeat(np.arange(len(kept)), [len(one) for one in kept])
    weights = np.concatenate([np.full(len(one), 1 / len(one), dtype=np.float32) for one in kept])
    return csr_matrix((weights, (rows, columns)), shape=(len(genes), len(kept)))


def _distances(first: Tensor, second: Tensor) -> Tensor:
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


def _within(points: Tensor) -> Tensor:
    """Mean distance of two different points."""
    n = points.shape[-2]
    mean: Tensor = _distances(points, points).sum((-2, -1)) / (n * (n - 1))
    return mean


def _correlation(scores: Tensor) -> Tensor:
    off = scores - scores.mean(-2, keepdim=True)
    unit = off / off.norm(dim=-2, keepdim=True).clamp_min(1e-6)
    correlation: Tensor = unit.transpose(-2, -1) @ unit
    return correlation
