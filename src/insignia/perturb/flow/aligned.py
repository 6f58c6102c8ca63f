"""Alignment of the flow: whole cells are carried in a few steps and held against measured ones."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from insignia.core.errors import InputError
from insignia.data.gene_priors import GenePriors
from insignia.perturb.flow.alignment import correlation_loss, energy_loss, gene_set_averages
from insignia.perturb.flow.groups import LatentGroups
from insignia.perturb.flow.network import FlowNetwork
from insignia.perturb.flow.options import FlowOptions
from insignia.perturb.flow.sampler import midpoint
from insignia.perturb.latents import Latent
from insignia.perturb.programs.record import Programs

__all__ = ["AlignedScores", "Alignment", "make_alignment"]

_GROUPS = 2
_CELLS = 64
_STEPS = 3

AlignmentLoss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class AlignedScores:
    """One loss on one kind of scores.

    Parameters
    ----------
    weight
        In the loss of the flow.
    loss
        Of (groups, cells, scores) predicted and measured.
    averages
        (genes, scores) which genes a score averages, divided by the standard deviation of the score in control cells.
    """

    weight: float
    loss: AlignmentLoss
    averages: Tensor


@dataclass(frozen=True, eq=False)
class Alignment:
    """Carry cells of some groups in few midpoint steps, decode both sides alike, and compare their scores.

    Cells are carried, not guessed in one step from the middle of their path: that guess is an average of ends, so that
    its spread is too small and its correlations are too large even where the velocity is right.

    Parameters
    ----------
    groups
        Cells and conditions.
    latent
        Decodes points of both sides.
    scores
        What is compared.
    """

    groups: LatentGroups
    latent: Latent
    scores: tuple[AlignedScores, ...]

    def loss(self, network: FlowNetwork, generator: torch.Generator) -> Tensor:
        """Weighted sum of the losses for a few groups."""
        rng = np.random.default_rng(int(torch.randint(2**31 - 1, (1,), generator=generator)))
        chosen = torch.from_numpy(rng.integers(len(self.groups), size=_GROUPS))
        start, measured = (
            torch.from_numpy(np.concatenate([self.groups.draw(side, group, _CELLS, rng) for group in chosen.tolist()]))
            for side in ("sources", "targets")
        )
        code = network.encoder(self.groups.tokens.rows(chosen)).repeat_interleave(_CELLS, 0)
        context = torch.from_numpy(self.groups.context[chosen.numpy()]).repeat_interleave(_CELLS)
        end = midpoint(network.velocity, start, code, context, _STEPS)
        predicted, truth = self.latent.decode_tensor(end), self.latent.decode_tensor(measured)
        return torch.stack([self._one(one, predicted, truth) for one in self.scores]).sum()

    def _one(self, scores: AlignedScores, predicted: Tensor, truth: Tensor) -> Tensor:
        sides = ((side @ scores.averages).view(_GROUPS, _CELLS, -1) for side in (predicted, truth))
        return scores.weight * scores.loss(*sides).mean()


def make_alignment(
    options: FlowOptions,
    groups: LatentGroups,
    latent: Latent,
    *,
    genes: tuple[str, ...],
    programs: Programs | None,
    priors: GenePriors | None,
) -> Alignment | None:
    """Collect the losses that the options ask for; `None` if they ask for none.

    Raises
    ------
    InputError
        Pathways are to be aligned and the priors have no gene sets.
    """
    scores = []
    if options.program_energy or options.program_correlation:
        assert programs is not None
        averages = _scaled(programs.averages(genes).toarray(), groups, latent)
        scores += [
            AlignedScores(weight, loss, averages)
            for weight, loss in ((options.program_energy, energy_loss), (options.program_correlation, correlation_loss))
            if weight
        ]
    if options.pathway_energy:
        if priors is None or not priors.gene_sets:
            raise InputError("pathway_energy aligns pathways: pass priors with gene_sets, e.g. from read_gmt.")
        averages = _scaled(gene_set_averages(priors.gene_sets, genes).toarray(), groups, latent)
        scores.append(AlignedScores(options.pathway_energy, energy_loss, averages))
    return Alignment(groups, latent, tuple(scores)) if scores else None


def _scaled(averages: np.ndarray, groups: LatentGroups, latent: Latent) -> Tensor:
    """Divide by the spread of each score in control cells, and by the root of the number of scores."""
    controls = np.unique(np.concatenate(groups.sources))
    chosen = controls[np.linspace(0, len(controls) - 1, min(len(controls), 512)).astype(int)]
    spread = (latent.decode(groups.latent[chosen]) @ averages).std(axis=0)
    scale = np.maximum(spread, 1e-2 * max(float(spread.max()), 1e-12)) * np.sqrt(averages.shape[1])
    return torch.from_numpy((averages / scale).astype(np.float32))
