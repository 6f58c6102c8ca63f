"""The space in which cells move: principal components of the training cells."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA

from insignia.core.errors import InputError
from insignia.data.perturbation import PerturbationData

__all__ = ["PCALatent"]

_MOST_CELLS = 50_000


@dataclass(frozen=True, eq=False)
class PCALatent:
    """Principal components, in units of the standard deviation of control cells.

    Parameters
    ----------
    centre
        (genes,) mean of the cells it was fitted to.
    components
        (latent, genes), orthonormal rows.
    scale
        (latent,) standard deviation of control cells along each.
    """

    centre: np.ndarray
    components: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, data: PerturbationData, n_latent: int, *, seed: int = 0) -> "PCALatent":
        """Fit to the cells of a screen, or to a spread of 50,000 of them.

        Raises
        ------
        InputError
            `n_latent` is less than 1.
        """
        if n_latent < 1:
            raise InputError(f"n_latent must be at least 1, found {n_latent}.")
        rows = np.unique(np.linspace(0, len(data) - 1, min(len(data), _MOST_CELLS)).astype(int))
        n_kept = min(n_latent, len(data.genes), len(rows) - 1)
        solver = "full" if n_kept > 0.8 * min(len(rows), len(data.genes)) else "covariance_eigh"
        if len(data.genes) > 2000:
            solver = "arpack"
        cells = data.expression[rows] if solver == "arpack" else data.expression[rows].toarray()
        fitted = PCA(n_kept, svd_solver=solver, random_state=seed).fit(cells)
        centre, components = fitted.mean_.astype(np.float32), fitted.components_.astype(np.float32)
        controls = np.concatenate([data.controls(context) for context in data.contexts if _has_controls(data, context)])
        spread = _project(data.expression[controls], centre, components).std(axis=0)
        return cls(centre, components, np.maximum(spread, 1e-3 * max(spread.max(), 1e-9)))

    @property
    def size(self) -> int:
        """Number of dimensions."""
        return len(self.components)

    def encode(self, cells: csr_matrix | np.ndarray) -> np.ndarray:
        """(cells, genes) log expression -> (cells, latent) float32."""
        encoded: np.ndarray = _project(cells, self.centre, self.components) / self.scale
        return encoded

    def decode_shift(self, shift: np.ndarray) -> np.ndarray:
        """(cells, latent) displacement -> (cells, genes) change of log expression."""
        moved: np.ndarray = (shift * self.scale) @ self.components
        return moved

    def explained(self, cells: csr_matrix | np.ndarray) -> float:
        """Share of the variance of cells that the space holds."""
        dense = cells.toarray() if isinstance(cells, csr_matrix) else np.asarray(cells)
        centred = dense - self.centre
        kept = centred @ self.components.T @ self.components
        return 1 - float(((centred - kept) ** 2).sum() / ((dense - dense.mean(axis=0)) ** 2).sum())


def _has_controls(data: PerturbationData, context: str) -> bool:
    return any(condition.is_control and where == context for condition, where in data.groups)


def _project(cells: csr_matrix | np.ndarray, centre: np.ndarray, components: np.ndarray) -> np.ndarray:
    projected: np.ndarray = np.asarray(cells @ components.T, dtype=np.float32) - centre @ components.T
    return projected
