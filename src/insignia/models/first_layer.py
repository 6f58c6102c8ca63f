"""Products of sparse cells with an affine first layer: compiled loops on the CPU, dense blocks on an accelerator.

Cells stay sparse on the host. What goes to a device are the non-zeros of a block, once, and what comes back are the
same places of a gradient.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from insignia.core.device import room

__all__ = ["AffineLayer", "HeldRows", "runs_compiled"]


def runs_compiled(values: Tensor) -> bool:
    """Whether compiled loops work on a tensor: they are for float32 on the CPU."""
    return values.device.type == "cpu" and values.dtype == torch.float32


@dataclass(frozen=True)
class AffineLayer:
    """A first layer ``h = W x + b``: weight (hidden, genes), bias (hidden,)."""

    weight: Tensor
    bias: Tensor

    @property
    def by_gene(self) -> np.ndarray:
        """The weight gene by gene, (genes, hidden), contiguous; a view if the weight is laid out so."""
        return np.ascontiguousarray(self.weight.numpy().T)

    def rows(self, values: csr_matrix) -> "HeldRows":
        """Hold sparse cells, (cells, genes) CSR float32, for products with this layer."""
        return _CompiledRows(self, values) if runs_compiled(self.weight) else _DenseRows(self, values)


class HeldRows(ABC):
    """Sparse cells where a first layer can multiply them.

    Attributes
    ----------
    data
        (non-zeros,) their values, on the layer's device and in its precision.
    """

    data: Tensor

    @abstractmethod
    def project(self, data: Tensor | None = None) -> Tensor:
        """Return ``W x``, (cells, hidden), of these values or of others at the same places."""

    @abstractmethod
    def back(self, gradient: Tensor) -> Tensor:
        """Return ``gradient @ W``, (cells, hidden) -> one value for each non-zero, (non-zeros,)."""


class _CompiledRows(HeldRows):
    """Sparse times dense, blocked so that a block of the layer stays in the processor's cache."""

    def __init__(self, layer: AffineLayer, values: csr_matrix) -> None:
        self._by_gene, self._values = layer.by_gene, values
        self.data = torch.from_numpy(values.data)

    def project(self, data: Tensor | None = None) -> Tensor:
        from insignia.models import sparse_products

        given = self.data if data is None else data
        return torch.from_numpy(sparse_products.project(given.numpy(), self._values, self._by_gene))

    def back(self, gradient: Tensor) -> Tensor:
        from insignia.models import sparse_products

        return torch.from_numpy(sparse_products.sample_back(gradient.numpy(), self._by_gene, self._values))


class _DenseRows(HeldRows):
    """Dense blocks that are made on the device, as many cells at a time as its memory takes."""

    def __init__(self, layer: AffineLayer, values: csr_matrix) -> None:
        self._weight, self._shape, self._indptr = layer.weight, values.shape, values.indptr
        device, dtype = layer.weight.device, layer.weight.dtype
        self.data = torch.from_numpy(values.data).to(device, dtype)
        self._columns = torch.from_numpy(values.indices.astype(np.int32, copy=False)).to(device)
        self._lengths = torch.from_numpy(np.diff(values.indptr).astype(np.int64)).to(device)
        self._size = max(1, room(device, dtype) // (2 * max(1, values.shape[1])))

    def project(self, data: Tensor | None = None) -> Tensor:
        given = self.data if data is None else data
        out = self._weight.new_empty(self._shape[0], len(self._weight))
        for cells, stored in self._blocks():
            places = self._places(cells, stored)
            dense = self._weight.new_zeros(cells.stop - cells.start, self._shape[1])
            dense.view(-1)[places] = given[stored]
            out[cells] = dense @ self._weight.T
        return out

    def back(self, gradient: Tensor) -> Tensor:
        out = torch.empty_like(self.data)
        for cells, stored in self._blocks():
            out[stored] = (gradient[cells] @ self._weight).view(-1)[self._places(cells, stored)]
        return out

    def _blocks(self) -> list[tuple[slice, slice]]:
        """Cells that are multiplied together, and where their non-zeros are."""
        starts = range(0, self._shape[0], self._size)
        cells = [slice(start, min(start + self._size, self._shape[0])) for start in starts]
        return [(here, slice(int(self._indptr[here.start]), int(self._indptr[here.stop]))) for here in cells]

    def _places(self, cells: slice, stored: slice) -> Tensor:
        """Places of the non-zeros in a dense block of some cells, row after row."""
        lengths = self._lengths[cells]
        number = torch.arange(len(lengths), device=lengths.device)
        rows = number.repeat_interleave(lengths, output_size=stored.stop - stored.start)
        places: Tensor = rows * self._shape[1] + self._columns[stored]
        return places
