"""What a method and a target of attribution must do."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy.sparse import csr_matrix
from torch import Tensor

from insignia.core.errors import InputError
from insignia.core.registry import Registry
from insignia.models import Encoder, Inputs

__all__ = ["Explained", "Interpolate", "Method", "PathOptions", "Target", "find_target", "methods", "targets"]

Interpolate = Literal["values", "amounts"]
_INTERPOLATE: Final = ("values", "amounts")


@dataclass(frozen=True)
class PathOptions:
    """How finely a path is followed, and how much memory that may take.

    Parameters
    ----------
    n_steps
        Gauss-Legendre nodes on the path; 0 lets each cell have as many as it needs for `tolerance`.
    tolerance
        Completeness gap that is aimed at when `n_steps` is 0.
    max_values
        Numbers that one pass through the network may keep for its way back, or what one point takes if that is more;
        bounds memory whatever the batch. `None` takes what the device has room for.
    interpolate
        What moves on a straight line: ``"values"``, what the network reads, or ``"amounts"``, what an element-wise
        function of the model, such as log1p, makes these values of.
    """

    n_steps: int = 50
    tolerance: float = 0.01
    max_values: int | None = None
    interpolate: Interpolate = "values"

    def __post_init__(self) -> None:
        if self.interpolate not in _INTERPOLATE:
            raise InputError(f"interpolate is one of {', '.join(_INTERPOLATE)}; found {self.interpolate!r}.")


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

    @property
    def gap(self) -> np.ndarray:
        """(cells,): ``|sum of attributions - change| / |change|``, NaN where nothing changes."""
        sums = np.asarray(self.attribution.sum(axis=1, dtype=np.float64)).ravel()
        change: np.ndarray = np.abs(self.change)
        gap: np.ndarray = np.full_like(change, np.nan)
        np.divide(np.abs(sums - self.change), change, out=gap, where=change > 1e-7 * self.score)
        return gap


class Target(ABC):
    """A scalar score of a cell's embedding, whose change is attributed to genes.

    Attributes
    ----------
    name
        What stands in the record; equal names are equal targets.
    is_raw
        Whether it scores what the network gives before normalisation.
    is_self
        Whether its weights are the cell's own embedding.
    is_linear
        Whether the score is linear in what it scores.
    """

    name: str
    is_raw: bool = False
    is_self: bool = False
    is_linear: bool = True

    def bind(self, encoder: Encoder) -> "Target":  # noqa: ARG002 - for targets that need the model
        """Return the target for one encoder, or refuse it."""
        return self

    @abstractmethod
    def weights(self, embedding: Tensor) -> Tensor:
        """Return what is held constant along the path, from the cells' embeddings: one row a cell."""

    @abstractmethod
    def score(self, embedding: Tensor, weights: Tensor) -> Tensor:
        """Score embeddings, differentiably: (rows, latent) and (rows, ...) -> (rows,)."""


class Method(ABC):
    """A way to attribute the change of a target from the baseline to each cell.

    Attributes
    ----------
    is_complete
        Whether attributions should add up to the change, so that a wide gap is a warning.
    takes_many_baselines
        Whether each cell is compared with all given baselines, instead of one.
    follows_path
        Whether it takes steps on a path from the baseline to the cell, so that their number matters.
    interpolates
        Whether it depends on what moves on a straight line; see `PathOptions`.
    """

    is_complete: bool = True
    takes_many_baselines: bool = False
    follows_path: bool = False
    interpolates: bool = False

    def check(self, encoder: Encoder, target: Target) -> None:  # noqa: B027 - most methods take anything
        """Refuse an encoder, in its precision, or a target that the method cannot explain."""

    @abstractmethod
    def explain(
        self, encoder: Encoder, inputs: Inputs, baseline: Inputs | None, *, target: Target, options: PathOptions
    ) -> Explained:
        """Explain a block of cells, prepared by `Encoder.inputs`.

        `baseline` has one row or one a cell; `None` is the model's zero.
        """

    def advice(self, options: PathOptions) -> str:  # noqa: ARG002 - for methods that follow a path
        """Say what to do about a wide gap."""
        return "Compare with method='integrated_gradients', or look with precision='float64'."


methods: Registry[Method] = Registry("attribution method", entry_point="insignia.methods")
targets: Registry[Callable[[str], Target]] = Registry("attribution target")
"""Makers of targets: what stands behind the colon of ``"dim:5"`` is their argument."""


def find_target(thing: str | Target) -> Target:
    """Return a target by name, such as ``"self"`` or ``"dim:5"``, or as it is."""
    if isinstance(thing, Target):
        return thing
    name, _, argument = thing.partition(":")
    return targets[name](argument)
