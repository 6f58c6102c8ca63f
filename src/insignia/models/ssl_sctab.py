"""SSL-scTab: Lightning checkpoints of self-supervised networks and of the classifiers trained from them.

Networks, keys and preprocessing follow Richter et al., Nature Machine Intelligence 2024
(doi:10.1038/s42256-024-00934-3), and the files that its code writes. Every network is
``Linear, activation, dropout, ..., Linear``, so its linear layers are numbered 0, 3, 6, ...; which network it is, and
so which activation it has, is told from the prefix of its keys.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from torch import nn

from insignia.core.errors import ModelFormatError
from insignia.models.checkpoint import need_tensor
from insignia.models.contract import fingerprint
from insignia.models.mlp import MLPEncoder, affine
from insignia.models.registry import families
from insignia.models.ssl_files import GENE_FILES, find_checkpoint, name_logits, read_genes, read_state

__all__ = ["SSLEncoder", "load_ssl_sctab"]

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
        return has_weights and not names.isdisjoint(GENE_FILES) and names.isdisjoint(_OTHER_FAMILIES)

    @staticmethod
    def load(path: Path) -> MLPEncoder:
        return load_ssl_sctab(path)


class SSLEncoder(MLPEncoder):
    """A network of SSL-scTab: SELU in the self-supervised ones, ReLU in the classifier, whose head gives its logits."""

    network: str
    embedding_layer: str

    def describe(self) -> dict[str, Any]:
        """Facts for people, with the kind of network, the layer that is the embedding, and the labels."""
        facts = {"network": self.network, "embedding": self.embedding_layer, "labels": list(self.labels)}
        return super().describe() | facts


def load_ssl_sctab(path: str | Path, *, labels: Sequence[str] | None = None) -> SSLEncoder:
    """Load a directory with one checkpoint and its genes.

    Genes are read from ``var.parquet`` (Ensembl ids in the index or ``feature_id``, symbols in ``feature_name``), else
    from ``genes.txt`` or ``dataset_genes.txt`` (one Ensembl id a line), in the order of the network's inputs. The
    embedding is the last layer of the encoder; of a classifier, what its last layer reads, after the ReLU.

    Parameters
    ----------
    path
        The directory.
    labels
        Names of a classifier's logits, in order. `None` reads them from ``labels.txt``, one a line, or ``labels.json``,
        ``["B cell", ...]`` or ``{"0": "B cell", ...}``; checkpoints hold none, and without such a file logits are
        called by their numbers, ``"0"``, ``"1"``, ...

    Raises
    ------
    ModelFormatError
        A file or tensor is missing, there are several checkpoints, or genes, labels and layers disagree.
    UnsafeCheckpoint
        The weights are no plain tensors. Other objects in the file, such as hyperparameters, are left alone.
    InputError
        Labels are given for a network that does not classify.
    """
    path = Path(path)
    source = find_checkpoint(path)
    state = read_state(source)
    network, prefix = _recognise(state, source)
    layers = _linear_layers(state, prefix, source)
    head = layers.pop() if network.has_head else None
    names = name_logits(path, labels, head)
    genes, listed = read_genes(path)
    if layers[0].in_features != len(genes):
        raise ModelFormatError(
            f"{source} reads {layers[0].in_features:,} genes, and {listed} lists {len(genes):,}. "
            "Take both files from the same release."
        )
    modules = [part for layer in layers for part in (layer, network.activation())]
    read = [*layers, head] if head is not None else layers
    weights = {f"{i}.{name}": value for i, layer in enumerate(read) for name, value in layer.state_dict().items()}
    encoder = SSLEncoder(
        path.resolve().name,
        genes,
        modules if network.has_head else modules[:-1],
        is_normalised=False,
        fingerprint=fingerprint(weights, genes, f"ssl_sctab:{network.name},align,sum=10000,log1p"),
        classifier=head,
        labels=names,
    )
    encoder.network, encoder.embedding_layer = network.name, network.embedding
    return encoder


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
