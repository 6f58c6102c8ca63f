"""The cells of a screen in latent space, ready to be drawn."""

from dataclasses import dataclass

import numpy as np

from insignia.data.perturbation import PerturbationData
from insignia.perturb.flow.tokens import Tokens, TokenTable
from insignia.perturb.latents import Latent

__all__ = ["LatentGroups"]


@dataclass(frozen=True, eq=False)
class LatentGroups:
    """The cells of a screen in latent space, group by group.

    Parameters
    ----------
    latent
        (cells, latent) float32.
    targets, sources
        Positions of each group's perturbed cells, and of the control cells of its context.
    tokens
        One condition a group.
    context
        (groups,) number of the context, from 1.
    """

    latent: np.ndarray
    targets: list[np.ndarray]
    sources: list[np.ndarray]
    tokens: Tokens
    context: np.ndarray

    @classmethod
    def make(cls, data: PerturbationData, latent: Latent, table: TokenTable) -> "LatentGroups":
        """Collect the perturbed groups of a screen."""
        groups = [(condition, context) for condition, context in data.groups if not condition.is_control]
        return cls(
            latent.encode(data.expression),
            [data.rows(*group) for group in groups],
            [data.controls(context) for _, context in groups],
            table.tokens([condition for condition, _ in groups]),
            np.array([1 + data.contexts.index(context) for _, context in groups], dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.targets)

    def draw(self, side: str, group: int, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw cells of a group, (n, latent): its ``"sources"`` or its ``"targets"``."""
        rows: np.ndarray = getattr(self, side)[group]
        return np.asarray(self.latent[rows[rng.integers(len(rows), size=n)]])
