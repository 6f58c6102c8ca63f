"""What the network of ASIGN learns: to describe spots so that hidden ones can be read off visible ones.

Each step hides some known spots, conditions the Gaussian model of the blend on those that stay visible, in closed form,
and takes the loss on the hidden ones alone. The gradient reaches the network through the solution.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from insignia.spatial.asign.losses import LossWeights, lack_of_correlation, tile_means
from insignia.spatial.asign.network import NetworkInputs

__all__ = ["Episode", "Lesson", "MaskedSpots"]


@dataclass(frozen=True, eq=False)
class Lesson:
    """One stack to learn from; rows are known spots with features.

    Parameters
    ----------
    inputs
        What the network sees of the spots of the stack that have features.
    place
        (known,) rows of those inputs.
    rows
        (known,) rows of the stack.
    by_place, by_image
        (known, known) covariance of the field, and of what is linear in the features.
    scores
        (known, programs) what is to be predicted, in standard deviations.
    section
        (known,) of each.
    tiles
        (known,) tile of each, one array a level.
    """

    inputs: NetworkInputs
    place: Tensor
    rows: Tensor
    by_place: Tensor
    by_image: Tensor
    scores: Tensor
    section: Tensor
    tiles: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Episode:
    """Known spots of a lesson that are visible, and those that are hidden and predicted: places among its rows."""

    lesson: Lesson
    visible: Tensor
    hidden: Tensor


@dataclass(frozen=True)
class MaskedSpots:
    """Objective of the trainer: predict hidden spots.

    Parameters
    ----------
    episodes, validation
        What is hidden in training, one step each, and to decide when to stop.
    weights
        (programs, 2) variances of place and image, where the noise is 1.
    directions
        (programs, genes) that turn scores into standardised genes.
    network_share
        Part of the image's variance that the network describes; the rest is linear in the features.
    losses
        Weights of the losses.
    """

    episodes: Sequence[Episode]
    validation: Sequence[Episode]
    weights: np.ndarray
    directions: Tensor
    network_share: float
    losses: LossWeights

    def batches(self, generator: torch.Generator) -> Iterator[Episode]:
        """Each episode once."""
        for place in torch.randperm(len(self.episodes), generator=generator).tolist():
            yield self.episodes[place]

    def loss(self, module: nn.Module, batch: Episode, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        """Weighted losses on the hidden spots of one episode."""
        return self._loss(module(batch.lesson.inputs), batch)

    def validate(self, module: nn.Module) -> float:
        """Mean loss over the validation episodes."""
        seen = {id(e.lesson): module(e.lesson.inputs) for e in self.validation}
        return float(np.mean([float(self._loss(seen[id(e.lesson)], e)) for e in self.validation]))

    def predict(self, description: Tensor, episode: Episode) -> Tensor:
        """Return the scores of the hidden spots, (hidden, programs), from the description of the spots of the stack."""
        lesson, visible = episode.lesson, episode.visible
        columns = _scaled(description[lesson.place], visible)
        mean = lesson.scores[visible].mean(0)
        values = lesson.scores[visible] - mean
        both = torch.cat([visible, episode.hidden])
        by_place, by_image = (one[both][:, visible] for one in (lesson.by_place, lesson.by_image))
        kinds, kind = np.unique(self.weights, axis=0, return_inverse=True)
        found = torch.zeros(len(episode.hidden), values.shape[1])
        for number, (of_place, of_image) in enumerate(kinds.tolist()):
            which = torch.from_numpy(np.flatnonzero(kind.ravel() == number))
            covariance = of_place * by_place + of_image * (1 - self.network_share) * by_image
            of_network = of_image * self.network_share
            found[:, which] = _conditional_mean(covariance, columns[both], values[:, which], of_network)
        return found + mean

    def _loss(self, description: Tensor, episode: Episode) -> Tensor:
        lesson, hidden = episode.lesson, episode.hidden
        truth, found = lesson.scores[hidden] @ self.directions, self.predict(description, episode) @ self.directions
        difference = found - truth
        loss = self.losses.error * difference.square().mean()
        if self.losses.correlation:
            loss = loss + self.losses.correlation * lack_of_correlation(found, truth, lesson.section[hidden])
        if self.losses.consistency and lesson.tiles:
            parts = [tile_means(difference, tiles[hidden]).square().mean() for tiles in lesson.tiles]
            loss = loss + self.losses.consistency * torch.stack(parts).mean()
        return loss


def _scaled(description: Tensor, visible: Tensor) -> Tensor:
    """Centre a description, and bring it to a mean square length of 1, as the visible spots are."""
    centred = description - description[visible].mean(0)
    return centred / centred[visible].square().sum(1).mean().clamp(min=1e-12).sqrt()


def _conditional_mean(covariance: Tensor, columns: Tensor, values: Tensor, weight: float) -> Tensor:
    """Return the mean of hidden spots given the values of the visible ones, which come first in all rows.

    Spots vary together by `covariance`, (spots, visible), and by `weight` times the product of their `columns`; values
    have a noise of 1.
    """
    n = len(values)
    factor = torch.linalg.cholesky(covariance[:n] + torch.eye(n))
    if weight == 0:
        return covariance[n:] @ torch.cholesky_solve(values, factor)
    design = columns[:n]
    solved = torch.cholesky_solve(torch.cat([design, values], dim=1), factor)
    of_design, of_values = solved[:, : design.shape[1]], solved[:, design.shape[1] :]
    normal = design.T @ of_design + torch.eye(design.shape[1]) / weight
    effects = torch.linalg.solve(normal, design.T @ of_values)
    mean: Tensor = covariance[n:] @ (of_values - of_design @ effects) + columns[n:] @ effects
    return mean
