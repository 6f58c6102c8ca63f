"""Spread what is known over the spot graph: one sparse solve for all genes, drawn to the mean far from known spots."""

from typing import Final

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from insignia.core.errors import InputError
from insignia.spatial.graph import SpotGraph

__all__ = ["Harmonic", "edge_weights"]

_EXACT_BELOW: Final = 4000
_PROBES: Final = 128
_COLUMNS: Final = 256


def edge_weights(
    graph: SpotGraph,
    *,
    sigma_pitches: float = 0.8,
    sigma_z_pitches: float = np.inf,
    kappa: float = 0.0,
    within: float = 1.0,
) -> sparse.csr_matrix:
    """Weigh each edge by exp(-d² / 2 sigma² - dz² / 2 sigma_z²) (1 + kappa cos).

    Parameters
    ----------
    graph
        The spot graph.
    sigma_pitches, sigma_z_pitches
        Widths in the plane and in depth.
    kappa
        How much similar features count, from 0 to 1.
    within
        Factor for edges within a section.

    Returns
    -------
    (spots, spots) symmetric weights.
    """
    if not (sigma_pitches > 0 and sigma_z_pitches > 0 and 0 <= kappa <= 1 and within >= 0):
        raise InputError(
            "Edge weights need positive widths, kappa between 0 and 1 and within >= 0; "
            f"found {sigma_pitches}, {sigma_z_pitches}, {kappa} and {within}."
        )
    far = (graph.distance.astype(np.float64) / sigma_pitches) ** 2 + (graph.dz / sigma_z_pitches) ** 2
    weights = np.exp(-far / 2) * (1 + kappa * np.clip(graph.cosine, -1, 1))
    return graph.matrix(np.where(graph.is_same_section, within * weights, weights))


class Harmonic:
    """Minimise ``sum_ij w_ij |f_i - f_j|² / 2 + pull sum_i |f_i - mean|²`` with the known spots held fixed.

    Parameters
    ----------
    weights
        (spots, spots) symmetric weights of the edges, without a diagonal.
    is_known
        (spots,) which spots are held fixed.
    pull
        Strength with which spots are drawn to the mean, in units of the median degree; positive, so that a spot without
        neighbours gets the mean.
    """

    def __init__(self, weights: sparse.csr_matrix, is_known: np.ndarray, *, pull: float = 0.05) -> None:
        if not pull > 0:
            raise InputError(f"pull must be positive, found {pull}: a spot without neighbours needs it.")
        self.is_known = np.asarray(is_known, dtype=bool)
        degree = np.asarray(weights.sum(axis=1), dtype=np.float64).ravel()
        connected = degree[degree > 0]
        self.pull = pull * (float(np.median(connected)) if len(connected) else 1.0)
        from_unknown = weights[~self.is_known]
        self._to_known = from_unknown[:, self.is_known]
        self._diagonal = degree[~self.is_known] + self.pull
        system = sparse.diags(self._diagonal) - from_unknown[:, ~self.is_known]
        # positive definite: pivots stay on the diagonal, and the order of least fill is that of the symmetric pattern
        self._factor = (
            splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
            if system.shape[0]
            else None
        )

    def fill(self, values: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Return all spots, (spots, genes) float64, from `values` of the known ones in order, and the genes' mean."""
        known = np.asarray(values, dtype=np.float64) - mean
        filled = np.empty((len(self.is_known), known.shape[1]))
        filled[self.is_known] = known
        if self._factor is not None:
            filled[~self.is_known] = self._factor.solve(np.ascontiguousarray(self._to_known @ known))
        return np.asarray(filled + mean)

    def variance(self) -> np.ndarray:
        """Return the posterior variance, (spots,), in units of the inverse weight; 0 for known spots.

        The diagonal of the inverse: exact up to 4,000 unknown spots, estimated from fixed random signs above.
        """
        variance = np.zeros(len(self.is_known))
        if self._factor is not None:
            n = int((~self.is_known).sum())
            variance[~self.is_known] = self._exact(n) if n <= _EXACT_BELOW else self._sketched(n)
        return variance

    def _exact(self, n: int) -> np.ndarray:
        assert self._factor is not None
        diagonal = np.empty(n)
        for start in range(0, n, _COLUMNS):
            columns = np.arange(start, min(start + _COLUMNS, n))
            unit = np.zeros((n, len(columns)))
            unit[columns, columns - start] = 1.0
            diagonal[columns] = self._factor.solve(unit)[columns, columns - start]
        return diagonal

    def _sketched(self, n: int) -> np.ndarray:
        assert self._factor is not None
        signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(n, _PROBES))
        estimate = (signs * self._factor.solve(signs)).mean(axis=1)
        # no spot is surer than if all its neighbours were known, and none less sure than a spot alone
        return np.asarray(np.clip(estimate, 1.0 / self._diagonal, 1.0 / self.pull))
