"""The plain latent space: principal components of the training cells."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from insignia.core.errors import InputError
from insignia.data.perturbation import PerturbationData
from insignia.perturb.latents.contract import Latent, LatentRequest, latents
from insignia.perturb.latents.sparse_pca import principal_components

__all__ = ["PCALatent"]

_MOST_CELLS = 30_000


@dataclass(frozen=True, eq=False)
class PCALatent(Latent):
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
        """Fit to the cells of a screen, or to a spread of 30,000 of them.

        Raises
        ------
        InputError
            `n_latent` is less than 1.
        """
        if n_latent < 1:
            raise InputError(f"n_latent must be at least 1, found {n_latent}.")
        rows = np.unique(np.linspace(0, len(data) - 1, min(len(data), _MOST_CELLS)).astype(int))
        n_kept = min(n_latent, len(data.genes), len(rows) - 1)
        cells = data.expression if len(rows) == len(data) else data.expression[rows]
        centre, components = principal_components(cells, n_kept, seed=seed, rank=np.argsort(np.argsort(data.genes)))
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

    def decode(self, points: np.ndarray) -> np.ndarray:
        """(cells, latent) -> (cells, genes) log expression."""
        cells: np.ndarray = self.centre + self.decode_shift(points)
        return cells

    def decode_tensor(self, points: Tensor) -> Tensor:
        """Decode with gradients."""
        scale, components, centre = (torch.from_numpy(part) for part in (self.scale, self.components, self.centre))
        return (points * scale) @ components + centre

    def decode_shift(self, shift: np.ndarray) -> np.ndarray:
        """(cells, latent) displacement -> (cells, genes) change of log expression."""
        moved: np.ndarray = (shift * self.scale) @ self.components
        return moved

    def displacement(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Change of log expression, (cells, genes); the same wherever it starts."""
        return self.decode_shift(end - start)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Give the three arrays."""
        return {"centre": self.centre, "components": self.components, "scale": self.scale}, {}

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> "PCALatent":  # noqa: ARG003
        """Make the space of what `state` gave."""
        return cls(arrays["centre"], arrays["components"], arrays["scale"])


@latents.add("pca", source="Pearson 1901, doi:10.1080/14786440109462720")
def fit_pca(data: PerturbationData, request: LatentRequest) -> PCALatent:
    """Fit principal components."""
    return PCALatent.fit(data, request.n_latent, seed=request.seed)


def _has_controls(data: PerturbationData, context: str) -> bool:
    return any(condition.is_control and where == context for condition, where in data.groups)


def _project(cells: csr_matrix | np.ndarray, centre: np.ndarray, components: np.ndarray) -> np.ndarray:
    projected: np.ndarray = np.asarray(cells @ components.T, dtype=np.float32) - centre @ components.T
    return projected
