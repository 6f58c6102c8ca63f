"""Tiny image encoders with random weights, saved in the published layouts."""

import json

import torch
from safetensors.torch import save_file

WIDTH, DEPTH, TOKEN, GRID = 24, 2, 8, 4
SIDE = TOKEN * GRID


def timm_vit(*, registers=0, gated=False, scaled=False, placed_prefix=True, hidden=48, width=WIDTH, seed=0):
    """A state dict with timm's names."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape, scale=0.2):
        return scale * torch.randn(*shape, generator=generator)

    state = {"cls_token": normal(1, 1, width), "patch_embed.proj.weight": normal(width, 3, TOKEN, TOKEN)}
    state["patch_embed.proj.bias"] = normal(width)
    if registers:
        state["reg_token"] = normal(1, registers, width)
    state["pos_embed"] = normal(1, GRID**2 + ((1 + registers) if placed_prefix else 0), width)
    for number in range(DEPTH):
        block = f"blocks.{number}."
        sizes = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
        sizes |= {"mlp.fc1": (hidden * (2 if gated else 1), width), "mlp.fc2": (width, hidden)}
        for name, size in sizes.items():
            state |= {f"{block}{name}.weight": normal(*size), f"{block}{name}.bias": normal(size[0])}
        for name in ("norm1", "norm2"):
            state |= {f"{block}{name}.weight": 1 + normal(width), f"{block}{name}.bias": normal(width)}
        if scaled:
            state |= {f"{block}{name}.gamma": normal(width, scale=1) for name in ("ls1", "ls2")}
    return state | {"norm.weight": 1 + normal(width), "norm.bias": normal(width)}


def save_timm(folder, state, *, heads=3, **config):
    """Save as timm does for a hub: safetensors and config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    content = {"architecture": "vit_tiny", "model_args": {"num_heads": heads}, **config}
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def torchvision_resnet(*, width=8, depths=(1, 2, 1, 1), seed=0):
    """A state dict with torchvision's names."""
    generator = torch.Generator().manual_seed(seed)
    state = {}

    def conv(name, outputs, inputs, side):
        state[f"{name}.weight"] = torch.randn(outputs, inputs, side, side, generator=generator) / (inputs**0.5 * side)

    def norm(name, channels):
        for part, centre in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            state[f"{name}.{part}"] = (centre + 0.1 * torch.randn(channels, generator=generator)).abs()
        state[f"{name}.num_batches_tracked"] = torch.tensor(5)

    conv("conv1", width, 3, 7)
    norm("bn1", width)
    inputs = width
    for layer, depth in enumerate(depths):
        inner = width * 2**layer
        for block in range(depth):
            name = f"layer{layer + 1}.{block}"
            for number, (outputs, given, side) in enumerate(
                [(inner, inputs, 1), (inner, inner, 3), (4 * inner, inner, 1)]
            ):
                conv(f"{name}.conv{number + 1}", outputs, given, side)
                norm(f"{name}.bn{number + 1}", outputs)
            if block == 0:
                conv(f"{name}.downsample.0", 4 * inner, inputs, 1)
                norm(f"{name}.downsample.1", 4 * inner)
            inputs = 4 * inner
    return state


def save_transformers(folder, kind="vit", *, seed=0, processor=None, **config):
    """A tiny random model, saved by transformers itself."""
    import transformers

    torch.manual_seed(seed)
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": 3, "image_size": SIDE}
    sizes |= {"patch_size": TOKEN, "intermediate_size": 48, "initializer_range": 0.2}
    if kind == "vit":
        model = transformers.ViTModel(transformers.ViTConfig(**sizes | config), add_pooling_layer=False)
    elif kind == "dinov2":
        del sizes["intermediate_size"]
        model = transformers.Dinov2Model(transformers.Dinov2Config(**sizes | {"mlp_ratio": 2} | config))
    elif kind == "dinov2_with_registers":
        del sizes["intermediate_size"]
        settings = transformers.Dinov2WithRegistersConfig(**sizes | {"mlp_ratio": 2, "num_register_tokens": 3} | config)
        model = transformers.Dinov2WithRegistersModel(settings)
    else:
        settings = {"embedding_size": 8, "hidden_sizes": [32, 64, 128, 256], "depths": [1, 2, 1, 1]}
        model = transformers.ResNetModel(transformers.ResNetConfig(**settings | config))
    with torch.no_grad():
        # what starts at 0 or 1 would hide an exchange of names
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.eval().save_pretrained(folder)
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return model
