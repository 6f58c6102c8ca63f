"""The figures of one prediction of one hidden section; spots of different sections are never pooled."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import spearmanr

from insignia.core.errors import InputError
from insignia.spatial.panel import normalise
from insignia.stats import (
    column_correlation,
    interval_coverage,
    morans_i,
    mse_skill,
    neighbour_weights,
    thinning_reliability,
    variance_ratio,
)

__all__ = ["METRICS", "HiddenSection", "Prediction", "Scores", "score"]

METRICS: Final = {
    "pcc_mean": "per-gene r",
    "pcc_median": "median",
    "pcc_above_0.2": "r > 0.2",
    "mse": "MSE",
    "mae": "MAE",
    "skill": "skill",
    "skill_median": "median gene",
    "variance_ratio": "var. ratio",
    "moran_predicted": "Moran",
    "moran_measured": "Moran measured",
    "moran_agreement": "Moran agr.",
    "coverage": "coverage",
    "width": "width",
    "per_spot_pcc": "per-spot r",
    "per_spot_pcc_of_mean": "per-spot r of the mean",
}
"""Every figure of a section, with its heading."""

_NEIGHBOURS: Final = 8


@dataclass(frozen=True, eq=False)
class HiddenSection:
    """What was measured on a section that no imputer saw.

    Parameters
    ----------
    sample
        The block it belongs to.
    name
        Of the section.
    spots
        Names of its spots within the stack.
    points_um
        (spots, 2) in its own frame.
    genes
        Names of the genes.
    counts
        (spots, genes) raw counts.
    is_counted
        (genes,) whether the section measured the gene at all; the others are not scored.
    reference
        (genes,) float32, the mean profile that skill is compared with.
    distance_um
        To the nearest known section, along the depth of the stack; NaN where none is known.
    registration
        Status of its pose.
    quality
        Quality figures of its pose.
    """

    sample: str
    name: str
    spots: np.ndarray
    points_um: np.ndarray
    genes: tuple[str, ...]
    counts: np.ndarray
    is_counted: np.ndarray
    reference: np.ndarray
    distance_um: float
    registration: str
    quality: dict[str, float]

    def __len__(self) -> int:
        return len(self.spots)

    @cached_property
    def expression(self) -> np.ndarray:
        """(spots, genes) float32, normalised as predictions are."""
        return normalise(self.counts)

    @cached_property
    def weights(self) -> sparse.csr_matrix:
        """Its spots' eight nearest others."""
        return neighbour_weights(self.points_um, k=_NEIGHBOURS)

    @cached_property
    def moran(self) -> np.ndarray:
        """(genes,) Moran's I of what was measured."""
        return morans_i(self.expression, self.weights)

    @cached_property
    def neighbour_mean(self) -> np.ndarray:
        """(spots, genes) mean of the eight nearest spots of the section itself, each left out of its own."""
        return np.asarray(self.weights @ self.expression.astype(np.float64))

    def ceiling(self, *, rng: int) -> np.ndarray:
        """(genes,) correlation that a prediction without error would reach with these counts."""
        # halves are doubled, so that the pseudocount weighs as little in them as in the whole
        return np.asarray(np.sqrt(thinning_reliability(self.counts, lambda half: normalise(2 * half), rng=rng)))


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one method says of the spots of one section, in their order.

    Parameters
    ----------
    mean
        (spots, genes).
    lower, upper
        (spots, genes) ends of 90 % intervals; `None` where there are none.
    support
        (spots,) overlap with known spots; `None` where it is not known.
    """

    mean: np.ndarray
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    support: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Scores:
    """Figures of one prediction of one section.

    Parameters
    ----------
    figures
        Values of `METRICS`; NaN where one does not apply.
    genes
        One row a gene that was counted: ``gene``, ``pcc``, ``skill``, ``variance_ratio``, ``moran_predicted``,
        ``moran_measured``.
    """

    figures: dict[str, float]
    genes: pd.DataFrame


def score(hidden: HiddenSection, prediction: Prediction) -> Scores:
    """Compare a prediction with what was measured on a section.

    Raises
    ------
    InputError
        Shapes differ, a predicted value is not finite, or an interval ends before it begins.
    """
    if prediction.mean.shape != hidden.counts.shape:
        raise InputError(
            f"Section {hidden.name!r} has {hidden.counts.shape} spots and genes, "
            f"the prediction {prediction.mean.shape}."
        )
    kept = hidden.is_counted
    predicted, measured = prediction.mean[:, kept], hidden.expression[:, kept]
    skill, overall = mse_skill(predicted, measured, hidden.reference[kept])
    genes = pd.DataFrame(
        {
            "gene": np.array(hidden.genes)[kept],
            "pcc": column_correlation(predicted, measured),
            "skill": skill,
            "variance_ratio": variance_ratio(predicted, measured),
            "moran_predicted": morans_i(predicted, hidden.weights),
            "moran_measured": hidden.moran[kept],
        }
    )
    error = predicted.astype(np.float64) - measured
    coverage, width = _intervals(prediction, hidden)
    figures = {
        "pcc_mean": genes["pcc"].mean(),
        "pcc_median": genes["pcc"].dropna().median(),
        "pcc_above_0.2": (genes["pcc"].dropna() > 0.2).mean(),
        "mse": (error**2).mean(),
        "mae": np.abs(error).mean(),
        "skill": overall,
        "skill_median": genes["skill"].dropna().median(),
        "variance_ratio": genes["variance_ratio"].dropna().median(),
        "moran_predicted": genes["moran_predicted"].mean(),
        "moran_measured": genes["moran_measured"].mean(),
        "moran_agreement": _agreement(genes),
        "coverage": coverage,
        "width": width,
        "per_spot_pcc": _per_spot(predicted, measured),
        "per_spot_pcc_of_mean": _per_spot(np.broadcast_to(hidden.reference[kept], measured.shape), measured),
    }
    return Scores({name: float(value) for name, value in figures.items()}, genes)


def _per_spot(predicted: np.ndarray, measured: np.ndarray) -> float:
    correlations = column_correlation(predicted.T, measured.T)
    return float(np.nanmean(correlations)) if np.isfinite(correlations).any() else float("nan")


def _intervals(prediction: Prediction, hidden: HiddenSection) -> tuple[float, float]:
    if prediction.lower is None or prediction.upper is None:
        return float("nan"), float("nan")
    kept = hidden.is_counted
    return interval_coverage(prediction.lower[:, kept], prediction.upper[:, kept], hidden.expression[:, kept])


def _agreement(genes: pd.DataFrame) -> float:
    """Rank correlation over genes of the autocorrelation predicted and measured."""
    both = genes[["moran_predicted", "moran_measured"]].dropna()
    if len(both) < 3 or (both.nunique() < 2).any():
        return float("nan")
    return float(spearmanr(both["moran_predicted"], both["moran_measured"]).statistic)
