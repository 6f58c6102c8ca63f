"""A scFoundation directory: three small networks in one file, and the gene index."""

from pathlib import Path

import torch

from tests.attribution.conftest import NAMES
from tests.attribution.conftest import make_cells as cells

__all__ = ["GENE_FILE", "build", "cells", "network"]

GENE_FILE = "OS_scRNA_gene_index.19264.tsv"


def network(*, genes=60, hidden=16, depth=2, heads=2, bins=10, bin_alpha=1.0, seed=0):
    """One entry of ``models.ckpt``: config as published, random weights under the published keys."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape, scale=1.0):
        return torch.randn(*shape, generator=generator) * scale

    state = {
        "token_emb.mlp.weight": random(bins, 1),
        "token_emb.mlp.bias": random(bins),
        "token_emb.mlp2.weight": random(bins, bins, scale=bins**-0.5),
        "token_emb.mlp2.bias": random(bins, scale=0.1),
        "token_emb.emb.weight": random(bins, hidden),
        "token_emb.emb_mask.weight": random(1, hidden),
        "token_emb.emb_pad.weight": random(1, hidden),
        "pos_emb.weight": random(genes + 3, hidden, scale=0.5),
        "encoder.norm.weight": 1 + random(hidden, scale=0.2),
        "encoder.norm.bias": random(hidden, scale=0.2),
        "decoder_embed.weight": random(4, hidden),
        "to_final.bias": random(1),
    }
    for i in range(depth):
        shapes = {
            "self_attn.in_proj_weight": (3 * hidden, hidden),
            "self_attn.out_proj.weight": (hidden, hidden),
            "linear1.weight": (4 * hidden, hidden),
            "linear2.weight": (hidden, 4 * hidden),
        }
        prefix = f"encoder.transformer_encoder.{i}."
        for name, shape in shapes.items():
            state[prefix + name] = random(*shape, scale=shape[1] ** -0.5)
        biases = {"self_attn.in_proj_bias": 3 * hidden, "self_attn.out_proj.bias": hidden}
        biases |= {"linear1.bias": 4 * hidden, "linear2.bias": hidden, "norm1.bias": hidden, "norm2.bias": hidden}
        state |= {prefix + name: random(size, scale=0.1) for name, size in biases.items()}
        state |= {f"{prefix}norm{j}.weight": 1 + random(hidden, scale=0.2) for j in (1, 2)}
    encoder = {"module_type": "transformer", "hidden_dim": hidden, "depth": depth, "heads": heads, "dim_head": 64}
    model = {"n_class": 104, "bin_num": bins, "bin_alpha": bin_alpha, "pad_token_id": 103, "mask_token_id": 102}
    model |= {"encoder": encoder, "decoder": {"module_type": "performer", "hidden_dim": 8, "depth": 1, "heads": 1}}
    config = {
        "model": "mae_autobin",
        "model_config": {"mae_autobin": model},
        "dataset_config": {"rnaseq": {"seq_len": genes + 2, "gene_num": genes + 2}},
    }
    return {"config": config, "state_dict": {f"model.{name}": value for name, value in state.items()}}


def build(folder: Path, *, names=NAMES, networks=None, **sizes) -> Path:
    """Write the networks ``cell``, ``gene`` and ``rde``, and the gene index with its header."""
    folder.mkdir(parents=True, exist_ok=True)
    if networks is None:
        networks = {key: network(genes=len(names), seed=i, **sizes) for i, key in enumerate(("cell", "gene", "rde"))}
    torch.save(networks, folder / "models.ckpt")
    lines = ["gene_name\tindex", *(f"{name}\t{i}" for i, name in enumerate(names))]
    (folder / GENE_FILE).write_text("\n".join(lines))
    return folder
