"""Encoders that are plain networks of affine layers and activations, SCimilarity and PCA among them."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from insignia.data import Cells
from insignia.genes import GeneVocabulary
from insignia.models.contract import Context, Encoder, Inputs, StraightPath
from insignia.models.first_layer import AffineLayer
from insignia.models.gene_transform import LOG1P, GeneTransform
from insignia.models.preprocessing import log_normalise

__all__ = ["MLPEncoder", "fold_batch_norm"]


class MLPEncoder(Encoder):
    """Affine layers with activations between them on log1p of counts scaled to 10,000, optionally normalised.

    Parameters
    ----------
    name
        What the model is called.
    genes
        Its genes, one per column of the first layer.
    layers
        ``Linear, activation, Linear, ..., Linear``; batch norms folded into the linear layers.
    is_normalised
        Whether the embedding is scaled to length 1.
    fingerprint
        Hash of the weights as published, before folding.
    classifier
        From embedding to logits, if the model classifies cells.
    labels
        What the logits stand for.
    """

    module: nn.Sequential
    transform: GeneTransform | None = LOG1P

    def __init__(
        self,
        name: str,
        genes: GeneVocabulary,
        layers: Sequence[nn.Module],
        *,
        is_normalised: bool,
        fingerprint: str,
        classifier: nn.Module | None = None,
        labels: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.genes = genes
        self.is_normalised = is_normalised
        self.fingerprint = fingerprint
        self.labels = tuple(labels)
        self._classifier = None if classifier is None else classifier.eval().requires_grad_(False)
        self.module = nn.Sequential(*layers).eval().requires_grad_(False)
        first = self.module[0]
        assert isinstance(first, nn.Linear)
        assert first.in_features == len(genes)
        # gene by gene in memory, as the sparse products of the fast path read it
        first.weight.data = first.weight.data.T.contiguous().T
        self.first_layer = AffineLayer(first.weight, first.bias)
        self.tail_layers = tuple(self.module)[1:]

    @cached_property
    def latent(self) -> int:
        """Length of the embedding."""
        return [layer.out_features for layer in self.module if isinstance(layer, nn.Linear)][-1]

    def prepare(self, cells: Cells) -> Inputs:
        """Scale each cell to 10,000 over the model's genes and take log1p."""
        return Inputs(log_normalise(cells))

    def path(self, inputs: Inputs, baseline: Inputs | None) -> StraightPath:
        """Move the values of all genes."""
        end = self.dense(inputs)
        start = torch.zeros_like(end) if baseline is None else self.dense(baseline).expand_as(end)
        return StraightPath(start, end, inputs.context)

    def forward(self, point: Tensor, context: Context) -> Tensor:
        """Embed values: (rows, genes) -> (rows, latent)."""
        return self.tail(self.module[0](point), context)

    def tail(self, hidden: Tensor, context: Context) -> Tensor:  # noqa: ARG002 - part of the contract
        """Do the rest of the network after the first affine layer: (rows, hidden) -> (rows, latent)."""
        for layer in self.tail_layers or ():
            hidden = layer(hidden)
        return hidden

    def to_genes(self, attribution: Tensor, context: Context) -> Tensor:  # noqa: ARG002 - part of the contract
        """Return the attribution: the point is the genes."""
        return attribution

    def classify(self, raw: Tensor) -> Tensor:
        """Turn embeddings into logits: (rows, latent) -> (rows, labels)."""
        if self._classifier is None:
            return super().classify(raw)
        logits: Tensor = self._classifier(raw)
        return logits


def fold_batch_norm(weight: Tensor, bias: Tensor, norm: dict[str, Tensor], eps: float) -> nn.Linear:
    """Return ``norm(W x + b)`` in evaluation mode as one affine layer.

    `norm` holds `weight`, `bias`, `running_mean` and `running_var`, (hidden,) each.
    """
    scale = norm["weight"] / torch.sqrt(norm["running_var"] + eps)
    return affine(weight * scale[:, None], (bias - norm["running_mean"]) * scale + norm["bias"])


def affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    """Return a linear layer with these weights: (out, in) and (out,)."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    layer.bias = nn.Parameter(bias.contiguous(), requires_grad=False)
    return layer
