"""Cells as a network reads them, and the path along which it is followed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

__all__ = ["Context", "Inputs", "StraightPath"]

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
        return Inputs(self.values[rows], {name: value[chosen.to(value.device)] for name, value in self.context.items()})

    def groups(self, size: int) -> Iterator[np.ndarray]:
        """Divide the cells into groups of at most `size`, those with few genes first: little is lost to padding."""
        order = np.argsort(np.diff(self.values.indptr), kind="stable")
        yield from (order[first : first + size] for first in range(0, len(order), size))

    def to(self, device: torch.device, dtype: torch.dtype) -> "Inputs":
        """Bring the context to a device, its floats to a precision; values stay sparse on the host."""
        moved = {
            name: value.to(device, dtype) if value.is_floating_point() else value.to(device)
            for name, value in self.context.items()
        }
        return Inputs(self.values, moved)


@dataclass(frozen=True)
class StraightPath:
    """The straight path from `start` to `end`, (cells, ...) each, and what stays fixed on it."""

    start: Tensor
    end: Tensor
    context: dict[str, Tensor]
