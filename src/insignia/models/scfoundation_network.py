"""The network of scFoundation as far as cell embeddings need it, with the published names.

Every step is differentiable on any device, and padding is known by a mask, never by a value.
"""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["EXTRA", "SCFoundationNetwork"]

EXTRA: Final = 3
"""Positions after those of the genes: T, S and padding."""


class SCFoundationNetwork(nn.Module):
    """Amounts and genes to one output per token.

    Parameters
    ----------
    sizes
        ``hidden_dim``, ``depth`` and ``heads`` of the transformer, ``bin_num`` and ``positions``.
    bin_alpha
        Weight of the first layer of bins beside the second.
    """

    def __init__(self, sizes: Mapping[str, int], bin_alpha: float) -> None:
        super().__init__()
        self.width, self.n_layers, self.heads = sizes["hidden_dim"], sizes["depth"], sizes["heads"]
        self.bin_alpha = bin_alpha
        self.token_emb = _Amounts(sizes["bin_num"], self.width, bin_alpha)
        self.pos_emb = nn.Embedding(sizes["positions"], self.width)
        self.encoder = _Transformer(self.width, self.n_layers, self.heads)

    def forward(self, point: Tensor, tokens: Tensor, depth: Tensor) -> Tensor:
        """Give the output at T, at S and at each gene, in this order, which plays no part.

        Parameters
        ----------
        point, tokens
            (rows, tokens) amounts and gene ids, -1 where there is no gene.
        depth
            (rows, 2) the amounts of T and S.

        Returns
        -------
        (rows, 2 + tokens, width).
        """
        present = tokens >= 0
        n_genes = self.pos_emb.num_embeddings - EXTRA
        extra = torch.tensor([n_genes, n_genes + 1], device=tokens.device).expand(len(tokens), 2)
        positions = torch.cat([extra, tokens.where(present, n_genes + 2)], dim=1)
        x = self.token_emb(torch.cat([depth, point], dim=1)) + self.pos_emb(positions)
        # without padding there is no mask, and attention may choose its fastest form
        mask = None if bool(present.all()) else functional.pad(present, (2, 0), value=True)[:, None, None]
        out: Tensor = self.encoder(x, mask)
        return out


class _Amounts(nn.Module):
    """Amounts as soft mixtures of bins: (rows, tokens) -> (rows, tokens, width)."""

    def __init__(self, bins: int, width: int, bin_alpha: float) -> None:
        super().__init__()
        self.bin_alpha = bin_alpha
        self.mlp = nn.Linear(1, bins)
        self.mlp2 = nn.Linear(bins, bins)
        self.emb = nn.Embedding(bins, width)

    def forward(self, values: Tensor) -> Tensor:
        hidden = functional.leaky_relu(self.mlp(values[..., None]), 0.1)
        share = torch.softmax(self.bin_alpha * hidden + self.mlp2(hidden), dim=-1)
        return share @ self.emb.weight


class _Transformer(nn.Module):
    """Layers and a last norm: (rows, tokens, width) -> (rows, tokens, width)."""

    def __init__(self, width: int, n_layers: int, heads: int) -> None:
        super().__init__()
        self.transformer_encoder = nn.ModuleList([_Layer(width, heads) for _ in range(n_layers)])
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        for layer in self.transformer_encoder:
            x = layer(x, mask)
        out: Tensor = self.norm(x)
        return out


class _Layer(nn.Module):
    """`nn.TransformerEncoderLayer` in its default form, by the same names, without its shortcuts for inference.

    `mask`, (rows, 1, 1, tokens), says which tokens are there.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.linear1 = nn.Linear(width, 4 * width)
        self.linear2 = nn.Linear(4 * width, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.norm1(x + self._attend(x, mask))
        out: Tensor = self.norm2(x + self.linear2(functional.relu(self.linear1(x))))
        return out

    def _attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        weights = self.self_attn
        parts = functional.linear(x, weights.in_proj_weight, weights.in_proj_bias).chunk(3, dim=-1)
        by_head = (len(x), x.shape[1], self.heads, -1)
        query, key, value = (part.reshape(by_head).transpose(1, 2) for part in parts)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        out: Tensor = weights.out_proj(attended.transpose(1, 2).flatten(2))
        return out
