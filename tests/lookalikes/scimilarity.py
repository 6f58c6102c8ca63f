"""An SCimilarity directory as its package writes it."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tests.attribution.conftest import NAMES
from tests.attribution.conftest import make_cells as cells

__all__ = ["build", "cells", "state_dict"]


def state_dict(*, genes=60, hidden=(32, 24, 16), latent=12, seed=0):
    """Random weights under the published keys, batch norms with non-trivial statistics."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for i, (n_in, n_out) in enumerate(pairwise([genes, *hidden])):
        state[f"network.{i}.1.weight"] = torch.randn(n_out, n_in, generator=generator) / np.sqrt(n_in)
        state[f"network.{i}.1.bias"] = torch.randn(n_out, generator=generator) * 0.1
        state[f"network.{i}.2.weight"] = torch.rand(n_out, generator=generator) + 0.5
        state[f"network.{i}.2.bias"] = torch.randn(n_out, generator=generator) * 0.1
        state[f"network.{i}.2.running_mean"] = torch.randn(n_out, generator=generator) * 0.1
        state[f"network.{i}.2.running_var"] = torch.rand(n_out, generator=generator) + 0.5
        state[f"network.{i}.2.num_batches_tracked"] = torch.tensor(7)
        state[f"network.{i}.3.weight"] = torch.tensor([0.25])
    state[f"network.{len(hidden)}.weight"] = torch.randn(latent, hidden[-1], generator=generator) / np.sqrt(hidden[-1])
    state[f"network.{len(hidden)}.bias"] = torch.randn(latent, generator=generator) * 0.1
    return state


def build(folder: Path, *, names=NAMES, **sizes) -> Path:
    """Write encoder, gene order, sizes, labels and hyperparameters."""
    state = state_dict(genes=len(names), **sizes)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": state}, folder / "encoder.ckpt")
    (folder / "gene_order.tsv").write_text("\n".join(names))
    (folder / "layer_sizes.json").write_text(json.dumps({key: list(value.shape) for key, value in state.items()}))
    pd.Series(["B", "T"], name="0").to_csv(folder / "label_ints.csv")
    (folder / "hyperparameters.json").write_text(json.dumps({"latent_dim": 12, "hidden_dim": [32, 24, 16]}))
    return folder
