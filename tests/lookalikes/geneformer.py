"""A Geneformer directory: a Hugging Face BERT with its dictionaries as JSON; V2 unless told otherwise."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from tests.attribution.conftest import NAMES, make_cells

__all__ = ["IDS", "build", "cells", "medians", "state_dict", "tokens"]

IDS = [f"ENSG{i:011d}" for i in range(len(NAMES))]


def cells(n_cells=12, seed=0):
    """Counts by Ensembl id, one empty cell at the end."""
    adata = make_cells(n_cells, seed=seed)
    adata.var = pd.DataFrame(index=IDS)
    return adata


def tokens(*, special=True):
    """Numbers of the genes, in another order than theirs, after those of the special tokens."""
    first = ["<pad>", "<mask>", "<cls>", "<eos>"][: 4 if special else 2]
    order = np.random.default_rng(4).permutation(len(IDS))
    return {name: number for number, name in enumerate([*first, *(IDS[i] for i in order)])}


def medians():
    """Median of each gene."""
    return dict(zip(IDS, np.random.default_rng(5).uniform(0.5, 5, len(IDS)).tolist(), strict=True))


def state_dict(*, words, positions=64, width=16, hidden=32, layers=3, seed=0):
    """Random weights under the keys of `BertForMaskedLM`, head included."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape, scale):
        return torch.randn(*shape, generator=generator) * scale

    state = {}

    def linear(key, n_out, n_in):
        state[f"{key}.weight"] = draw(n_out, n_in, scale=1 / np.sqrt(n_in))
        state[f"{key}.bias"] = draw(n_out, scale=0.1)

    def norm(key):
        state[f"{key}.weight"] = 1 + draw(width, scale=0.1)
        state[f"{key}.bias"] = draw(width, scale=0.1)

    for name, n in (("word", words), ("position", positions), ("token_type", 2)):
        state[f"bert.embeddings.{name}_embeddings.weight"] = draw(n, width, scale=0.5)
    norm("bert.embeddings.LayerNorm")
    for i in range(layers):
        key = f"bert.encoder.layer.{i}"
        for part in ("query", "key", "value"):
            linear(f"{key}.attention.self.{part}", width, width)
        linear(f"{key}.attention.output.dense", width, width)
        norm(f"{key}.attention.output.LayerNorm")
        linear(f"{key}.intermediate.dense", hidden, width)
        linear(f"{key}.output.dense", width, hidden)
        norm(f"{key}.output.LayerNorm")
    linear("cls.predictions.transform.dense", width, width)
    norm("cls.predictions.transform.LayerNorm")
    state["cls.predictions.bias"] = draw(words, scale=0.1)
    return state


def build(folder: Path, *, special=True, weights="model.safetensors", activation="relu", heads=4, **sizes) -> Path:
    """Write config, weights and the three dictionaries."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = tokens(special=special)
    state = state_dict(words=len(numbers), **sizes)
    words, positions = (state[f"bert.embeddings.{name}_embeddings.weight"] for name in ("word", "position"))
    config = {
        "architectures": ["BertForMaskedLM"],
        "model_type": "bert",
        "hidden_act": activation,
        "hidden_size": words.shape[1],
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": len(positions),
        "num_attention_heads": heads,
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": len(words),
    }
    (folder / "config.json").write_text(json.dumps(config))
    if weights.endswith("safetensors"):
        save_file(state, folder / weights)
    else:
        torch.save(state, folder / weights)
    (folder / "token_dictionary.json").write_text(json.dumps(numbers))
    (folder / "gene_median_dictionary.json").write_text(json.dumps(medians()))
    names = dict(zip([f"SYMBOL{i}" for i in range(len(IDS))], IDS, strict=True))
    (folder / "gene_name_id_dict.json").write_text(json.dumps(names))
    return folder
