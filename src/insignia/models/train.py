"""Train a small encoder of the SCimilarity shape on the user's own cells."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from anndata import AnnData

from insignia import __version__
from insignia.core.device import find_device
from insignia.core.errors import InputError, MissingMetadata
from insignia.core.keys import UNKNOWN
from insignia.data import InputSpace
from insignia.models.gene_scale import fold_scale, gene_scale, scaled_genes
from insignia.models.mlp import MLPEncoder
from insignia.models.objectives import Autoencoder, LabelObjective, MaskedObjective
from insignia.models.scimilarity import SCimilarityDecoder, SCimilarityNetwork, encoder_from_network, save_scimilarity
from insignia.models.training_cells import TrainingCells, training_cells
from insignia.training import TrainOptions, fit

__all__ = ["train"]

_MIN_CELLS = 20


def train(
    adata: AnnData,
    *,
    labels: str | None = None,
    output: str | Path | None = None,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    hidden: Sequence[int] = (256, 256),
    latent: int = 64,
    dropout: float = 0.2,
    input_dropout: float = 0.3,
    loss: Literal["triplet", "contrastive"] = "contrastive",
    reconstruction_weight: float = 0.5,
    standardise: bool = False,
    batch_size: int = 128,
    hold_out_by: str | None = None,
    options: TrainOptions | None = None,
    name: str = "insignia",
    device: str = "auto",
    rng: int | np.random.Generator = 0,
    show_progress: bool | None = None,
) -> MLPEncoder:
    """Train an encoder on cells, and write it as an SCimilarity directory.

    Parameters
    ----------
    adata
        Cells, (cells, genes), counts or log1p.
    labels
        `obs` column of cell types. With it the encoder learns to bring cells of one type together and to reconstruct
        each cell; without it, to reconstruct genes that are hidden from it. Cells without a label are left out.
    output
        Folder to write, which must not exist yet; `None` keeps the model in memory.
    layer, input_space
        Where expression is, and what it is; see `insignia.data.Expression`.
    hidden, latent
        Widths of the hidden layers, and length of the embedding.
    dropout, input_dropout
        Share of hidden units and of input genes dropped in training; without labels, `input_dropout` of the genes are
        hidden and rebuilt instead.
    loss
        How labels are used: supervised contrastive (Khosla et al. 2020) or triplet (as SCimilarity).
    reconstruction_weight
        Weight of the squared error of the reconstruction beside the label loss.
    standardise
        Divide each gene by its standard deviation while training, so that weak genes count as much as strong ones; the
        finished encoder reads genes as they are. It named no more known markers (docs/science.md).
    batch_size
        Cells per step.
    hold_out_by
        `obs` column, e.g. the donor; a tenth of its values is held out for early stopping. `None` holds out cells.
    options
        Epochs, learning rate, early stopping.
    name
        What the model is called; with `output`, the folder's name wins.
    device
        Where it is trained; as for `insignia.tl.attribute`. The encoder comes back on the CPU.
    rng
        Seed of weights, batches and dropout: equal seeds give equal weights on one device.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Returns
    -------
    The encoder, equal to `load(output)`.

    Raises
    ------
    MissingMetadata
        `labels` or `hold_out_by` is not in `obs`.
    InputError
        There are fewer than 20 cells or than two cell types, `output` exists, or there is no such device.
    """
    output, place = _free_folder(output), find_device(device)
    options = options or TrainOptions()
    cells = _labelled(training_cells(adata, layer=layer, input_space=input_space), labels)
    generator = np.random.default_rng(rng)
    rows = _split(cells.obs, hold_out_by, generator)
    seed = int(generator.integers(2**31 - 1))
    types: list[str] = sorted(cells.obs[labels].astype(str).unique()) if labels else []
    scale = gene_scale(cells.values[rows[0]]) if standardise else None
    values = cells.values if scale is None else scaled_genes(cells.values, scale)
    objective: LabelObjective | MaskedObjective
    if labels is None:
        objective = MaskedObjective(values, *rows, batch_size, place, input_dropout)
    else:
        codes = np.searchsorted(types, cells.obs[labels].astype(str))
        objective = LabelObjective(values, *rows, batch_size, place, codes, reconstruction_weight, loss)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        drop_in = input_dropout if labels else 0.0
        encoder = SCimilarityNetwork(len(cells.genes), hidden, latent, dropout=dropout, input_dropout=drop_in)
        network = Autoencoder(encoder, SCimilarityDecoder(len(cells.genes), hidden, latent, dropout=dropout))
    result = fit(network.to(place), objective, options, seed=seed, show_progress=show_progress)
    network.cpu()
    if scale is not None:
        fold_scale(network, scale)
    if output is None:
        return encoder_from_network(name, cells.genes, encoder)
    save_scimilarity(
        output,
        genes=cells.genes,
        encoder=encoder,
        decoder=network.decoder,
        labels=types,
        hyperparameters={
            "latent_dim": latent,
            "hidden_dim": list(hidden),
            "dropout": dropout,
            "input_dropout": input_dropout,
            "loss": loss if labels else "masked",
            "reconstruction_weight": reconstruction_weight,
            "standardise": standardise,
            "batch_size": batch_size,
            "seed": seed,
            **asdict(options),
        },
        metadata={
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "software": f"insignia {__version__}",
            "organism": cells.genes.organism,
            "cells": int(cells.values.shape[0]),
            "labels": labels,
            "training": asdict(result),
        },
    )
    return encoder_from_network(output.resolve().name, cells.genes, encoder)


def _free_folder(output: str | Path | None) -> Path | None:
    if output is None:
        return None
    output = Path(output)
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise InputError(
            f"{output} exists already, and a model is never overwritten. Choose another folder or remove it."
        )
    return output


def _labelled(cells: TrainingCells, labels: str | None) -> TrainingCells:
    if labels is not None:
        keep = _column(cells.obs, labels).notna().to_numpy()
        keep &= ~cells.obs[labels].astype(str).isin([UNKNOWN, "nan", ""]).to_numpy()
        cells = TrainingCells(cells.values[keep], cells.genes, cells.obs.loc[keep])
        if cells.obs[labels].nunique() < 2:
            raise InputError(
                f"Learning from labels needs at least two cell types in obs[{labels!r}], "
                f"found {list(cells.obs[labels].unique())}. Leave labels out to learn without them."
            )
    if cells.values.shape[0] < _MIN_CELLS:
        raise InputError(f"Training needs at least {_MIN_CELLS} cells, found {cells.values.shape[0]}.")
    return cells


def _split(obs: pd.DataFrame, by: str | None, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    groups = np.arange(len(obs)) if by is None else pd.factorize(_column(obs, by))[0]
    names = rng.permutation(np.unique(groups))
    if len(names) < 2:
        raise InputError(f"Holding out by {by!r} needs at least two values in obs[{by!r}], found {len(names)}.")
    held = np.isin(groups, names[: max(1, round(len(names) / 10))])
    return np.flatnonzero(~held), np.flatnonzero(held)


def _column(obs: pd.DataFrame, name: str) -> pd.Series:
    if name not in obs:
        raise MissingMetadata(f"obs has no column {name!r}; it has {list(obs.columns)[:10]}.")
    return obs[name]
