"""Figures of a predicted mean effect."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from insignia.perturb.evaluation.yardstick import Measured, Yardstick
from insignia.stats import share_farther, weighted_mse, weighted_skill

__all__ = ["mean_figures", "rank_figures"]

_N_DIRECTION = 20
_FEWEST_RANKED = 5


def mean_figures(delta: np.ndarray, measured: Measured, yardstick: Yardstick) -> dict[str, float]:
    """Compare a predicted mean effect with the measured one.

    Errors compare means: the effect is added to the controls that predictions start from. Correlations and directions
    compare effects, and the measured one is held against other controls than those.

    Parameters
    ----------
    delta
        (genes,) predicted effect.
    measured, yardstick
        What it is held against.
    """
    off = yardstick.places[measured.context].base + delta - measured.mean
    mean = yardstick.perturbed_mean
    truth, known, moved = measured.delta, measured.significant, bool(np.any(delta))
    right = (np.sign(delta) == np.sign(truth)) if moved else np.full(len(delta), np.nan)
    return {
        "l2": float(np.linalg.norm(off)),
        "l2_top1000": float(np.linalg.norm(off[yardstick.top])),
        "mse": float((off**2).mean()),
        "wmse": weighted_mse(off, np.zeros_like(off), measured.weights),
        "pearson_delta": _correlation(delta, truth),
        "pearson_from_mean": _correlation(delta - mean, truth - mean),
        "weighted_r2": weighted_skill(delta, truth, mean, measured.weights),
        "direction": float(right[measured.ranked[:_N_DIRECTION]].mean()),
        "top20_overlap": _overlap(delta, measured, 20) if moved else float("nan"),
        "top50_overlap": _overlap(delta, measured, 50) if moved else float("nan"),
        "de_direction": float(right[known].mean()) if known.any() else float("nan"),
        "de_spearman": _rank_correlation(delta[known], truth[known]),
    }


def rank_figures(
    deltas: Sequence[np.ndarray], measured: Sequence[Measured], yardstick: Yardstick
) -> list[dict[str, float]]:
    """Say how well each prediction is told apart from the other conditions of its context.

    Parameters
    ----------
    deltas
        Predicted effects of the conditions, (genes,) each.
    measured
        The same conditions as measured.
    yardstick
        Training effects, which stand among the others for the accuracy of centroids.

    Returns
    -------
    Figures of each condition; NaN where there is no other, or the prediction is no effect at all.
    """
    found: list[dict[str, float]] = [{} for _ in deltas]
    for context in sorted({one.context for one in measured}):
        here = [i for i, one in enumerate(measured) if one.context == context]
        place = yardstick.places[context]
        predicted = np.array([deltas[i] for i in here])
        means = np.array([measured[i].mean for i in here]) - place.base
        effects = np.array([measured[i].delta for i in here])
        columns = {
            "pds_l1": share_farther(predicted, means, metric="cityblock"),
            "pds_cosine": share_farther(predicted, effects, metric="cosine"),
            "centroid_accuracy": share_farther(predicted, means, place.trained),
        }
        for row, i in enumerate(here):
            moved = bool(np.any(deltas[i]))
            found[i] = {name: float(values[row]) if moved else float("nan") for name, values in columns.items()}
    return found


def _overlap(delta: np.ndarray, measured: Measured, n: int) -> float:
    largest = np.argsort(-np.abs(delta), kind="stable")[:n]
    return float(np.isin(measured.ranked[:n], largest).mean())


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation, NaN where a side does not vary beyond rounding."""
    if min(np.ptp(first), np.ptp(second)) < 1e-9:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    if len(first) < _FEWEST_RANKED or min(np.ptp(first), np.ptp(second)) < 1e-9:
        return float("nan")
    return float(spearmanr(first, second).statistic)
