"""What a latent space must do: hold cells in few dimensions, and say what moving there means for the genes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from torch import Tensor

from insignia.core.registry import Registry
from insignia.data.gene_priors import GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.perturb.programs.record import Programs

__all__ = ["Latent", "LatentRequest", "latents"]


class Latent(ABC):
    """A space in which cells move, in units of the standard deviation of control cells."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of dimensions."""

    @abstractmethod
    def encode(self, cells: csr_matrix | np.ndarray) -> np.ndarray:
        """(cells, genes) log expression -> (cells, latent) float32."""

    @abstractmethod
    def decode(self, points: np.ndarray) -> np.ndarray:
        """(cells, latent) -> (cells, genes) log expression, float32."""

    @abstractmethod
    def decode_tensor(self, points: Tensor) -> Tensor:
        """Decode with gradients."""

    def displacement(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Change of log expression, (cells, genes), as cells move from one point to another, (cells, latent) each."""
        moved: np.ndarray = self.decode(end) - self.decode(start)
        return moved

    def explained(self, cells: csr_matrix | np.ndarray) -> float:
        """Share of the variance of cells that the space holds."""
        dense = cells.toarray() if isinstance(cells, csr_matrix) else np.asarray(cells)
        lost = dense - self.decode(self.encode(dense))
        return 1 - float((lost**2).sum() / ((dense - dense.mean(axis=0)) ** 2).sum())

    @abstractmethod
    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Give all that makes the space again: arrays by name, and plain values fit for JSON."""

    @classmethod
    @abstractmethod
    def from_state(cls, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> "Latent":
        """Make the space of what `state` gave."""

    def describe(self) -> dict[str, Any]:
        """Facts for people and JSON."""
        return {}


@dataclass(frozen=True)
class LatentRequest:
    """What a latent space is fitted with.

    Parameters
    ----------
    n_latent
        Dimensions.
    programs
        Programs of the measured genes, where a space is built of them.
    priors
        Embedding of the measured genes, where a space reads it.
    epochs
        Of a space that is trained.
    seed
        Of weights and batches.
    show_progress
        `None` shows a bar when standard error is a terminal.
    """

    n_latent: int
    programs: Programs | None = None
    priors: GenePriors | None = None
    epochs: int = 10
    seed: int = 0
    show_progress: bool | None = None


FitLatent = Callable[[PerturbationData, LatentRequest], Latent]

latents: Registry[FitLatent] = Registry("latent space")
