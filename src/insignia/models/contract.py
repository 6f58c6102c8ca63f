"""What a single-cell foundation model must do to be attributed.

An encoder maps a cell to an embedding. Attribution moves a *point* along a straight path and differentiates the
embedding with respect to it; what the point is, is the model's business: the values of all genes for a plain network,
the word embeddings of the tokens for a transformer over gene ranks. Everything else that the network reads stays as it
is along the path and is called the *context*.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from insignia.core.errors import InputSpaceError
from insignia.core.files import sha256_array
from insignia.data import Cells
from insignia.genes import GeneVocabulary

__all__ = ["AffineLayer", "Context", "Encoder", "Inputs", "StraightPath", "fingerprint"]

Context = Mapping[str, Tensor]


@dataclass(frozen=True)
class Inputs:
    """A block of cells as a network reads it.

    Parameters
    ----------
    values
        (cells, genes), canonical CSR of float32 in the encoder's gene order: what is interpolated, e.g. log1p of counts
        scaled to 10,000.
    context
        Further tensors with one row a cell, e.g. batch indices.
    """

    values: csr_matrix
    context: dict[str, Tensor] = field(default_factory=dict)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.values.shape[0])

    def rows(self, rows: np.ndarray) -> "Inputs":
        """Take some of the cells."""
        chosen = torch.from_numpy(rows)
        return Inputs(self.values[rows], {name: value[chosen] for name, value in self.context.items()})


@dataclass(frozen=True)
class StraightPath:
    """The straight path from `start` to `end`, (cells, ...) each, and what stays fixed on it."""

    start: Tensor
    end: Tensor
    context: dict[str, Tensor]


@dataclass(frozen=True)
class AffineLayer:
    """A first layer ``h = W x + b``: weight (hidden, genes), bias (hidden,)."""

    weight: Tensor
    bias: Tensor

    @cached_property
    def by_gene(self) -> np.ndarray:
        """The weight gene by gene, (genes, hidden), contiguous; a view if the weight is laid out so."""
        return np.ascontiguousarray(self.weight.numpy().T)


class Encoder(ABC):
    """A model that embeds cells and can be attributed.

    A family of models is one subclass in one file, registered with `families.add`.

    Attributes
    ----------
    name
        What the model is called in tables and provenance.
    genes
        The genes that the model knows, in its order.
    is_normalised
        Whether embeddings have length 1.
    accepts
        The input spaces that `prepare` takes.
    fingerprint
        Hash of weights, gene table and preprocessing; see `fingerprint`.
    module
        The network, in evaluation mode, without gradients on its parameters.
    tail_layers
        The modules that `tail` applies one after the other, if it is that plain: more methods and a faster path then
        apply.
    labels
        What the model classifies cells into, if it does.
    first_layer
        The first layer, if it is affine in the point and the point is `Inputs.values`: attribution is then much faster,
        and exact.
    """

    name: str
    genes: GeneVocabulary
    module: nn.Module
    is_normalised: bool = False
    accepts: frozenset[str] = frozenset({"counts", "log1p"})
    first_layer: AffineLayer | None = None
    tail_layers: tuple[nn.Module, ...] | None = None
    labels: tuple[str, ...] = ()
    fingerprint: str

    @abstractmethod
    def prepare(self, cells: Cells) -> Inputs:
        """Turn cells, whose genes are the model's in the model's order, into what the network reads."""

    @abstractmethod
    def path(self, inputs: Inputs, baseline: Inputs | None) -> StraightPath:
        """Return the path from the baseline (one row, `None`: the model's zero) to each cell."""

    @abstractmethod
    def forward(self, point: Tensor, context: Context) -> Tensor:
        """Embed points, differentiably and before any normalisation: (rows, ...) -> (rows, latent)."""

    @abstractmethod
    def to_genes(self, attribution: Tensor, context: Context) -> Tensor:
        """Sum an attribution of the point, (cells, ...), into genes: (cells, genes)."""

    def tail(self, hidden: Tensor, context: Context) -> Tensor:
        """Do the rest of `forward` after `first_layer`: (rows, hidden) -> (rows, latent)."""
        raise NotImplementedError(f"{self.name} has no affine first layer.")

    def first_bias(self, context: Context) -> Tensor:  # noqa: ARG002 - for encoders with covariates
        """Give the constant of `first_layer`, (hidden,), or (cells, hidden) where it depends on the context."""
        assert self.first_layer is not None
        return self.first_layer.bias

    def embedding(self, raw: Tensor) -> Tensor:
        """Turn what `forward` gives into the embedding: rows of length 1 if the model normalises."""
        return functional.normalize(raw, dim=1) if self.is_normalised else raw

    def classify(self, raw: Tensor) -> Tensor:
        """Turn what `forward` gives into logits: (rows, latent) -> (rows, labels)."""
        raise NotImplementedError(f"{self.name} does not classify cells.")

    @cached_property
    def latent(self) -> int:
        """Length of the embedding."""
        one = Cells(csr_matrix((1, len(self.genes)), dtype=np.float32), "counts", pd.DataFrame(index=["0"]))
        path = self.path(self.prepare(one), None)
        with torch.no_grad():
            return int(self.forward(path.end, path.context).shape[1])

    def check_space(self, space: str) -> None:
        """Refuse cells in an input space that the model cannot use."""
        if space not in self.accepts:
            raise InputSpaceError(
                f"{self.name} needs {' or '.join(sorted(self.accepts))}, and the data are {space}. "
                "Pass layer= with the layer that holds raw counts."
            )

    @torch.no_grad()
    def embed(self, cells: Cells) -> np.ndarray:
        """Embed cells whose genes are the model's: (cells, latent), float32."""
        self.check_space(cells.space)
        path = self.path(self.prepare(cells), None)
        return np.asarray(self.embedding(self.forward(path.end, path.context)).float().cpu().numpy())

    def describe(self) -> dict[str, Any]:
        """Facts for people and `--json`."""
        sizes = [int(p.numel()) for p in self.module.parameters()]
        return {
            "name": self.name,
            "family": type(self).__name__,
            "genes": len(self.genes),
            "organism": self.genes.organism,
            "parameters": sum(sizes),
            "normalised": self.is_normalised,
            "accepts": sorted(self.accepts),
            "fast_path": self.first_layer is not None,
            "fingerprint": self.fingerprint,
        }


def fingerprint(weights: Mapping[str, Tensor], genes: GeneVocabulary, preprocessing: str) -> str:
    """Hash of weights, gene table and preprocessing: equal fingerprints give equal embeddings."""
    digest = hashlib.sha256(f"{preprocessing}|{genes.sha256}".encode())
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name}:{sha256_array(tensor.detach().cpu().numpy())}|".encode())
    return digest.hexdigest()
