"""What a single-cell foundation model must do to be attributed.

An encoder maps a cell to an embedding. Attribution moves a *point* along a straight path and differentiates the
embedding with respect to it; what the point is, is the model's business: the values of all genes for a plain network,
the word embeddings of the tokens for a transformer over gene ranks. Everything else that the network reads stays as it
is along the path and is called the *context*.
"""

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from insignia.core.errors import InputError, InputSpaceError
from insignia.core.files import sha256_array
from insignia.data import Cells
from insignia.genes import GeneVocabulary
from insignia.models.first_layer import AffineLayer
from insignia.models.gene_transform import GeneTransform
from insignia.models.inputs import Context, Inputs, StraightPath
from insignia.models.memory import rows_per_pass

__all__ = ["AffineLayer", "Context", "Encoder", "Inputs", "Precision", "StraightPath", "fingerprint"]

Precision = Literal["float32", "float64", "bf16"]


class Encoder(ABC):
    """A model that embeds cells and can be attributed.

    A family of models is one subclass in one file, registered with `families.add`. All its tensors are attributes, or
    in attributes that are modules, so that `to` finds them.

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
    transform
        The element-wise function that gave the values of the point, if there is one, such as log1p of counts.
    reads_expressed_genes
        Whether the network reads a cell as the list of its expressed genes, so that genes which the data do not
        measure are not missed.
    device, precision
        Where the encoder computes, and how; see `to`.
    """

    name: str
    genes: GeneVocabulary
    module: nn.Module
    is_normalised: bool = False
    accepts: frozenset[str] = frozenset({"counts", "log1p"})
    first_layer: AffineLayer | None = None
    tail_layers: tuple[nn.Module, ...] | None = None
    labels: tuple[str, ...] = ()
    transform: GeneTransform | None = None
    reads_expressed_genes: bool = False
    fingerprint: str
    device: torch.device = torch.device("cpu")
    precision: Precision = "float32"

    @abstractmethod
    def prepare(self, cells: Cells) -> Inputs:
        """Turn cells, whose genes are the model's in the model's order, into what the network reads, on the host."""

    @abstractmethod
    def path(self, inputs: Inputs, baseline: Inputs | None) -> StraightPath:
        """Return the path from the baseline (one row, `None`: the model's zero) to each cell, on the device."""

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
        path = self.path(self.inputs(one), None)
        with torch.no_grad():
            return int(self.forward(path.end, path.context).shape[1])

    def check_space(self, space: str) -> None:
        """Refuse cells in an input space that the model cannot use."""
        if space not in self.accepts:
            raise InputSpaceError(
                f"{self.name} needs {' or '.join(sorted(self.accepts))}, and the data are {space}. "
                "Pass layer= with the layer that holds raw counts."
            )

    @property
    def dtype(self) -> torch.dtype:
        """Precision of tensors; of ``"bf16"`` it is float32, and products of the network are made in bfloat16."""
        return torch.float64 if self.precision == "float64" else torch.float32

    def to(self, device: torch.device, precision: Precision = "float32") -> Self:
        """Return the encoder on a device and in a precision; this one stays where it is.

        Raises
        ------
        InputError
            The device does not have the precision.
        """
        if precision == "float64" and device.type == "mps":
            raise InputError("MPS devices have no float64. Use precision='float32', or device='cpu'.")
        twin = copy.copy(self)
        twin.device, twin.precision = device, precision
        memo: dict[int, Any] = {id(tensor): _moved(tensor, twin) for tensor in _tensors(self)}
        for name, value in vars(self).items():
            if isinstance(value, Tensor | nn.Module | AffineLayer | tuple):
                setattr(twin, name, copy.deepcopy(value, memo))
        return twin

    def dense(self, inputs: Inputs) -> Tensor:
        """Make the values of cells dense on the encoder's device: (cells, genes)."""
        return torch.from_numpy(inputs.values.toarray()).to(self.device, self.dtype)

    def inputs(self, cells: Cells) -> Inputs:
        """Prepare cells, and bring what the network reads beside the point to its device."""
        return self.prepare(cells).to(self.device, self.dtype)

    def points_per_pass(self, inputs: Inputs, max_values: int | None = None) -> int:
        """Return how many points a pass through `forward` may hold, measured on the cell with most genes.

        `max_values` bounds the numbers that a pass keeps; `None` takes what the device has room for.
        """
        longest = np.diff(inputs.values.indptr).argmax()
        path = self.path(inputs.rows(np.array([longest])), None)
        return rows_per_pass(self.forward, path.end, path.context, held=self.module, max_values=max_values)

    @torch.no_grad()
    def embed(self, cells: Cells) -> np.ndarray:
        """Embed cells whose genes are the model's: (cells, latent), float32."""
        self.check_space(cells.space)
        inputs = self.inputs(cells)
        if self.first_layer is not None:
            hidden = self.first_layer.rows(inputs.values).project() + self.first_bias(inputs.context)
            return self._on_host(self.tail(hidden, inputs.context))
        out: np.ndarray = np.empty((inputs.n_cells, self.latent), dtype=np.float32)
        for rows in inputs.groups(self.points_per_pass(inputs)):
            path = self.path(inputs.rows(rows), None)
            out[rows] = self._on_host(self.forward(path.end, path.context))
        return out

    def _on_host(self, raw: Tensor) -> np.ndarray:
        return np.asarray(self.embedding(raw).float().cpu().numpy())

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


def _tensors(encoder: Encoder) -> Iterator[Tensor]:
    for value in vars(encoder).values():
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, nn.Module):
            yield from (*value.parameters(), *value.buffers())
        elif isinstance(value, AffineLayer):
            yield from (value.weight, value.bias)


def _moved(tensor: Tensor, encoder: Encoder) -> Tensor:
    """Bring a tensor to the place of an encoder; one that is there already is shared."""
    dtype = encoder.dtype if tensor.is_floating_point() else tensor.dtype
    moved = tensor.detach().to(encoder.device, dtype)
    return nn.Parameter(moved, requires_grad=False) if isinstance(tensor, nn.Parameter) else moved
