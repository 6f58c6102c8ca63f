"""Gene programs: the directions in which the known expression varies most, one number a spot each."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Programs"]


@dataclass(frozen=True, eq=False)
class Programs:
    """Principal components of known expression.

    Genes that act together share what little can be seen of each, and the noise of a gene falls on components that
    nothing predicts.

    Parameters
    ----------
    mean
        (genes,) over the known spots.
    loadings
        (genes, programs), orthonormal columns, the strongest program first.
    rest
        (genes,) variance of each gene that no program holds.
    """

    mean: np.ndarray
    loadings: np.ndarray
    rest: np.ndarray

    @classmethod
    def of(cls, expression: np.ndarray, n_programs: int, *, mean: np.ndarray | None = None) -> "Programs":
        """Find the programs of (spots, genes) known expression; fewer where the spots or genes are fewer."""
        expression = expression.astype(np.float64)
        mean = expression.mean(axis=0) if mean is None else mean
        centred = expression - mean
        covariance = centred.T @ centred / len(centred)
        _, directions = np.linalg.eigh(covariance)
        loadings = directions[:, ::-1][:, : min(n_programs, len(mean), max(len(centred) - 1, 1))]
        explained = ((loadings.T @ covariance) * loadings.T).sum(axis=0)
        return cls(mean, loadings, np.maximum(np.diag(covariance) - explained, 0.0))

    def scores(self, expression: np.ndarray) -> np.ndarray:
        """Return (spots, programs) of (spots, genes)."""
        return np.asarray((expression.astype(np.float64) - self.mean) @ self.loadings)

    def genes(self, scores: np.ndarray) -> np.ndarray:
        """Return (spots, genes) deviations from the mean of (spots, programs)."""
        return np.asarray(scores @ self.loadings.T)

    def gene_variance(self, variance: np.ndarray) -> np.ndarray:
        """Return (spots, genes) variances of (spots, programs) variances of independent programs."""
        return np.asarray(variance @ (self.loadings**2).T)
