"""SCimilarity: directories in its published layout, read and written.

Layout, sizes and preprocessing follow Heimberg et al., Nature 2025 (doi:10.1038/s41586-024-08411-y) and the files that
its package writes. Sizes come from the weights, and layers are ordered by their number.
"""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from insignia.core.errors import DuplicateNames, ModelFormatError
from insignia.core.files import atomic_folder
from insignia.genes import GeneVocabulary
from insignia.models.checkpoint import read_json, read_lines, read_state
from insignia.models.contract import fingerprint
from insignia.models.mlp import MLPEncoder, fold_batch_norm
from insignia.models.registry import families
from insignia.models.weights import Weights

__all__ = ["SCimilarityDecoder", "SCimilarityNetwork", "encoder_from_network", "load_scimilarity", "save_scimilarity"]

_EPS = 1e-5
_PREPROCESSING = "scimilarity:align,sum=10000,log1p,l2"
_NORM = ("weight", "bias", "running_mean", "running_var")


class SCimilarityNetwork(nn.Module):
    """The encoder network: (dropout, linear, batch norm, PReLU) per hidden layer, linear, length 1."""

    def __init__(
        self, n_genes: int, hidden: Sequence[int], latent: int, *, dropout: float = 0.5, input_dropout: float = 0.4
    ) -> None:
        super().__init__()
        self.network = nn.ModuleList()
        for i, (size_in, size_out) in enumerate(pairwise([n_genes, *hidden])):
            drop = nn.Dropout(dropout if i else input_dropout)
            self.network.append(nn.Sequential(drop, nn.Linear(size_in, size_out), nn.BatchNorm1d(size_out), nn.PReLU()))
        self.network.append(nn.Linear(hidden[-1], latent))

    def forward(self, x: Tensor) -> Tensor:
        """Embed values: (cells, genes) -> (cells, latent), rows of length 1."""
        for layer in self.network:
            x = layer(x)
        return functional.normalize(x, dim=1)


class SCimilarityDecoder(nn.Module):
    """The decoder network, used in training only: it mirrors the encoder."""

    def __init__(self, n_genes: int, hidden: Sequence[int], latent: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        sizes = list(reversed(hidden))
        first = nn.Sequential(nn.Linear(latent, sizes[0]), nn.BatchNorm1d(sizes[0]), nn.PReLU())
        self.network = nn.ModuleList([first])
        for size_in, size_out in pairwise(sizes):
            self.network.append(
                nn.Sequential(nn.Dropout(dropout), nn.Linear(size_in, size_out), nn.BatchNorm1d(size_out), nn.PReLU())
            )
        self.network.append(nn.Linear(sizes[-1], n_genes))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct values: (cells, latent) -> (cells, genes)."""
        for layer in self.network:
            x = layer(x)
        return x


@families.add("scimilarity", source="doi:10.1038/s41586-024-08411-y")
class _SCimilarity:
    needs = "encoder.ckpt and gene_order.tsv"

    @staticmethod
    def recognises(path: Path) -> bool:
        return (path / "encoder.ckpt").is_file() and (path / "gene_order.tsv").is_file()

    @staticmethod
    def load(path: Path) -> MLPEncoder:
        return load_scimilarity(path)


def load_scimilarity(path: str | Path) -> MLPEncoder:
    """Load an SCimilarity directory; only `encoder.ckpt` and `gene_order.tsv` are needed.

    Raises
    ------
    ModelFormatError
        A file or tensor is missing, or the gene table and the first layer disagree.
    """
    path = Path(path)
    source = path / "encoder.ckpt"
    state = read_state(source)
    genes = _read_genes(path)
    layers = _layers(state, source)
    if layers[0].in_features != len(genes):
        raise ModelFormatError(
            f"{source} reads {layers[0].in_features:,} genes, and gene_order.tsv lists {len(genes):,}. "
            "Take both files from the same release."
        )
    return _encoder(path.resolve().name, genes, layers, state)


def encoder_from_network(name: str, genes: GeneVocabulary, network: SCimilarityNetwork) -> MLPEncoder:
    """Return a network in memory as an encoder, equal to saving and loading it."""
    state = network.state_dict()
    return _encoder(name, genes, _layers(state, Path(name)), state)


def save_scimilarity(
    path: str | Path,
    *,
    genes: GeneVocabulary,
    encoder: SCimilarityNetwork,
    decoder: SCimilarityDecoder,
    labels: Sequence[str],
    hyperparameters: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> None:
    """Write a directory in the SCimilarity layout, whole or not at all.

    Parameters
    ----------
    path
        A folder that does not exist yet, or is empty.
    genes
        One per column of the first layer.
    encoder, decoder
        The networks.
    labels
        Cell types, in the order of their integers.
    hyperparameters, metadata
        Written as JSON.
    """
    with atomic_folder(path) as folder:
        state = encoder.state_dict()
        torch.save({"state_dict": state}, folder / "encoder.ckpt")
        torch.save({"state_dict": decoder.state_dict()}, folder / "decoder.ckpt")
        (folder / "gene_order.tsv").write_text("\n".join(genes.labels))
        pd.Series(list(labels), name="0").to_csv(folder / "label_ints.csv")
        sizes = {key: list(tensor.shape) for key, tensor in state.items()}
        for name, content in (("layer_sizes", sizes), ("hyperparameters", hyperparameters), ("metadata", metadata)):
            (folder / f"{name}.json").write_text(json.dumps(dict(content), indent=2))


def _encoder(name: str, genes: GeneVocabulary, linear: list[nn.Linear], state: Mapping[str, Tensor]) -> MLPEncoder:
    layers: list[nn.Module] = []
    for i, layer in enumerate(linear[:-1]):
        activation = nn.PReLU(1)
        activation.weight = nn.Parameter(state[f"network.{i}.3.weight"].detach().clone())
        layers += [layer, activation]
    weights = {key: tensor for key, tensor in state.items() if isinstance(tensor, Tensor)}
    weights = {key: tensor for key, tensor in weights.items() if not key.endswith("num_batches_tracked")}
    return MLPEncoder(
        name, genes, [*layers, linear[-1]], is_normalised=True, fingerprint=fingerprint(weights, genes, _PREPROCESSING)
    )


def _layers(state: Mapping[str, Any], source: Path) -> list[nn.Linear]:
    weights = Weights(state, source)
    numbers = {int(found.group(1)) for key in state if (found := re.match(r"network\.(\d+)\.1\.weight$", key))}
    if not numbers or numbers != set(range(len(numbers))):
        raise ModelFormatError(
            f"{source} should hold layers network.0.1.weight, network.1.1.weight, ...; found {sorted(state)[:6]}."
        )
    layers = []
    for i in range(len(numbers)):
        weights.tensor(f"network.{i}.3.weight", 1)
        weight = weights.tensor(f"network.{i}.1.weight", -1, -1)
        bias = weights.tensor(f"network.{i}.1.bias", len(weight))
        norm = {name: weights.tensor(f"network.{i}.2.{name}", len(weight)) for name in _NORM}
        layers.append(fold_batch_norm(weight, bias, norm, _EPS))
    layers.append(weights.linear(f"network.{len(numbers)}", -1, -1))
    for before, after in pairwise(layers):
        if before.out_features != after.in_features:
            raise ModelFormatError(
                f"{source}: a layer gives {before.out_features} values, the next reads {after.in_features}."
            )
    return layers


def _read_genes(path: Path) -> GeneVocabulary:
    names = read_lines(path / "gene_order.tsv")
    repeated = pd.Index(names)[pd.Index(names).duplicated()]
    if len(repeated):
        raise DuplicateNames(f"{path / 'gene_order.tsv'} lists {len(repeated)} genes twice, e.g. {list(repeated[:3])}.")
    metadata = read_json(path / "metadata.json") if (path / "metadata.json").is_file() else {}
    return GeneVocabulary.from_names(names, organism=str(metadata.get("organism", "human")))
