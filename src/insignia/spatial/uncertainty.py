"""How wide intervals must be, and which genes can be predicted at all: learnt from known spots that were hidden."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from insignia.spatial.left_out import LeftOut

__all__ = ["Calibration", "calibrate", "is_predictable"]

_FEWEST = 40
_N_BINS = 3


@dataclass(frozen=True, eq=False)
class Calibration:
    """Quantiles of (measured - predicted) / sd, by gene and by how well a spot is supported.

    Parameters
    ----------
    level
        Share of values that the intervals hold.
    edges
        (bins - 1,) support at which the next bin begins; the first bin holds the worst supported spots.
    low, high
        (bins, genes) standardised ends of the interval.
    scale
        (bins, genes) what the sd is multiplied with, to be the root mean square error.
    counts
        (bins,) hidden spots in each bin.
    """

    level: float
    edges: np.ndarray
    low: np.ndarray
    high: np.ndarray
    scale: np.ndarray
    counts: np.ndarray

    def apply(self, mean: np.ndarray, sd: np.ndarray, support: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return calibrated sd, lower and upper end, (spots, genes) each."""
        place = np.searchsorted(self.edges, support, side="right")
        return sd * self.scale[place], mean + sd * self.low[place], mean + sd * self.high[place]


def calibrate(left_out: LeftOut | None, n_genes: int, *, level: float = 0.9) -> Calibration:
    """Learn intervals from predictions of hidden spots, conformally: quantile ``ceil((n + 1) q)`` of n.

    Bins of support hold equally many hidden spots, and at least 40; with fewer hidden spots than that there is one bin,
    whose quantiles are those of all genes together, and without any the intervals are those of a normal distribution.
    """
    tail = (1 - level) / 2
    if left_out is None:
        half = np.full((1, n_genes), norm.ppf(1 - tail))
        return Calibration(level, np.empty(0), -half, half, np.ones((1, n_genes)), np.zeros(1, dtype=int))
    n_bins = int(np.clip(len(left_out.support) // _FEWEST, 1, _N_BINS))
    edges = np.unique(np.quantile(left_out.support, np.arange(1, n_bins) / n_bins))
    place = np.searchsorted(edges, left_out.support, side="right")
    standard = (left_out.truth - left_out.mean) / np.maximum(left_out.sd, 1e-12)
    low, high, scale = [], [], []
    for number in range(len(edges) + 1):
        here = standard[place == number]
        here = here if len(here) >= _FEWEST else np.repeat(standard.reshape(-1, 1), n_genes, axis=1)
        low.append(-conformal_quantile(-here, 1 - tail))
        high.append(conformal_quantile(here, 1 - tail))
        scale.append(np.sqrt((here**2).mean(axis=0)))
    counts = np.bincount(place, minlength=len(edges) + 1)
    return Calibration(level, edges, np.stack(low), np.stack(high), np.stack(scale), counts)


def conformal_quantile(values: np.ndarray, share: float) -> np.ndarray:
    """Return, for each column, the value that a new one is below with at least this chance: (columns,)."""
    ordered = np.sort(values, axis=0)
    return np.asarray(ordered[min(int(np.ceil((len(values) + 1) * share)), len(values)) - 1])


def is_predictable(left_out: LeftOut | None, n_genes: int) -> np.ndarray:
    """Say for each gene, (genes,) bool, whether hidden spots were predicted better than chance and than the mean.

    The correlation must exceed 0.1, and what a correlation of 0 exceeds once in a hundred (Fisher's z) among as many
    spots, each counted once; and the skill must be positive.
    """
    if left_out is None:
        return np.zeros(n_genes, dtype=bool)
    n_spots = max(len(np.unique(left_out.rows)), 4)
    least = max(0.1, float(np.tanh(norm.ppf(0.99) / np.sqrt(n_spots - 3))))
    return np.asarray((left_out.gene_pcc() > least) & (left_out.gene_skill() > 0))
