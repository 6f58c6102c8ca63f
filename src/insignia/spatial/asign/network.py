"""The network of ASIGN: spots look at their surroundings, then at each other over the graph, and mix what they saw.

It turns image features into a description of each spot. Rows do not depend on which other spots share a batch, since
there are no batches: the whole sample goes through at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["AsignNetwork", "ContextAttention", "GraphAttention", "LayerMix", "NetworkInputs", "TileInputs"]


@dataclass(frozen=True, eq=False)
class TileInputs:
    """The tiles of one level, and which of them each spot looks at.

    Parameters
    ----------
    features
        (tiles, features).
    index
        (spots, nearest) rows of `features`.
    offset
        (spots, nearest, 2) from the spot to the tile's centre, in sides of a tile.
    is_there
        (spots, nearest), of which the first is always there; a section may have few tiles.
    """

    features: Tensor
    index: Tensor
    offset: Tensor
    is_there: Tensor


@dataclass(frozen=True, eq=False)
class NetworkInputs:
    """What the network sees of one stack.

    Parameters
    ----------
    features
        (spots, features).
    tiles
        One entry a level, from fine to coarse.
    source, target
        (edges,) rows of the spots that an edge leaves and enters, without loops.
    attributes
        (edges, attributes).
    """

    features: Tensor
    tiles: tuple[TileInputs, ...]
    source: Tensor
    target: Tensor
    attributes: Tensor


class ContextAttention(nn.Module):
    """A spot attends over the tiles around it, and adds what it finds to what it is."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.place = nn.Linear(3, heads, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, tokens: Tensor, tiles: TileInputs) -> Tensor:
        """Return (spots, width) from (spots, width) and the tokens of all tiles, (tiles, width)."""
        n, width = x.shape
        shape = (self.heads, width // self.heads)
        query = self.query(self.norm(x)).view(n, 1, *shape)
        key, value = (part(tokens).view(-1, *shape)[tiles.index] for part in (self.key, self.value))
        place = torch.cat([tiles.offset, tiles.offset.square().sum(-1, keepdim=True)], dim=-1)
        score = (query * key).sum(-1) / shape[1] ** 0.5 + self.place(place)
        score = score.masked_fill(~tiles.is_there[:, :, None], -1e9)
        seen = (torch.softmax(score, dim=1)[..., None] * value).sum(1).reshape(n, width)
        out: Tensor = x + self.out(seen)
        return out


class GraphAttention(nn.Module):
    """Attention over a spot's neighbours and itself, whose weights depend on both spots and on the edge.

    References
    ----------
    The form of the score is eq. 7 of Brody, Alon and Yahav 2022 (arXiv:2105.14491).
    """

    def __init__(self, width: int, heads: int, attributes: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.sent = nn.Linear(width, width, bias=False)
        self.received = nn.Linear(width, width, bias=False)
        self.edge = nn.Linear(attributes, width, bias=False)
        self.loop = nn.Parameter(torch.zeros(width))
        self.score = nn.Parameter(torch.randn(heads, width // heads) / (width // heads) ** 0.5)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, inputs: NetworkInputs) -> Tensor:
        """Return (spots, width) from (spots, width)."""
        n, width = x.shape
        shape = (self.heads, width // self.heads)
        normed = self.norm(x)
        sent, received = self.sent(normed), self.received(normed)
        on_edge = sent[inputs.source] + received[inputs.target] + self.edge(inputs.attributes)
        score = self._score(on_edge)
        of_loop = self._score(sent + received + self.loop)
        # the largest score of each spot is taken off, so that no exponential overflows
        top = of_loop.detach().scatter_reduce(
            0, inputs.target[:, None].expand(-1, self.heads), score.detach(), "amax", include_self=True
        )
        weight, loop = (score - top[inputs.target]).exp(), (of_loop - top).exp()
        total = loop.index_add(0, inputs.target, weight)
        values = sent.view(n, *shape)
        messages = (weight[..., None] * values[inputs.source]).flatten(1)
        seen = (loop[..., None] * values).flatten(1).index_add(0, inputs.target, messages)
        seen = (seen.view(n, *shape) / total[..., None]).flatten(1)
        out: Tensor = x + functional.gelu(self.out(seen))
        return out

    def _score(self, x: Tensor) -> Tensor:
        folded = functional.leaky_relu(x, 0.2).view(len(x), *self.score.shape)
        return (folded * self.score).sum(-1)


class LayerMix(nn.Module):
    """Each spot weighs the outputs of the layers by itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1, bias=False))

    def forward(self, layers: Tensor) -> Tensor:
        """Return (spots, width) from (spots, layers, width)."""
        mixed: Tensor = (torch.softmax(self.score(layers), dim=1) * layers).sum(1)
        return mixed


class AsignNetwork(nn.Module):
    """From the features of spots and tiles to a description of each spot, of length 1.

    Parameters
    ----------
    features
        Number of image features.
    width
        Of all hidden layers and of the description; a multiple of `heads`.
    heads, layers
        Of the attention over the graph.
    levels
        Number of levels of tiles.
    attributes
        Number of edge attributes.
    dropout
        Share of the features that is hidden in training.
    mixes_layers
        Each spot weighs the layers by itself; else the last one is taken.
    """

    def __init__(
        self,
        features: int,
        *,
        width: int,
        heads: int,
        layers: int,
        levels: int,
        attributes: int,
        dropout: float,
        mixes_layers: bool = True,
    ) -> None:
        super().__init__()
        self.width = width
        self.dropout = nn.Dropout(dropout)
        self.spot = nn.Linear(features, width)
        self.tile = nn.Linear(features, width) if levels else nn.Identity()
        self.contexts = nn.ModuleList(ContextAttention(width, heads) for _ in range(levels))
        self.graph = nn.ModuleList(GraphAttention(width, heads, attributes) for _ in range(layers))
        self.inner = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.mix = LayerMix(width) if mixes_layers else None

    def forward(self, inputs: NetworkInputs) -> Tensor:
        """Return (spots, width)."""
        x = self.spot(self.dropout(inputs.features))
        for attend, tiles in zip(self.contexts, inputs.tiles, strict=True):
            x = attend(x, self.tile(self.dropout(tiles.features)), tiles)
        layers: Sequence[Tensor] = [x + self.inner(x)]
        for attend in self.graph:
            layers = [*layers, attend(layers[-1], inputs)]
        mixed = layers[-1] if self.mix is None else self.mix(torch.stack(list(layers), dim=1))
        # no weights of its own: what follows centres and scales
        out: Tensor = functional.layer_norm(mixed, mixed.shape[1:]) / mixed.shape[1] ** 0.5
        return out
