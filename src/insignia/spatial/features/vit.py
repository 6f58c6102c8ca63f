"""Vision transformers with the weights of timm: UNI, UNI2, Virchow, H-optimus, and others of that make."""

from math import isqrt
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from insignia.core.errors import ModelFormatError
from insignia.core.files import sha256_file
from insignia.spatial.features.network import (
    IMAGENET,
    Colours,
    NetworkEncoder,
    count_numbered,
    find_weights,
    load_strictly,
    name_of,
    read_config,
    read_weights,
)
from insignia.spatial.features.vit_network import VisionTransformer, ViTShape

__all__ = ["load_vit"]

_HEADS: Final = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16, 1536: 24, 1664: 16}
"""Heads by width in the models that timm and the pathology encoders made of it define."""

_POOLING: Final = {"token": "token", "avg": "avg", "": "token", "token+avg": "token+avg"}


def load_vit(
    path: str | Path,
    *,
    pooling: str | None = None,
    n_heads: int | None = None,
    image_px: int | None = None,
    device: str = "cpu",
    name: str | None = None,
) -> NetworkEncoder:
    """Load a vision transformer saved with timm's parameter names.

    Sizes are read off the weights; what those do not say comes from timm's `config.json` beside them, if it is there.

    Parameters
    ----------
    path
        Weights, as safetensors or as a torch file of tensors, or the folder that holds them.
    pooling
        ``"token"``, ``"avg"`` or ``"token+avg"`` (as Virchow's authors use it). `None` takes the configuration's, or
        the class token.
    n_heads
        Heads of the attention; `None` takes the configuration's, or those of timm's models of that width.
    image_px
        Side of the patches, a multiple of a token's; `None` takes the size of training. Position embeddings are
        interpolated for others.
    device
        Where it runs, e.g. ``"cuda"``.
    name
        What its features are called; `None` for the name of the folder or file.

    Raises
    ------
    ModelFormatError
        The weights are not those of such a network, or do not say how many heads it has.
    UnsafeCheckpoint
        Reading them would run code.

    References
    ----------
    Dosovitskiy et al. 2021 (arXiv:2010.11929); registers: Darcet et al. 2024 (arXiv:2309.16588).
    """
    file = find_weights(Path(path))
    weights = {key: tensor.float() for key, tensor in read_weights(file).items() if not key.startswith("head.")}
    config = read_config(file)
    # exports of timm hold the arguments of the model in a part of their own, or beside the rest
    settings = {**config, **config.get("model_args", {})}
    pretrained = config.get("pretrained_cfg", {})
    shape = _shape(weights, n_heads or settings.get("num_heads"), file)
    pooling = pooling if pooling is not None else _POOLING.get(settings.get("global_pool", "token"), "")
    if pooling not in set(_POOLING.values()):
        raise ModelFormatError(f"Pooling is token, avg or token+avg; found {pooling or settings['global_pool']!r}.")
    module = VisionTransformer(shape, pooling)
    load_strictly(module, weights, file)
    image_px = image_px or shape.grid * shape.token_px
    if image_px % shape.token_px:
        raise ModelFormatError(
            f"image_px must be a multiple of {shape.token_px}, the side of a token; found {image_px}."
        )
    return NetworkEncoder(
        name or name_of(file),
        module,
        patch_px=image_px,
        colours=Colours(
            tuple(pretrained.get("mean", IMAGENET.mean)),
            tuple(pretrained.get("std", IMAGENET.sd)),
        ),
        identity={"network": "timm vit 1", "weights": sha256_file(file), "pooling": pooling, "heads": shape.n_heads},
        device=device,
    )


def _shape(weights: dict[str, Tensor], n_heads: Any, source: Path) -> ViTShape:
    """Read the sizes of a network off its weights."""
    needed = ("patch_embed.proj.weight", "cls_token", "pos_embed", "blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc2.weight")
    missing = [name for name in needed if name not in weights]
    if missing:
        raise ModelFormatError(
            f"{source} is not a ViT with timm's names: it lacks {missing}, and holds {sorted(weights)[:5]}."
        )
    projection, first, second = (weights[name] for name in (needed[0], needed[3], needed[4]))
    width, token_px = int(projection.shape[0]), int(projection.shape[-1])
    n_registers = int(weights["reg_token"].shape[1]) if "reg_token" in weights else 0
    grid, places_prefix = _grid(int(weights["pos_embed"].shape[1]), 1 + n_registers, source)
    return ViTShape(
        width=width,
        depth=count_numbered(weights, "blocks.", source),
        n_heads=_checked_heads(n_heads or _HEADS.get(width), width, source),
        token_px=token_px,
        grid=grid,
        hidden=int(second.shape[1]),
        n_registers=n_registers,
        is_gated=int(first.shape[0]) == 2 * int(second.shape[1]),
        is_scaled="blocks.0.ls1.gamma" in weights,
        places_prefix=places_prefix,
        has_qkv_bias="blocks.0.attn.qkv.bias" in weights,
        has_first_norm="norm_pre.weight" in weights,
        has_last_norm="norm.weight" in weights,
        has_pooled_norm="fc_norm.weight" in weights,
    )


def _grid(n_placed: int, n_prefix: int, source: Path) -> tuple[int, bool]:
    """Tokens along the side of the image, and whether class and register tokens have position embeddings."""
    for count, places_prefix in ((n_placed - n_prefix, True), (n_placed, False)):
        if count > 0 and isqrt(count) ** 2 == count:
            return isqrt(count), places_prefix
    raise ModelFormatError(
        f"{source}: {n_placed} position embeddings are no square, with or without {n_prefix} tokens."
    )


def _checked_heads(n_heads: Any, width: int, source: Path) -> int:
    if n_heads is None:
        raise ModelFormatError(
            f"{source}: weights do not say how many heads a network of width {width} has. Give n_heads, or timm's "
            "config.json beside the weights."
        )
    if not isinstance(n_heads, int) or n_heads < 1 or width % n_heads:
        raise ModelFormatError(f"{source}: the width of {width} cannot be shared by {n_heads!r} heads.")
    return n_heads
