"""Figures of one prediction, each with its definition."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from insignia.perturb.evaluation.yardstick import Measured, Yardstick
from insignia.stats import energy_distance, energy_distance_sq, mmd_rbf

__all__ = ["LOWER_IS_BETTER", "METRICS", "cell_figures", "discrimination", "mean_figures"]

METRICS: Final = {
    "l2": "distance of predicted and measured mean over all genes",
    "mse": "mean squared error of the mean over all genes",
    "pearson_delta": "correlation over genes of predicted and measured effect, against reference controls",
    "pearson_from_mean": "the same against the mean of all training perturbations, which a constant cannot satisfy",
    "direction": "share of the 20 most significant genes whose direction is right",
    "top20_overlap": "share of the 20 most significant genes among the 20 largest predicted effects",
    "edistance": "energy distance, plain Euclidean, self pairs left out, in 50 training components",
    "edistance_sq": "the same with squared distances, which sees means only",
    "mmd": "squared MMD, Gaussian kernel, median bandwidth, unbiased, in 50 training components",
    "wasserstein_effect": "Wasserstein distance along the measured effect, which sees responders and escapers",
    "variance_ratio": "total variance of predicted over measured cells, in 50 training components",
    "pds_l1": "share of other test conditions farther from the prediction than the right one, by L1 of effects",
    "pds_cosine": "the same by cosine",
}
"""Name of each figure, and what it is."""

LOWER_IS_BETTER: Final = frozenset({"l2", "mse", "edistance", "edistance_sq", "mmd", "wasserstein_effect"})


def mean_figures(delta: np.ndarray, measured: Measured, yardstick: Yardstick) -> dict[str, float]:
    """Compare a predicted mean effect, (genes,) against the reference controls, with the measured one."""
    off = delta - measured.delta
    reference = yardstick.perturbed_mean
    largest = set(np.argsort(-np.abs(delta), kind="stable")[: len(measured.de_genes)])
    is_flat = not np.any(delta)
    return {
        "l2": float(np.linalg.norm(off)),
        "mse": float((off**2).mean()),
        "pearson_delta": _correlation(delta, measured.delta),
        "pearson_from_mean": _correlation(delta - reference, measured.delta - reference),
        "direction": float("nan")
        if is_flat
        else float((np.sign(delta) == np.sign(measured.delta))[measured.de_genes].mean()),
        "top20_overlap": float("nan") if is_flat else len(largest & set(measured.de_genes)) / len(measured.de_genes),
    }


def cell_figures(cells: np.ndarray, measured: Measured, yardstick: Yardstick) -> dict[str, float]:
    """Compare predicted cells, (cells, genes), with measured ones."""
    latent = yardstick.latent
    first, second = latent.encode(cells) * latent.scale, latent.encode(measured.cells) * latent.scale
    controls = latent.encode(yardstick.controls[measured.context]) * latent.scale
    along = second.mean(axis=0) - controls.mean(axis=0)
    along /= max(float(np.linalg.norm(along)), 1e-12)
    return {
        "edistance": energy_distance(first, second),
        "edistance_sq": energy_distance_sq(first, second),
        "mmd": mmd_rbf(first, second),
        "wasserstein_effect": float(wasserstein_distance(first @ along, second @ along)),
        "variance_ratio": float(first.var(axis=0).sum() / max(second.var(axis=0).sum(), 1e-12)),
    }


def discrimination(deltas: Sequence[np.ndarray], measured: Sequence[Measured], *, metric: str) -> np.ndarray:
    """Share of the other conditions that lie farther from each prediction than its own, ties counted half.

    Parameters
    ----------
    deltas
        Predicted effects of the conditions, (genes,) each.
    measured
        The same conditions as measured; those of one context are told apart.
    metric
        ``"cityblock"`` or ``"cosine"``.

    Returns
    -------
    (conditions,), 1 best and 0.5 by chance; NaN where there is nothing else or the prediction is no effect at all.
    """
    contexts = np.array([one.context for one in measured])
    truth = np.array([one.delta for one in measured])
    shares = np.full(len(deltas), np.nan)
    for i, delta in enumerate(deltas):
        others = np.flatnonzero((contexts == contexts[i]) & (np.arange(len(deltas)) != i))
        if len(others) and np.any(delta):
            distance = cdist(delta[None], truth, metric)[0]
            shares[i] = (distance[others] > distance[i]).mean() + 0.5 * (distance[others] == distance[i]).mean()
    return shares


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation, NaN where a side does not vary beyond rounding."""
    if min(np.ptp(first), np.ptp(second)) < 1e-9:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
