"""Figures of predicted cells as a distribution."""

import numpy as np
from scipy.stats import false_discovery_control, wasserstein_distance

from insignia.perturb.evaluation.yardstick import FALSE_DISCOVERIES, Measured, Yardstick, in_common_space
from insignia.stats import Moments, energy_distance, energy_distance_sq, mmd_rbf, moments, welch_test

__all__ = ["cell_figures", "effect_axis"]


def cell_figures(cells: np.ndarray, measured: Measured, yardstick: Yardstick) -> dict[str, float]:
    """Compare predicted cells, (cells, genes), with measured ones."""
    place = yardstick.places[measured.context]
    predicted, truth = in_common_space(yardstick.latent, cells), measured.latent
    axis = effect_axis(truth, place.reference_latent)
    reach = float(np.quantile(place.reference_latent @ axis, 0.95))
    return {
        "edistance": energy_distance(predicted, truth),
        "edistance_sq": energy_distance_sq(predicted, truth),
        "mmd": mmd_rbf(predicted, truth, bandwidth=yardstick.bandwidth),
        "wasserstein_effect": float(wasserstein_distance(predicted @ axis, truth @ axis)),
        "responders_off": abs(float((predicted @ axis > reach).mean() - (truth @ axis > reach).mean())),
        "variance_ratio": float(predicted.var(axis=0).sum() / max(truth.var(axis=0).sum(), 1e-12)),
        "des": _found_again(moments(cells), place.reference, measured),
    }


def effect_axis(cells: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Point from the mean of control cells to that of perturbed ones: a unit vector, (components,)."""
    along = cells.mean(axis=0, dtype=np.float64) - controls.mean(axis=0, dtype=np.float64)
    unit: np.ndarray = along / max(float(np.linalg.norm(along)), 1e-12)
    return unit


def _found_again(predicted: Moments, controls: Moments, measured: Measured) -> float:
    """Share of the significant genes that a test of the predicted cells finds; the largest effects if it finds more."""
    wanted = np.flatnonzero(measured.significant)
    if not len(wanted):
        return float("nan")
    found = np.flatnonzero(false_discovery_control(welch_test(predicted, controls)[1]) < FALSE_DISCOVERIES)
    size = np.abs(predicted.mean - controls.mean)[found]
    kept = found[np.argsort(-size, kind="stable")[: len(wanted)]]
    return float(np.isin(wanted, kept).mean())
