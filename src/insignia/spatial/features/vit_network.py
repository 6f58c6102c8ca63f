"""A vision transformer whose parameters are called as timm calls them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ViTShape", "VisionTransformer"]

_EPS = 1e-6


@dataclass(frozen=True)
class ViTShape:
    """Sizes and parts of a vision transformer.

    Parameters
    ----------
    width, depth, n_heads
        Of the tokens, the blocks, and their attention.
    token_px, grid
        Pixels along the side of a token, and tokens along the side of the image.
    hidden
        Width inside the blocks' second half, after gating.
    n_registers
        Further tokens beside the class token.
    is_gated
        Whether that half is SwiGLU, its two inputs packed in one matrix, instead of GELU.
    is_scaled
        Whether blocks scale what they add (LayerScale).
    places_prefix
        Whether class and register tokens have position embeddings too.
    has_qkv_bias, has_first_norm, has_last_norm, has_pooled_norm
        Which optional parts there are.
    """

    width: int
    depth: int
    n_heads: int
    token_px: int
    grid: int
    hidden: int
    n_registers: int = 0
    is_gated: bool = False
    is_scaled: bool = False
    places_prefix: bool = True
    has_qkv_bias: bool = True
    has_first_norm: bool = False
    has_last_norm: bool = True
    has_pooled_norm: bool = False


class _Patches(nn.Module):
    def __init__(self, shape: ViTShape) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, shape.width, shape.token_px, stride=shape.token_px)

    def forward(self, pixels: Tensor) -> Tensor:
        tokens: Tensor = self.proj(pixels).flatten(2).transpose(1, 2)
        return tokens


class _Attention(nn.Module):
    def __init__(self, shape: ViTShape) -> None:
        super().__init__()
        self.n_heads = shape.n_heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=shape.has_qkv_bias)
        self.proj = nn.Linear(shape.width, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        images, tokens, width = x.shape
        parts = self.qkv(x).view(images, tokens, 3, self.n_heads, width // self.n_heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(images, tokens, width))
        return projected


class _MLP(nn.Module):
    def __init__(self, shape: ViTShape) -> None:
        super().__init__()
        self.is_gated = shape.is_gated
        self.fc1 = nn.Linear(shape.width, shape.hidden * (2 if shape.is_gated else 1))
        self.fc2 = nn.Linear(shape.hidden, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.fc1(x)
        if self.is_gated:
            gate, passed = hidden.chunk(2, dim=-1)
            hidden = functional.silu(gate) * passed
        else:
            hidden = functional.gelu(hidden)
        mixed: Tensor = self.fc2(hidden)
        return mixed


class _Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class _Block(nn.Module):
    def __init__(self, shape: ViTShape) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(shape.width, eps=_EPS) for _ in range(2))
        self.attn, self.mlp = _Attention(shape), _MLP(shape)
        self.ls1, self.ls2 = (_Scale(shape.width) if shape.is_scaled else nn.Identity() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        result: Tensor = x + self.ls2(self.mlp(self.norm2(x)))
        return result


class VisionTransformer(nn.Module):
    """From pixels, (images, 3, side, side), to (images, features).

    Parameters
    ----------
    shape
        Its sizes.
    pooling
        ``"token"``: the class token. ``"avg"``: the mean of the image's tokens. ``"token+avg"``: one after the other.
    """

    def __init__(self, shape: ViTShape, pooling: str) -> None:
        super().__init__()
        self.shape, self.pooling = shape, pooling
        self.n_prefix = 1 + shape.n_registers
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        if shape.n_registers:
            self.reg_token = nn.Parameter(torch.zeros(1, shape.n_registers, shape.width))
        n_placed = shape.grid**2 + (self.n_prefix if shape.places_prefix else 0)
        self.pos_embed = nn.Parameter(torch.zeros(1, n_placed, shape.width))
        self.patch_embed = _Patches(shape)
        self.norm_pre = nn.LayerNorm(shape.width, eps=_EPS) if shape.has_first_norm else nn.Identity()
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width, eps=_EPS) if shape.has_last_norm else nn.Identity()
        self.fc_norm = nn.LayerNorm(shape.width, eps=_EPS) if shape.has_pooled_norm else nn.Identity()

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode images."""
        x = self._placed(self.patch_embed(pixels), pixels.shape[-1] // self.shape.token_px)
        x = self.norm_pre(x)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        parts = {"token": x[:, 0], "avg": x[:, self.n_prefix :].mean(dim=1)}
        pooled: Tensor = self.fc_norm(torch.cat([parts[name] for name in self.pooling.split("+")], dim=1))
        return pooled

    def _placed(self, tokens: Tensor, side: int) -> Tensor:
        """Put class and register tokens first, and add position embeddings to what has some."""
        first = [self.cls_token, self.reg_token] if self.shape.n_registers else [self.cls_token]
        prefix = [token.expand(len(tokens), -1, -1) for token in first]
        if self.shape.places_prefix:
            return torch.cat([*prefix, tokens], dim=1) + self._positions(side)
        return torch.cat([*prefix, tokens + self._positions(side)], dim=1)

    def _positions(self, side: int) -> Tensor:
        """Position embeddings for `side` tokens along the image, interpolated where that is not the stored grid."""
        grid = self.shape.grid
        if side == grid:
            return self.pos_embed
        prefix, placed = self.pos_embed[:, : -(grid**2)], self.pos_embed[:, -(grid**2) :]
        square = placed.transpose(1, 2).reshape(1, -1, grid, grid)
        square = functional.interpolate(square, size=(side, side), mode="bicubic", antialias=True, align_corners=False)
        return torch.cat([prefix, square.flatten(2).transpose(1, 2)], dim=1)
