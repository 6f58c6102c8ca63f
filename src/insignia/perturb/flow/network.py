"""The networks of the flow: a set encoder of conditions, and a velocity that is exactly zero without a perturbation."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from insignia.perturb.flow.tokens import Tokens

__all__ = ["FlowNetwork", "SetEncoder", "VelocityNetwork"]

_TIME_FEATURES = 16
_GENE_DROPOUT = 0.5


class SetEncoder(nn.Module):
    """Encode a set of perturbations: the sum of its tokens, and an attention over them for interactions.

    The order of the tokens and empty slots change nothing, and an empty set is encoded as zero.

    Parameters
    ----------
    n_dimensions
        Length of a gene's vector.
    n_genes
        Genes that were perturbed in training; each has a learned vector beside its embedding, which is dropped half of
        the time in training, so that the embedding alone is trained too.
    n_extra
        Further features of a token.
    width
        Length of the code.
    """

    def __init__(self, n_dimensions: int, n_genes: int, n_extra: int, width: int) -> None:
        super().__init__()
        self.sizes = {"n_dimensions": n_dimensions, "n_genes": n_genes, "n_extra": n_extra, "width": width}
        self.from_vector = nn.Linear(n_dimensions, width, bias=False) if n_dimensions else None
        self.from_extra = nn.Linear(n_extra, width, bias=False)
        self.learned = nn.Embedding(n_genes + 1, width, padding_idx=0)
        nn.init.normal_(self.learned.weight, std=0.1)
        with torch.no_grad():
            self.learned.weight[0] = 0
        self.mix = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.interaction = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.interaction.weight)

    def forward(self, tokens: Tokens) -> Tensor:
        """(conditions, width)."""
        learned = self.learned(tokens.gene)
        if self.training and self.from_vector is not None:
            learned = learned * (torch.rand(learned.shape[:2], device=learned.device) > _GENE_DROPOUT)[..., None]
        token = learned + self.from_extra(tokens.extra)
        if self.from_vector is not None:
            token = token + self.from_vector(tokens.vector)
        filled = tokens.filled[..., None].to(token.dtype)
        token = (token + self.mix(token)) * filled
        code: Tensor = token.sum(1) + self._interaction(token, tokens.filled)
        return code

    def _interaction(self, token: Tensor, filled: Tensor) -> Tensor:
        """Attention of each token over the others; a single perturbation has none."""
        scores = self.query(token) @ self.key(token).transpose(1, 2) / math.sqrt(token.shape[-1])
        other = ~torch.eye(token.shape[1], dtype=torch.bool, device=token.device)
        weights = torch.sigmoid(scores) * (filled[:, None] & filled[:, :, None] & other)
        mixed = torch.tanh(weights @ self.value(token)) * token
        return self.interaction(mixed.sum(1))  # type: ignore[no-any-return]


class VelocityNetwork(nn.Module):
    """Velocity of a point at a time under a condition.

    Every path through the network is multiplied by the code of the condition and has no constant of its own, so that
    the velocity is exactly zero where nothing is perturbed: control cells stay where they are.

    Parameters
    ----------
    latent, width, depth
        Dimensions of a point, of the hidden layers, and number of blocks.
    n_contexts
        Cell contexts, each with a learned offset.
    """

    def __init__(self, latent: int, width: int, depth: int, n_contexts: int) -> None:
        super().__init__()
        self.sizes = {"latent": latent, "width": width, "depth": depth, "n_contexts": n_contexts}
        self.enter = nn.Linear(latent + _TIME_FEATURES, width)
        self.context = nn.Embedding(n_contexts + 1, width)
        self.condition = nn.Linear(width, width, bias=False)
        self.blocks = nn.ModuleList(nn.Sequential(nn.SiLU(), nn.Linear(width, width, bias=False)) for _ in range(depth))
        self.leave = nn.Linear(width, latent, bias=False)
        self.linear = nn.Linear(width, latent, bias=False)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.context.weight)

    def forward(self, point: Tensor, time: Tensor, code: Tensor, context: Tensor) -> Tensor:
        """(cells, latent) points, (cells,) times, (cells, width) codes, (cells,) contexts -> (cells, latent)."""
        place = self.enter(torch.cat([point, _time_features(time)], dim=1)) + self.context(context)
        hidden = self.condition(code) * (1 + functional.silu(place))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        velocity: Tensor = self.leave(hidden) + self.linear(code)
        return velocity


class FlowNetwork(nn.Module):
    """Set encoder and velocity, trained together."""

    def __init__(self, encoder: SetEncoder, velocity: VelocityNetwork) -> None:
        super().__init__()
        self.encoder, self.velocity = encoder, velocity

    @property
    def sizes(self) -> dict[str, nn.Module]:
        """What it is built of."""
        return {"encoder": self.encoder, "velocity": self.velocity}


def _time_features(time: Tensor) -> Tensor:
    frequencies = math.pi * torch.arange(1, _TIME_FEATURES // 2 + 1, device=time.device, dtype=time.dtype) / 2
    angles = time[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
