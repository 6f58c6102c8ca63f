"""SSL-scTab: Lightning checkpoints of self-supervised networks and of the classifiers trained from them.

Networks, keys and preprocessing follow Richter et al., Nature Machine Intelligence 2024
(doi:10.1038/s42256-024-00934-3), and the files that its code writes. Every network is
``Linear, activation, dropout, ..., Linear``, so its linear layers are numbered 0, 3, 6, ...; which network it is, and
so which activation it has, is told from the prefix of its keys.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pandas as pd
from torch import nn

from insignia.core.errors import DuplicateNames, ModelFormatError, UnsafeCheckpoint
from insignia.genes import GeneVocabulary
from insignia.models.checkpoint import need_tensor, read_lines, read_torch
from insignia.models.contract import fingerprint
from insignia.models.mlp import MLPEncoder, affine
from insignia.models.registry import families

__all__ = ["SSLEncoder", "load_ssl_sctab"]

_GENE_FILES: Final = ("var.parquet", "genes.txt", "dataset_genes.txt")
_OTHER_FAMILIES: Final = ("gene_order.tsv", "models.ckpt")


@dataclass(frozen=True)
class _Network:
    """One of the published networks; where a prefix is absent, the next holds the same weights."""

    name: str
    prefixes: tuple[str, ...]
    activation: type[nn.Module]
    embedding: str
    has_head: bool = False


_CONTRASTIVE: Final = ("inner_model", "byol.online_encoder.net", "barlow_twins.backbone", "backbone")
_NETWORKS: Final = (
    _Network("autoencoder", ("encoder",), nn.SELU, "the last layer of the encoder"),
    _Network("classifier", ("classifier",), nn.ReLU, "what the last layer reads, after its ReLU", has_head=True),
    _Network("contrastive", _CONTRASTIVE, nn.SELU, "the last layer of the encoder, before the projector"),
)


@families.add("ssl_sctab", source="doi:10.1038/s42256-024-00934-3")
class _SSLscTab:
    needs = "one *.ckpt and var.parquet, genes.txt or dataset_genes.txt"

    @staticmethod
    def recognises(path: Path) -> bool:
        names = {item.name for item in path.iterdir()}
        has_weights = any(name.endswith(".ckpt") for name in names)
        return has_weights and not names.isdisjoint(_GENE_FILES) and names.isdisjoint(_OTHER_FAMILIES)

    @staticmethod
    def load(path: Path) -> MLPEncoder:
        return load_ssl_sctab(path)


class SSLEncoder(MLPEncoder):
    """A network of SSL-scTab: SELU in the self-supervised ones, ReLU in the classifier, whose head is left out."""

    network: str
    embedding_layer: str

    def describe(self) -> dict[str, Any]:
        """Facts for people, with the kind of network and the layer that is the embedding."""
        return super().describe() | {"network": self.network, "embedding": self.embedding_layer}


def load_ssl_sctab(path: str | Path) -> SSLEncoder:
    """Load a directory with one checkpoint and its genes.

    Genes are read from ``var.parquet`` (Ensembl ids in the index or ``feature_id``, symbols in ``feature_name``), else
    from ``genes.txt`` or ``dataset_genes.txt`` (one Ensembl id a line), in the order of the network's inputs. The
    embedding is the last layer of the encoder; of a classifier, what its last layer reads, after the ReLU.

    Raises
    ------
    ModelFormatError
        A file or tensor is missing, there are several checkpoints, or genes and first layer disagree.
    UnsafeCheckpoint
        The checkpoint holds more than tensors and plain containers.
    """
    path = Path(path)
    source = _only_checkpoint(path)
    state = _read_state(source)
    network, prefix = _recognise(state, source)
    layers = _linear_layers(state, prefix, source)
    if network.has_head:
        layers = layers[:-1]
    genes, listed = _read_genes(path)
    if layers[0].in_features != len(genes):
        raise ModelFormatError(
            f"{source} reads {layers[0].in_features:,} genes, and {listed} lists {len(genes):,}. "
            "Take both files from the same release."
        )
    modules = [part for layer in layers for part in (layer, network.activation())]
    weights = {f"{i}.{name}": value for i, layer in enumerate(layers) for name, value in layer.state_dict().items()}
    encoder = SSLEncoder(
        path.resolve().name,
        genes,
        modules if network.has_head else modules[:-1],
        is_normalised=False,
        fingerprint=fingerprint(weights, genes, f"ssl_sctab:{network.name},align,sum=10000,log1p"),
    )
    encoder.network, encoder.embedding_layer = network.name, network.embedding
    return encoder


def _only_checkpoint(path: Path) -> Path:
    found = sorted(path.glob("*.ckpt")) if path.is_dir() else []
    if len(found) != 1:
        names = [item.name for item in found] or "none"
        raise ModelFormatError(
            f"{path} should hold one checkpoint (*.ckpt), found {names}. Give each its own folder, with its genes."
        )
    return found[0]


def _read_state(source: Path) -> dict[str, Any]:
    try:
        content = read_torch(source)
    except UnsafeCheckpoint as error:
        raise UnsafeCheckpoint(
            f"{error} For a Lightning checkpoint: state = torch.load({source.name!r}, weights_only=False)"
            f"['state_dict']; torch.save({{'state_dict': state}}, {source.name!r})."
        ) from error
    state = content.get("state_dict", content)
    if not isinstance(state, Mapping):
        raise ModelFormatError(f"{source}: state_dict should be a dict of tensors, found {type(state).__name__}.")
    return {str(name): value for name, value in state.items()}


def _recognise(state: dict[str, Any], source: Path) -> tuple[_Network, str]:
    found = []
    for network in _NETWORKS:
        prefixes = [prefix for prefix in network.prefixes if f"{prefix}.0.weight" in state]
        if prefixes:
            found.append((network, prefixes[0]))
    if len(found) != 1:
        known = [f"{prefix}.0.weight" for network in _NETWORKS for prefix in network.prefixes]
        present = [network.name for network, _ in found] or sorted(state)[:6]
        raise ModelFormatError(
            f"{source} should hold one network, with a first layer among {known}; found {present}. "
            "Save the network to be explained by itself."
        )
    return found[0]


def _linear_layers(state: dict[str, Any], prefix: str, source: Path) -> list[nn.Linear]:
    pattern = re.compile(rf"{re.escape(prefix)}\.(\d+)\.\w+$")
    numbers = sorted({int(match.group(1)) for key in state if (match := pattern.match(key))})
    if numbers != list(range(0, 3 * len(numbers), 3)) or len(numbers) < 2:
        raise ModelFormatError(
            f"{source}: {prefix} should have two or more linear layers numbered 0, 3, 6, ..., found {numbers}; "
            "networks with normalisation layers are none of the published ones."
        )
    layers = [_linear(state, f"{prefix}.{number}", source) for number in numbers]
    for before, after in pairwise(layers):
        if before.out_features != after.in_features:
            raise ModelFormatError(
                f"{source}: a layer gives {before.out_features} values, the next reads {after.in_features}."
            )
    return layers


def _linear(state: dict[str, Any], name: str, source: Path) -> nn.Linear:
    weight, bias = (need_tensor(state, f"{name}.{part}", source) for part in ("weight", "bias"))
    if weight.dim() != 2 or bias.shape != weight.shape[:1] or not weight.is_floating_point():
        raise ModelFormatError(
            f"{source}: {name} should be a matrix of floats and a bias of as many rows, found {[*weight.shape]} of "
            f"{weight.dtype} and {[*bias.shape]}."
        )
    return affine(weight, bias)


def _read_genes(path: Path) -> tuple[GeneVocabulary, str]:
    listed = next((name for name in _GENE_FILES if (path / name).is_file()), None)
    if listed is None:
        raise ModelFormatError(f"{path} should hold the network's genes in one of {list(_GENE_FILES)}; found none.")
    if listed == "var.parquet":
        try:
            var = pd.read_parquet(path / listed)
        except Exception as error:
            raise ModelFormatError(f"{path / listed} is not a readable Parquet table ({error}).") from error
        genes = GeneVocabulary.from_var(var)
    else:
        genes = GeneVocabulary.from_names(read_lines(path / listed))
    names = pd.Index(genes.labels if genes.ids is None else genes.ids)
    repeated = names[names.duplicated() & (names != "")]
    if len(repeated):
        raise DuplicateNames(f"{path / listed} lists {len(repeated)} genes twice, e.g. {list(repeated[:3])}.")
    return genes, listed
