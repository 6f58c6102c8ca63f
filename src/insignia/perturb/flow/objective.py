"""What the flow learns: the velocity of straight paths between paired control and perturbed cells."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from insignia.data.perturbation import PerturbationData
from insignia.perturb.flow.coupling import Coupling
from insignia.perturb.flow.network import FlowNetwork
from insignia.perturb.flow.sampler import carry
from insignia.perturb.flow.tokens import Tokens, TokenTable
from insignia.perturb.latent import PCALatent

__all__ = ["FlowObjective", "LatentGroups", "mean_shifts", "spread"]


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
    scale
        (latent,) by which distances are weighed when training is judged, so that they are those of expression.
    """

    latent: np.ndarray
    targets: list[np.ndarray]
    sources: list[np.ndarray]
    tokens: Tokens
    context: np.ndarray
    scale: np.ndarray

    @classmethod
    def make(cls, data: PerturbationData, latent: PCALatent, table: TokenTable) -> "LatentGroups":
        """Collect the perturbed groups of a screen."""
        groups = [(condition, context) for condition, context in data.groups if not condition.is_control]
        return cls(
            latent.encode(data.expression),
            [data.rows(*group) for group in groups],
            [data.controls(context) for _, context in groups],
            table.tokens([condition for condition, _ in groups]),
            np.array([1 + data.contexts.index(context) for _, context in groups], dtype=np.int64),
            latent.scale,
        )

    def __len__(self) -> int:
        return len(self.targets)

    def mean_shifts(self) -> np.ndarray:
        """Return the mean of the perturbed cells minus that of their controls, (groups, latent)."""
        pairs = zip(self.targets, self.sources, strict=True)
        return np.array([self.latent[there].mean(0) - self.latent[here].mean(0) for there, here in pairs])


@dataclass(frozen=True, eq=False)
class FlowObjective:
    """Conditional flow matching (Lipman et al. 2023, arXiv:2210.02747; mini-batch coupling as in arXiv:2302.00482).

    Parameters
    ----------
    groups
        What is learned from.
    coupling
        How cells are paired within a group.
    n_groups, n_cells
        Groups in a step, and cells of each.
    n_steps
        Steps of an epoch.
    noise
        Standard deviation of the noise on the path, in units of control cells.
    left_out
        Groups that tell how long to train; `None` where the length is fixed.
    """

    groups: LatentGroups
    coupling: Coupling
    n_groups: int = 16
    n_cells: int = 32
    n_steps: int = 50
    noise: float = 0.1
    left_out: LatentGroups | None = None

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """One epoch: (groups,) which groups, and (groups * cells, latent) sources and their targets."""
        rng = np.random.default_rng(int(torch.randint(2**31 - 1, (1,), generator=generator)))
        for _ in range(self.n_steps):
            chosen = rng.integers(len(self.groups), size=self.n_groups)
            pairs = [self._pair(group, rng) for group in chosen]
            start, end = (np.concatenate(side) for side in zip(*pairs, strict=True))
            yield torch.from_numpy(chosen), torch.from_numpy(start), torch.from_numpy(end)

    def _pair(self, group: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        latent = self.groups.latent
        start = latent[rng.choice(self.groups.sources[group], self.n_cells)]
        end = latent[rng.choice(self.groups.targets[group], self.n_cells)]
        return start, end[self.coupling(start, end, rng)]

    def loss(self, module: nn.Module, batch: tuple[Tensor, Tensor, Tensor], generator: torch.Generator) -> Tensor:
        """Mean squared error of the velocity at a random time of each path."""
        network = cast(FlowNetwork, module)
        chosen, start, end = batch
        code = network.encoder(self.groups.tokens.rows(chosen)).repeat_interleave(self.n_cells, 0)
        context = torch.from_numpy(self.groups.context[chosen.numpy()]).repeat_interleave(self.n_cells)
        time = torch.rand(len(start), generator=generator)
        noise = self.noise * torch.randn(start.shape, generator=generator)
        point = torch.lerp(start, end, time[:, None]) + noise
        error: Tensor = network(point, time, code, context) - (end - start)
        return error.square().mean()

    def validate(self, module: nn.Module) -> float:
        """Mean distance, over left-out groups, between where cells are carried on average and where they are."""
        if self.left_out is None:
            return 0.0
        shifts = mean_shifts(cast(FlowNetwork, module), self.left_out, n_steps=4, n_cells=64)
        off = (shifts - self.left_out.mean_shifts()) * self.groups.scale
        return float(np.linalg.norm(off, axis=1).mean())


def mean_shifts(network: FlowNetwork, groups: LatentGroups, *, n_steps: int, n_cells: int) -> np.ndarray:
    """Carry control cells of each group's context, and return how far they move on average: (groups, latent)."""
    code = network.encoder(groups.tokens)
    shifts = []
    for group, sources in enumerate(groups.sources):
        start = torch.from_numpy(groups.latent[spread(sources, n_cells)])
        context = torch.full((len(start),), int(groups.context[group]))
        shifts.append((carry(network, start, code[group : group + 1], context, n_steps=n_steps) - start).mean(0))
    return np.asarray(torch.stack(shifts).numpy())


def spread(rows: np.ndarray, most: int) -> np.ndarray:
    """Take at most some of the rows, evenly."""
    return np.asarray(rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)])
