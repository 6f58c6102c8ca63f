"""Tiny models in the published layouts, built here."""

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch


@pytest.fixture
def scimilarity_directory(tmp_path):
    """Write a look-alike of a released directory by hand, and return its folder with the weights in it."""

    def build(*, hidden=(16, 12), latent=6, genes=40, seed=0, folder="look-alike"):
        generator = torch.Generator().manual_seed(seed)
        state = {}
        sizes = [genes, *hidden]
        for i, (n_in, n_out) in enumerate(pairwise(sizes)):
            state[f"network.{i}.1.weight"] = torch.randn(n_out, n_in, generator=generator) / np.sqrt(n_in)
            state[f"network.{i}.1.bias"] = torch.randn(n_out, generator=generator) * 0.1
            state[f"network.{i}.2.weight"] = torch.rand(n_out, generator=generator) + 0.5
            state[f"network.{i}.2.bias"] = torch.randn(n_out, generator=generator) * 0.1
            state[f"network.{i}.2.running_mean"] = torch.randn(n_out, generator=generator) * 0.1
            state[f"network.{i}.2.running_var"] = torch.rand(n_out, generator=generator) + 0.5
            state[f"network.{i}.2.num_batches_tracked"] = torch.tensor(7)
            state[f"network.{i}.3.weight"] = torch.tensor([0.25])
        state[f"network.{len(hidden)}.weight"] = torch.randn(latent, hidden[-1], generator=generator)
        state[f"network.{len(hidden)}.bias"] = torch.randn(latent, generator=generator) * 0.1
        path = tmp_path / folder
        path.mkdir()
        torch.save({"state_dict": state}, path / "encoder.ckpt")
        (path / "gene_order.tsv").write_text("\n".join(f"GENE{i}" for i in range(genes)))
        (path / "layer_sizes.json").write_text(json.dumps({k: list(v.shape) for k, v in state.items()}))
        pd.Series(["B", "T"], name="0").to_csv(path / "label_ints.csv")
        (path / "hyperparameters.json").write_text(json.dumps({"latent_dim": latent, "hidden_dim": list(hidden)}))
        return path, state

    return build
