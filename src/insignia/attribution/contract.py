"""What a method and a target of attribution must do."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.sparse import csr_matrix
from torch import Tensor

from insignia.core.registry import Registry
from insignia.models import Encoder, Inputs

__all__ = ["Explained", "Method", "PathOptions", "Target", "methods", "targets"]


@dataclass(frozen=True)
class PathOptions:
    """How finely a path is followed, and how much memory that may take.

    Parameters
    ----------
    n_steps
        Gauss-Legendre nodes on the path.
    max_values
        Numbers that one pass through the network may hold at its widest point; bounds memory whatever the batch.
    """

    n_steps: int = 50
    max_values: int = 2**22


@dataclass(frozen=True)
class Explained:
    """Attributions of a block of cells.

    Parameters
    ----------
    attribution
        (cells, genes of the model), signed and unscaled: rows add up to `change` if the method is complete.
    change
        (cells,), float64: score of the cell minus score of the baseline.
    score
        (cells,), float64: magnitude against which a change counts as nothing.
    """

    attribution: csr_matrix
    change: np.ndarray
    score: np.ndarray


class Target(ABC):
    """A scalar score of a cell's embedding, whose change is attributed to genes."""

    name: str
    is_raw: bool = False
    """Whether it scores what the network gives before normalisation."""

    @abstractmethod
    def weights(self, embedding: Tensor) -> Tensor:
        """Return what is held constant along the path, from the cells' embeddings: (cells, latent)."""

    @abstractmethod
    def score(self, embedding: Tensor, weights: Tensor) -> Tensor:
        """Score embeddings, differentiably: (rows, latent) and (rows, latent) -> (rows,)."""


class Method(Protocol):
    """Attribute the change of a target from the baseline to each cell."""

    def __call__(
        self, encoder: Encoder, inputs: Inputs, baseline: Inputs | None, *, target: Target, options: PathOptions
    ) -> Explained:
        """Explain a block of cells; `baseline` has one row, `None` is the model's zero."""


methods: Registry[Method] = Registry("attribution method", entry_point="insignia.methods")
targets: Registry[Target] = Registry("attribution target")
