"""One trained flow on a screen: latent space, tokens and network."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.data.gene_priors import GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.perturb.flow.aligned import make_alignment
from insignia.perturb.flow.coupling import couplings
from insignia.perturb.flow.groups import LatentGroups
from insignia.perturb.flow.network import FlowNetwork, SetEncoder, VelocityNetwork
from insignia.perturb.flow.objective import FlowObjective
from insignia.perturb.flow.options import FlowOptions
from insignia.perturb.flow.sampler import carry
from insignia.perturb.flow.tokens import TokenTable
from insignia.perturb.latents import Latent, LatentRequest, latents
from insignia.perturb.programs import Programs, induce_programs
from insignia.training import TrainOptions, fit

__all__ = ["TrainedFlow", "train_flow"]


@dataclass(frozen=True, eq=False)
class TrainedFlow:
    """A flow that can carry cells.

    Parameters
    ----------
    latent
        Space in which cells move.
    table
        How conditions become tokens.
    network
        In evaluation mode.
    contexts
        Contexts that were trained.
    """

    latent: Latent
    table: TokenTable
    network: FlowNetwork
    contexts: tuple[str, ...]

    @torch.no_grad()
    def shift(self, condition: Condition, context: str, source: np.ndarray, *, n_steps: int) -> np.ndarray:
        """Carry control cells, (cells, genes) log expression, and return by how much each changes."""
        start = torch.from_numpy(self.latent.encode(source))
        place = 1 + self.contexts.index(context) if context in self.contexts else 0
        code = self.network.encoder(self.table.tokens([condition]))
        end = carry(self.network.velocity, start, code, torch.full((len(start),), place), n_steps=n_steps)
        return self.latent.displacement(start.numpy(), end.numpy())

    def mean_shift(self, condition: Condition, context: str, source: np.ndarray, *, n_steps: int) -> np.ndarray:
        """Mean change of the reference cells of a context, (genes,) float64; computed once for each condition."""
        key = condition, context
        if key not in self._means:
            self._means[key] = self.shift(condition, context, source, n_steps=n_steps).mean(axis=0, dtype=np.float64)
        return self._means[key]

    @cached_property
    def _means(self) -> dict[tuple[Condition, str], np.ndarray]:
        return {}


def train_flow(
    data: PerturbationData,
    table: TokenTable,
    options: FlowOptions,
    *,
    seed: int,
    priors: GenePriors | None = None,
    show_progress: bool | None = None,
) -> TrainedFlow:
    """Train one flow on the cells of a screen.

    Parameters
    ----------
    data
        The screen.
    table
        Tokens; its learned genes should be those of the conditions that are trained.
    options
        How.
    seed
        Of weights, batches and noise.
    priors
        What is known about the measured genes, for programs and pathways.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Raises
    ------
    InputError
        Nothing perturbed is left to train on.
    """
    programs = _programs(data, options, priors, seed) if options.needs_programs else None
    request = LatentRequest(
        options.n_latent, programs, priors, epochs=options.latent_epochs, seed=seed, show_progress=show_progress
    )
    latent = latents[options.latent](data, request)
    groups = LatentGroups.make(data, latent, table)
    if not len(groups):
        raise InputError("The screen has no perturbed cells to train a flow on.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = SetEncoder(table.n_dimensions, len(table.genes), len(table.kinds) + 1, options.width)
        velocity = VelocityNetwork(latent.size, options.width, options.depth, len(data.contexts))
        network = FlowNetwork(encoder, velocity)
    objective = FlowObjective(
        groups,
        couplings[options.coupling],
        n_groups=options.n_groups,
        n_cells=options.n_cells,
        n_steps=options.steps_per_epoch,
        noise=options.noise,
        alignment=make_alignment(options, groups, latent, genes=data.genes, programs=programs, priors=priors),
    )
    training = TrainOptions(
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        weight_decay=1e-3,
        patience=0,
        ema_decay=0.98,
        keep="last",
    )
    fit(network, objective, training, seed=seed, show_progress=show_progress)
    network.requires_grad_(False)
    return TrainedFlow(latent, table, network, data.contexts)


def _programs(data: PerturbationData, options: FlowOptions, priors: GenePriors | None, seed: int) -> Programs:
    n_programs = max(2, min(options.n_programs, len(data.genes) // 4))
    return induce_programs(data, source=options.programs, n_programs=n_programs, priors=priors, seed=seed)
