"""SSL-scTab directories: a Lightning checkpoint of each kind, with the genes in a Parquet table or a list."""

from itertools import pairwise
from pathlib import Path

import pandas as pd
import torch

from tests.attribution.conftest import N_GENES, NAMES, make_cells

__all__ = ["IDS", "build", "cells", "state_dict"]

IDS = [f"ENSG{i:011d}" for i in range(N_GENES)]
UNITS = (24, 24, 16, 16, 8)
EXTRA_KEYS = {
    "classifier": {"class_weights": torch.ones(5), "child_lookup": torch.eye(5, dtype=torch.int64)},
    "autoencoder": {"decoder.0.0.weight": torch.ones(16, 8), "decoder.0.0.bias": torch.zeros(16)},
    "contrastive": {"byol.online_predictor.0.weight": torch.ones(4, 4)},
}


def mlp(prefix, sizes, generator):
    """Weights of ``Linear, activation, dropout, ..., Linear``, numbered by threes."""
    state = {}
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        state[f"{prefix}.{3 * i}.weight"] = torch.randn(n_out, n_in, generator=generator) / n_in**0.5
        state[f"{prefix}.{3 * i}.bias"] = torch.randn(n_out, generator=generator) * 0.1
    return state


def state_dict(kind="autoencoder", *, genes=N_GENES, seed=0):
    """Random weights under the published keys; a contrastive network keeps its encoder under three names."""
    generator = torch.Generator().manual_seed(seed)
    prefix = {"autoencoder": "encoder", "classifier": "classifier", "contrastive": "inner_model"}[kind]
    head = [5] if kind == "classifier" else []
    state = mlp(prefix, [genes, *UNITS, *head], generator)
    if kind == "contrastive":
        target = mlp("byol.target_encoder.net", [genes, *UNITS], generator)
        state |= {key.replace("inner_model", "byol.online_encoder.net"): value for key, value in state.items()} | target
    return state | EXTRA_KEYS[kind]


def build(folder: Path, *, kind="autoencoder", genes_in="var.parquet", state=None) -> Path:
    """Write a checkpoint with what Lightning adds, and the genes."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "epoch": 3,
        "state_dict": state_dict(kind) if state is None else state,
        "hyper_parameters": {"units_encoder": list(UNITS), "dropout": 0.1},
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 1e-3}]}],
    }
    torch.save(content, folder / "best_checkpoint_val.ckpt")
    if genes_in == "var.parquet":
        pd.DataFrame({"feature_name": NAMES}, index=pd.Index(IDS, name="feature_id")).to_parquet(folder / genes_in)
    else:
        (folder / genes_in).write_text("\n".join(IDS))
    return folder


def cells(n_cells=12, seed=0):
    """Counts by Ensembl id, with one empty cell at the end."""
    adata = make_cells(n_cells, seed)
    adata.var_names = IDS
    return adata
