"""An scGPT directory as its package writes it, with the keys of flash attention unless told otherwise."""

import json
from pathlib import Path

import numpy as np
import torch

from tests.attribution.conftest import NAMES
from tests.attribution.conftest import make_cells as cells

__all__ = ["ARGS", "build", "cells", "state_dict", "vocabulary"]

ARGS = {
    "embsize": 16,
    "nheads": 4,
    "d_hid": 32,
    "nlayers": 2,
    "n_layers_cls": 3,
    "n_bins": 51,
    "max_seq_len": 1200,
    "pad_token": "<pad>",
    "pad_value": -2,
    "mask_value": -1,
    "input_style": "binned",
    "input_emb_style": "continuous",
    "fast_transformer": True,
}


def vocabulary():
    """Numbers of the genes, in another order than theirs, then those of the special tokens."""
    order = np.random.default_rng(4).permutation(len(NAMES))
    return {name: number for number, name in enumerate([*(NAMES[i] for i in order), "<pad>", "<cls>", "<eoc>"])}


def state_dict(*, words=63, width=16, hidden=32, layers=2, seed=0, flash=True):
    """Random weights under the published keys, a decoder included."""
    generator = torch.Generator().manual_seed(seed)
    state = {}

    def draw(*shape, scale):
        return torch.randn(*shape, generator=generator) * scale

    def linear(key, n_out, n_in, *, joint="."):
        state[f"{key}{joint}weight"] = draw(n_out, n_in, scale=1 / np.sqrt(n_in))
        state[f"{key}{joint}bias"] = draw(n_out, scale=0.1)

    def norm(key):
        state[f"{key}.weight"] = 1 + draw(width, scale=0.1)
        state[f"{key}.bias"] = draw(width, scale=0.1)

    state["encoder.embedding.weight"] = draw(words, width, scale=1)
    norm("encoder.enc_norm")
    linear("value_encoder.linear1", width, 1)
    # kinks spread over the values, whose slopes would otherwise drown in the layer norm
    state["value_encoder.linear1.weight"] *= 0.1
    state["value_encoder.linear1.bias"] = draw(width, scale=2)
    linear("value_encoder.linear2", width, width)
    norm("value_encoder.norm")
    for i in range(layers):
        key = f"transformer_encoder.layers.{i}"
        linear(f"{key}.self_attn.{'Wqkv' if flash else 'in_proj'}", 3 * width, width, joint="." if flash else "_")
        linear(f"{key}.self_attn.out_proj", width, width)
        linear(f"{key}.linear1", hidden, width)
        linear(f"{key}.linear2", width, hidden)
        norm(f"{key}.norm1")
        norm(f"{key}.norm2")
    linear("decoder.fc.0", width, width)
    state["flag_encoder.weight"] = draw(2, width, scale=1)
    return state


def build(folder: Path, *, args=None, vocab=None, **options) -> Path:
    """Write arguments, vocabulary and weights; `args` are changes to `ARGS`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "args.json").write_text(json.dumps(ARGS | (args or {})))
    (folder / "vocab.json").write_text(json.dumps(vocab or vocabulary()))
    torch.save(state_dict(**options), folder / "best_model.pt")
    return folder
