"""A network read up to what a target scores: scores at the ends of a path, and gradients on the way."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from insignia.attribution.contract import PathOptions, Target
from insignia.core.device import widened
from insignia.models import Encoder
from insignia.models.contract import Context
from insignia.models.gene_transform import GeneTransform
from insignia.models.memory import rows_per_pass

__all__ = ["Network", "PathTask", "Rule", "Scored", "change_between"]

Network = Callable[[Tensor, Context], Tensor]


@dataclass(frozen=True)
class Rule:
    """Nodes on the path, 0 at the baseline and 1 at the cell, and their weights."""

    nodes: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Scored:
    """A network, or what is left of it after its first layers, with the target that is attributed.

    Parameters
    ----------
    encoder
        Whose network it is; with the precision ``"bf16"``, gradients pass it in bfloat16 and scores in float32.
    network
        From points and context to what `Encoder.forward` gives.
    target
        What is scored.
    rows
        Points that a pass may hold.
    """

    encoder: Encoder
    network: Network
    target: Target
    rows: int

    def ends(self, start: Tensor, end: Tensor, context: Context) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """Return what is held constant on the path, the change of the score, and its magnitude; (cells, ...) each."""
        with torch.no_grad():
            at_end = self._embed(end, context)
            held = self.target.weights(at_end)
            high, low = self.target.score(widened(at_end), widened(held)), self._score(start, context, held)
        return held, *change_between(low, high)

    def gradient(self, points: Tensor, context: Context, held: Tensor) -> Tensor:
        """Return the gradient of the score at points that fit in one pass: (rows, ...), as the points."""
        leaf = points.detach().requires_grad_()
        is_half = self.encoder.precision == "bf16"
        with torch.autocast(leaf.device.type, dtype=torch.bfloat16) if is_half else nullcontext():
            raw = self.network(leaf, context)
        score = self.target.score(self._read(raw.to(leaf.dtype)), held).sum()
        (gradient,) = torch.autograd.grad(score, leaf)
        return gradient

    def gradients(self, points: Tensor, context: Context, held: Tensor) -> Tensor:
        """Return the gradient of the score at any number of points, in passes of bounded size."""
        return torch.cat(
            [self.gradient(points[here], part, held[here]) for here, part in self._passes(points, context)]
        )

    def _score(self, points: Tensor, context: Context, held: Tensor) -> Tensor:
        return self.target.score(widened(self._embed(points, context)), widened(held))

    def _embed(self, points: Tensor, context: Context) -> Tensor:
        return torch.cat([self._read(self.network(points[here], part)) for here, part in self._passes(points, context)])

    def _read(self, raw: Tensor) -> Tensor:
        """Turn what the network gives into what the target scores."""
        return raw if self.target.is_raw or not self.encoder.is_normalised else self.encoder.embedding(raw)

    def _passes(self, points: Tensor, context: Context) -> Iterator[tuple[slice, Context]]:
        for first in range(0, len(points), self.rows):
            here = slice(first, first + self.rows)
            yield here, {name: value[here] for name, value in context.items()}


def change_between(low: Tensor, high: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the change between two scores and the magnitude against which it counts, on the host in float64."""
    first, last = (np.asarray(score.cpu().numpy(), dtype=np.float64) for score in (low, high))
    return last - first, np.abs(last) + np.abs(first)


@dataclass(frozen=True)
class PathTask:
    """What is asked of a path: whose network, which target, at which nodes, and how."""

    encoder: Encoder
    target: Target
    rule: Rule
    options: PathOptions

    @property
    def transform(self) -> GeneTransform | None:
        """The function between the amounts that move and the network's values; `None` if the values move."""
        return self.encoder.transform if self.options.interpolate == "amounts" else None

    def tail(self, hidden: Tensor, context: Context) -> Scored:
        """Read the network after its first layer, in passes that are measured on one row of what it reads."""
        encoder = self.encoder
        one = {name: value[:1] for name, value in context.items()}
        rows = rows_per_pass(encoder.tail, hidden[:1], one, held=encoder.module, max_values=self.options.max_values)
        return Scored(encoder, encoder.tail, self.target, rows)
