"""scvi-tools directories, of the same Python objects as SCVI and SCANVI write, numpy and pandas among them."""

import pickle
from collections import OrderedDict, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tests.attribution.conftest import NAMES
from tests.attribution.conftest import make_cells as cells

__all__ = ["attributes", "build", "cells", "checkpoint", "independent_embedding", "state_dict"]

_BATCHES, _SITES, _LABELS = ("b1", "b2", "b3"), (1, 2), ("B", "T", "Unknown")


def state_dict(
    *, genes=60, hidden=(24, 16), latent=6, norm="batch", first=0, deep=0, labels=0, linear=False, embedded=0, seed=0
):
    """Random weights under the published keys; `first` and `deep` inputs of covariates."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    def stack(prefix, sizes, extra):
        for i, (n_in, n_out) in enumerate(pairwise(sizes)):
            layer = f"{prefix}.fc_layers.Layer {i}"
            width = n_in + (extra[0] if i == 0 else extra[1])
            state[f"{layer}.0.weight"] = normal(n_out, width) / np.sqrt(n_in)
            state[f"{layer}.0.bias"] = normal(n_out) * 0.1
            if norm == "batch":
                state[f"{layer}.1.weight"] = torch.rand(n_out, generator=generator) + 0.5
                state[f"{layer}.1.bias"] = normal(n_out) * 0.1
                state[f"{layer}.1.running_mean"] = normal(n_out) * 0.1
                state[f"{layer}.1.running_var"] = torch.rand(n_out, generator=generator) + 0.5
                state[f"{layer}.1.num_batches_tracked"] = torch.tensor(7)

    def linear_layer(name, n_in, n_out):
        state[f"{name}.weight"] = normal(n_out, n_in) / np.sqrt(n_in)
        state[f"{name}.bias"] = normal(n_out) * 0.1

    state = OrderedDict(px_r=normal(genes))
    if embedded:
        state["_embeddings_dict.batch.weight"] = normal(len(_BATCHES), embedded)
    stack("z_encoder.encoder", (genes, *hidden), (first, deep))
    linear_layer("z_encoder.mean_encoder", hidden[-1], latent)
    linear_layer("z_encoder.var_encoder", hidden[-1], latent)
    linear_layer("decoder.px_scale_decoder.0", hidden[-1], genes)
    if labels and linear:
        linear_layer("classifier.classifier.0", latent, labels)
    elif labels:
        stack("classifier.classifier.0", (latent, 8), (0, 0))
        linear_layer("classifier.classifier.1", 8, labels)
    state["pyro_param_store"] = {"params": {}, "constraints": {}}
    return state


def attributes(*, model="SCVI", settings=None, covariates=True, kwargs="kwargs"):
    """What stands beside the weights since 0.15: init parameters, registry, history, indices."""
    fields = defaultdict(dict)
    empty = {"data_registry": {}, "state_registry": {}, "summary_stats": {}}
    fields["X"] = empty | {"summary_stats": {"n_vars": 60, "n_cells": 12}}
    fields["batch"] = empty | {
        "state_registry": {"categorical_mapping": np.array(_BATCHES, dtype=object), "original_key": "batch"}
    }
    fields["labels"] = empty | {
        "state_registry": {"categorical_mapping": np.array(_LABELS, dtype=object), "original_key": "cell_type"}
    }
    fields["extra_categorical_covs"], fields["extra_continuous_covs"] = dict(empty), dict(empty)
    if covariates:
        fields["extra_categorical_covs"]["state_registry"] = {
            "mappings": {"site": np.array(_SITES)},
            "field_keys": ["site"],
            "n_cats_per_key": [2],
        }
        fields["extra_continuous_covs"]["state_registry"] = {"columns": np.array(["age"], dtype=object)}
    losses = pd.DataFrame({"elbo_train": [2.0, 1.5]}, index=pd.Index([0, 1], name="epoch"))
    non_kwargs = {"n_hidden": 24, "n_latent": 6, "n_layers": 2, "dropout_rate": 0.1, "gene_likelihood": "zinb"}
    return {
        "history_": {"elbo_train": losses},
        "init_params_": {"kwargs": {kwargs: settings or {}}, "non_kwargs": non_kwargs},
        "is_trained_": True,
        "registry_": {
            "scvi_version": "1.4.2",
            "model_name": model,
            "setup_args": {"layer": None, "batch_key": "batch"},
            "field_registries": fields,
            "setup_method_name": "setup_anndata",
        },
        "test_indices_": np.array([], dtype=np.int64),
        "train_indices_": np.arange(9),
    }


def checkpoint(*, names=NAMES, state=None, attrs=None):
    """Return the content of a ``model.pt``."""
    return {
        "model_state_dict": state_dict(genes=len(names)) if state is None else state,
        "var_names": np.array(names, dtype=object),
        "attr_dict": attributes() if attrs is None else attrs,
    }


def build(folder: Path, *, prefix="", legacy=False, **content) -> Path:
    """Write ``[prefix]model.pt``, or the three files that preceded it."""
    folder.mkdir(parents=True, exist_ok=True)
    made = checkpoint(**content)
    if not legacy:
        torch.save(made, folder / f"{prefix}model.pt")
        return folder
    attrs = dict(made["attr_dict"])
    fields = {name: field["state_registry"] for name, field in attrs.pop("registry_")["field_registries"].items()}
    attrs["scvi_setup_dict_"] = {
        "scvi_version": "0.14.5",
        "categorical_mappings": {
            f"_scvi_{name}": {
                "original_key": fields[name]["original_key"],
                "mapping": fields[name]["categorical_mapping"],
            }
            for name in ("batch", "labels")
        },
        "extra_categoricals": {"mappings": {"site": np.array(_SITES)}, "keys": ["site"], "n_cats_per_key": [2]},
        "extra_continuous_keys": np.array(["age"], dtype=object),
    }
    state = {key: value for key, value in made["model_state_dict"].items() if key != "pyro_param_store"}
    torch.save(OrderedDict(state), folder / f"{prefix}model_params.pt")
    np.savetxt(folder / f"{prefix}var_names.csv", made["var_names"], fmt="%s")
    (folder / f"{prefix}attr.pkl").write_bytes(pickle.dumps(attrs, protocol=4))
    return folder


def independent_embedding(counts, state, *, log=True, norm="batch", first=None, deep=None, prefix="z_encoder"):
    """Run the published forward pass in numpy, in float64; `first` and `deep` are appended to inputs of layers."""
    s = {key: value.double().numpy() for key, value in state.items() if isinstance(value, torch.Tensor)}
    x = np.log1p(counts) if log else np.asarray(counts, dtype=np.float64)
    name = f"{prefix}.encoder.fc_layers.Layer " if prefix == "z_encoder" else f"{prefix}.0.fc_layers.Layer "
    i = 0
    while f"{name}{i}.0.weight" in s:
        extra = first if i == 0 else deep
        x = x if extra is None else np.concatenate([x, extra], axis=1)
        x = x @ s[f"{name}{i}.0.weight"].T + s[f"{name}{i}.0.bias"]
        if norm == "batch":
            x = (x - s[f"{name}{i}.1.running_mean"]) / np.sqrt(s[f"{name}{i}.1.running_var"] + 1e-3)
            x = x * s[f"{name}{i}.1.weight"] + s[f"{name}{i}.1.bias"]
        if norm == "layer":
            x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        x = np.maximum(x, 0)
        i += 1
    last = "z_encoder.mean_encoder" if prefix == "z_encoder" else f"{prefix}.{min(i, 1)}"
    return x @ s[f"{last}.weight"].T + s[f"{last}.bias"]
