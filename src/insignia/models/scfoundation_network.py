"""The network of scFoundation as far as cell embeddings need it."""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from insignia.models.transformer import AttentionBlock, attention_mask

__all__ = ["EXTRA", "Amounts", "SCFoundationNetwork"]

EXTRA: Final = 3
"""Positions after those of the genes: T, S and padding."""


class Amounts(nn.Module):
    """Amounts as soft mixtures of bins: (rows, tokens) -> (rows, tokens, width).

    Parameters
    ----------
    first, second
        The layers from an amount to weights of bins.
    bins
        (bins, width) embeddings of the bins.
    bin_alpha
        Weight of the first layer beside the second.
    """

    def __init__(self, first: nn.Linear, second: nn.Linear, bins: Tensor, bin_alpha: float) -> None:
        super().__init__()
        self.first, self.second, self.bins = first, second, nn.Parameter(bins)
        self.bin_alpha = bin_alpha

    def forward(self, values: Tensor) -> Tensor:
        """Embed amounts."""
        hidden = functional.leaky_relu(self.first(values[..., None]), 0.1)
        share = torch.softmax(self.bin_alpha * hidden + self.second(hidden), dim=-1)
        return share @ self.bins


class SCFoundationNetwork(nn.Module):
    """Amounts and genes to one output per token.

    Parameters
    ----------
    amounts
        From amounts to embeddings.
    positions
        (genes + 3, width) embeddings of the genes, of T, S and padding.
    blocks, norm
        The attention blocks, and the layer norm after them.
    """

    def __init__(self, amounts: Amounts, positions: Tensor, blocks: list[AttentionBlock], norm: nn.LayerNorm) -> None:
        super().__init__()
        self.amounts, self.positions = amounts, nn.Parameter(positions)
        self.blocks, self.norm = nn.ModuleList(blocks), norm

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
        n_genes = len(self.positions) - EXTRA
        extra = torch.arange(n_genes, n_genes + 2, device=tokens.device).expand(len(tokens), 2)
        places = torch.cat([extra, tokens.where(present, n_genes + 2)], dim=1)
        x = self.amounts(torch.cat([depth, point], dim=1)) + self.positions[places]
        mask = attention_mask(functional.pad(present, (2, 0), value=True), x.dtype)
        for block in self.blocks:
            x = block(x, mask)
        return torch.as_tensor(self.norm(x))
