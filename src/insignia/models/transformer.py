"""What models over tokens share: attention blocks, padding, and the way from tokens to genes.

Tokens are positions in the model's gene vocabulary, (cells, tokens), padded on the right with -1. Padding is known by
that, never by a value.
"""

import re
from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from insignia.models.mlp import affine
from insignia.models.weights import Weights

__all__ = [
    "AttentionBlock",
    "attention_mask",
    "encoder_blocks",
    "rank_columns",
    "tokens_to_genes",
    "trimmed",
    "values_at",
]

_MASKED: Final = -1e9


class AttentionBlock(nn.Module):
    """Self-attention and a feed-forward network, each with a residual connection and a layer norm after it.

    Parameters
    ----------
    mix, out
        Queries, keys and values in one affine layer, (3 width, width), and the layer after attention.
    up, down
        The feed-forward network.
    norms
        The layer norms of the two.
    heads
        Attention heads.
    activation
        Between `up` and `down`.
    is_norm_first
        The layer norms come before attention and network instead, and what they give is what is added to.
    """

    def __init__(
        self,
        *,
        mix: nn.Linear,
        out: nn.Linear,
        up: nn.Linear,
        down: nn.Linear,
        norms: tuple[nn.LayerNorm, nn.LayerNorm],
        heads: int,
        activation: Callable[[Tensor], Tensor],
        is_norm_first: bool = False,
    ) -> None:
        super().__init__()
        self.mix, self.out, self.up, self.down = mix, out, up, down
        self.norm1, self.norm2 = norms
        self.heads, self.activation, self.is_norm_first = heads, activation, is_norm_first

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Mix tokens: (rows, tokens, width), and what `attention_mask` gave -> (rows, tokens, width)."""
        if self.is_norm_first:
            x = self.norm1(x)
            x = self.norm2(x + self._attend(x, mask))
            return x + self._feed(x)
        x = self.norm1(x + self._attend(x, mask))
        return torch.as_tensor(self.norm2(x + self._feed(x)))

    def _attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        rows, tokens, width = x.shape
        parts = self.mix(x).view(rows, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=mask)
        return torch.as_tensor(self.out(seen.transpose(1, 2).reshape(rows, tokens, width)))

    def _feed(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.down(self.activation(self.up(x))))


def rank_columns(values: csr_matrix, longest: int) -> Tensor:
    """Columns of each row by descending value, ties in column order, the first `longest`: (rows, at least one)."""
    sizes = np.minimum(np.diff(values.indptr), longest)
    tokens = np.full((values.shape[0], int(sizes.max(initial=1))), -1, dtype=np.int64)
    for row, size in enumerate(sizes):
        span = slice(values.indptr[row], values.indptr[row + 1])
        tokens[row, :size] = values.indices[span][np.argsort(-values.data[span], kind="stable")[:size]]
    return torch.from_numpy(tokens)


def attention_mask(present: Tensor, dtype: torch.dtype) -> Tensor | None:
    """Say which tokens are attended to, (rows, tokens) bool -> (rows, 1, 1, tokens) to be added to the logits.

    Without padding there is no mask, and attention may take its fastest form.
    """
    if bool(present.all()):
        return None
    # finite, so that a row without any token gives numbers and not NaN
    return torch.zeros_like(present, dtype=dtype).masked_fill(~present, _MASKED)[:, None, None, :]


def encoder_blocks(
    weights: Weights, prefix: str, width: int, *, heads: int, eps: float = 1e-5, is_norm_first: bool = False
) -> list[AttentionBlock]:
    """Read the layers of an `nn.TransformerEncoder` with ReLU, ``<prefix>.0``, ``<prefix>.1``, ..."""
    blocks = []
    for i in range(weights.n_layers(rf"{re.escape(prefix)}\.(\d+)\.")):
        key = f"{prefix}.{i}"
        mix = weights.tensor(f"{key}.self_attn.in_proj_weight", 3 * width, width)
        up = weights.linear(f"{key}.linear1", -1, width)
        blocks.append(
            AttentionBlock(
                mix=affine(mix, weights.tensor(f"{key}.self_attn.in_proj_bias", 3 * width)),
                out=weights.linear(f"{key}.self_attn.out_proj", width, width),
                up=up,
                down=weights.linear(f"{key}.linear2", width, up.out_features),
                norms=(weights.norm(f"{key}.norm1", width, eps), weights.norm(f"{key}.norm2", width, eps)),
                heads=heads,
                activation=functional.relu,
                is_norm_first=is_norm_first,
            )
        )
    return blocks


def trimmed(tokens: Tensor) -> Tensor:
    """Cut off the padding that all rows have, down to one place."""
    longest = int((tokens >= 0).sum(1).max()) if len(tokens) else 0
    return tokens[:, : max(1, longest)]


def values_at(values: csr_matrix, tokens: Tensor, dtype: torch.dtype) -> Tensor:
    """Return values at tokens, 0 at padding: (cells, genes) -> (cells, tokens); one row of values serves all cells."""
    dense = torch.from_numpy(values.toarray()).to(tokens.device, dtype).expand(len(tokens), -1)
    return dense.gather(1, tokens.clamp(min=0)) * (tokens >= 0)


def tokens_to_genes(attribution: Tensor, tokens: Tensor, n_genes: int) -> Tensor:
    """Put the attribution of each token, (cells, tokens), at its gene: (cells, genes)."""
    genes = attribution.new_zeros(len(tokens), n_genes)
    return genes.scatter_add_(1, tokens.clamp(min=0), attribution * (tokens >= 0))
