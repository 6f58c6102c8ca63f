"""How wide intervals must be, and which genes can be predicted at all: learnt from known spots that were hidden."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.stats import norm

from insignia.spatial.left_out import LeftOut
from insignia.stats import column_correlation, conformal_quantile

__all__ = ["Calibration", "calibrate", "is_predictable"]

_FEWEST: Final = 40
_N_BINS: Final = 3
_LEAST_CORRELATION: Final = 0.2
_SHRINKAGE: Final = 3.0


@dataclass(frozen=True, eq=False)
class Calibration:
    """Quantiles of (measured - predicted) / spread, by gene and by how well a spot is supported.

    The spread of a spot and gene is the imputer's sd times ``exp(trend (predicted - centre) / 2)``: the noise of counts
    is smaller where a gene is expressed more; and times the square root of ``1 + depth_slope gaps``.

    Parameters
    ----------
    level
        Share of values that the intervals hold.
    edges
        (bins - 1,) support at which the next bin begins; the first bin holds the worst supported spots.
    low, high
        (bins, genes) standardised ends of the interval.
    scale
        (bins, genes) what the spread is multiplied with, to be the root mean square error.
    counts
        (bins,) hidden spots in each bin.
    centre, trend, reach
        (genes,) mean of the predictions of hidden spots, change of the log variance with the prediction, and the
        largest deviation from the centre for which it was seen.
    depth_slope
        What the variance gains with every section between a spot and the nearest known section; 0 if not learnt.
    """

    level: float
    edges: np.ndarray
    low: np.ndarray
    high: np.ndarray
    scale: np.ndarray
    counts: np.ndarray
    centre: np.ndarray
    trend: np.ndarray
    reach: np.ndarray
    depth_slope: float = 0.0

    def apply(
        self, mean: np.ndarray, sd: np.ndarray, support: np.ndarray, gaps: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, ...]:
        """Return calibrated sd, lower and upper end, (spots, genes) each.

        Parameters
        ----------
        mean, sd
            (spots, genes) from the imputer.
        support
            (spots,) as the bins have it.
        gaps
            (spots,) sections to the nearest known one.
        """
        place = np.searchsorted(self.edges, support, side="right")
        deviation = np.clip(mean - self.centre, -self.reach, self.reach)
        deeper = np.sqrt(1 + self.depth_slope * np.broadcast_to(gaps, len(mean)))[:, None]
        spread = sd * np.exp(self.trend * deviation / 2) * deeper
        return spread * self.scale[place], mean + spread * self.low[place], mean + spread * self.high[place]

    def with_depth(self, slope: float) -> "Calibration":
        """Return it with a variance that grows with depth."""
        return replace(self, depth_slope=slope)


def calibrate(left_out: LeftOut | None, n_genes: int, *, level: float = 0.9) -> Calibration:
    """Learn intervals from predictions of hidden spots, conformally: quantile ``ceil((n + 1) q)`` of n.

    Bins of support hold equally many hidden spots, and at least 40; with fewer hidden spots than that there is one bin,
    whose quantiles are those of all genes together, and without any the intervals are those of a normal distribution.
    """
    tail = (1 - level) / 2
    nothing, ones = np.zeros(n_genes), np.ones((1, n_genes))
    if left_out is None:
        half = ones * norm.ppf(1 - tail)
        none = np.zeros(1, dtype=int)
        return Calibration(level, np.empty(0), -half, half, ones, none, nothing, nothing, nothing)
    n_bins = int(np.clip(len(left_out.support) // _FEWEST, 1, _N_BINS))
    edges = np.unique(np.quantile(left_out.support, np.arange(1, n_bins) / n_bins))
    place = np.searchsorted(edges, left_out.support, side="right")
    counts = np.bincount(place, minlength=len(edges) + 1)
    centre, trend, reach = _trend(left_out)
    start = Calibration(level, edges, *(np.repeat(ones, len(counts), axis=0),) * 3, counts, centre, trend, reach)
    spread = start.apply(left_out.mean, left_out.sd, left_out.support)[0]
    standard = (left_out.truth - left_out.mean) / np.maximum(spread, 1e-12)
    low, high, scale = [], [], []
    for number in range(len(counts)):
        here = standard[place == number]
        here = here if len(here) >= _FEWEST else np.repeat(standard.reshape(-1, 1), n_genes, axis=1)
        low.append(-conformal_quantile(-here, 1 - tail))
        high.append(conformal_quantile(here, 1 - tail))
        scale.append(np.sqrt((here**2).mean(axis=0)))
    return replace(start, low=np.stack(low), high=np.stack(high), scale=np.stack(scale))


def _trend(left_out: LeftOut) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Regress the log square error on the prediction, gene by gene, drawn to the slope of all genes together."""
    centre = left_out.mean.mean(axis=0)
    deviation = left_out.mean - centre
    surprise = ((left_out.truth - left_out.mean) / np.maximum(left_out.sd, 1e-12)) ** 2
    # an error of exactly nothing would weigh without bounds
    logs = np.log(np.maximum(surprise, 1e-4))
    together, weight = (deviation * (logs - logs.mean(axis=0))).sum(axis=0), (deviation**2).sum(axis=0)
    if not weight.any():
        return centre, np.zeros_like(centre), np.zeros_like(centre)
    drawn = _SHRINKAGE * weight.mean()
    trend = (together + drawn * together.sum() / weight.sum()) / (weight + drawn)
    return centre, trend, np.abs(deviation).max(axis=0)


def is_predictable(left_out: LeftOut | None, n_genes: int, *, weights: np.ndarray | None = None) -> np.ndarray:
    """Say for each gene, (genes,) bool, whether its share in a spot was predicted better than chance where hidden.

    With `weights`, (genes, sums), the same for weighted sums of genes: (sums,) bool.

    Expression is taken relative to the spot's median over the panel: a gene that does nothing itself rises where others
    fall, since shares add up to one, and that can be predicted. The correlation must exceed 0.2, and what one of 0
    exceeds once in a hundred (Fisher's z) among as many spots, each counted once.
    """
    if left_out is None:
        return np.zeros(n_genes if weights is None else weights.shape[1], dtype=bool)
    n_spots = max(len(np.unique(left_out.rows)), 4)
    least = max(_LEAST_CORRELATION, float(np.tanh(norm.ppf(0.99) / np.sqrt(n_spots - 3))))
    parts = []
    for section in np.unique(left_out.section):
        rows = np.flatnonzero(left_out.section == section)
        predicted = (left_out.mean - left_out.profile[left_out.fold])[rows]
        truth = left_out.truth[rows] - left_out.truth[rows].mean(axis=0)
        ratios = [values - np.median(values, axis=1, keepdims=True) for values in (predicted, truth)]
        sums = ratios if weights is None else [values @ weights for values in ratios]
        parts.append(column_correlation(*sums))
    return np.asarray(np.nan_to_num(np.mean(parts, axis=0)) > least)
