"""What the flow learns: the velocity of straight paths between paired control and perturbed cells."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from insignia.perturb.flow.aligned import Alignment
from insignia.perturb.flow.coupling import Coupling
from insignia.perturb.flow.groups import LatentGroups
from insignia.perturb.flow.network import FlowNetwork

__all__ = ["FlowObjective"]


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
    alignment
        What carried cells are held against besides.
    """

    groups: LatentGroups
    coupling: Coupling
    n_groups: int = 16
    n_cells: int = 32
    n_steps: int = 50
    noise: float = 0.1
    alignment: Alignment | None = None

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """One epoch: (groups,) which groups, and (groups * cells, latent) sources and their targets."""
        rng = np.random.default_rng(int(torch.randint(2**31 - 1, (1,), generator=generator)))
        for _ in range(self.n_steps):
            chosen = rng.integers(len(self.groups), size=self.n_groups)
            pairs = [self._pair(group, rng) for group in chosen]
            start, end = (np.concatenate(side) for side in zip(*pairs, strict=True))
            yield torch.from_numpy(chosen), torch.from_numpy(start), torch.from_numpy(end)

    def _pair(self, group: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        start, end = (self.groups.draw(side, group, self.n_cells, rng) for side in ("sources", "targets"))
        return start, end[self.coupling(start, end, rng)]

    def loss(self, module: nn.Module, batch: tuple[Tensor, Tensor, Tensor], generator: torch.Generator) -> Tensor:
        """Mean squared error of the velocity at a random time of each path, and what alignment adds."""
        network = cast(FlowNetwork, module)
        chosen, start, end = batch
        code = network.encoder(self.groups.tokens.rows(chosen)).repeat_interleave(self.n_cells, 0)
        context = torch.from_numpy(self.groups.context[chosen.numpy()]).repeat_interleave(self.n_cells)
        time = torch.rand(len(start), generator=generator)
        noise = self.noise * torch.randn(start.shape, generator=generator)
        point = torch.lerp(start, end, time[:, None]) + noise
        error: Tensor = network.velocity(point, time, code, context) - (end - start)
        loss = error.square().mean()
        return loss if self.alignment is None else loss + self.alignment.loss(network, generator)

    def validate(self, module: nn.Module) -> float:  # noqa: ARG002 - nothing is chosen by it
        """Return the same for all weights: the length of training is fixed."""
        return 0.0
