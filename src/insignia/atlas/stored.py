"""The values of an open segment, in either encoding: summed in place, or handed out gene by gene."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from insignia.atlas import compact, kernels

__all__ = ["CompactValues", "FastValues", "Runs", "StoredValues"]


@dataclass(frozen=True, eq=False)
class Runs:
    """Values of some neighbouring genes, as the fast encoding holds them.

    Attributes
    ----------
    cells, values
        Cell within its block, uint16, and attribution as the bits of a float16, gene-major, (values,).
    offsets
        Where each (gene, block) starts in the two, int64, (genes, blocks + 1).
    """

    cells: np.ndarray
    values: np.ndarray
    offsets: np.ndarray


class StoredValues(Protocol):
    """What a reader asks of stored values, whatever their encoding.

    Attributes
    ----------
    offsets
        Where each (gene, block) starts in what is stored, int64, (genes, blocks + 1).
    """

    @property
    def offsets(self) -> np.ndarray:
        """Where runs start."""

    def add_genes(self, block: int, positions: np.ndarray, weights: np.ndarray, out: np.ndarray) -> bool:
        """Add weight x value of some genes in one block into `out`, float32 (65536,); False if offsets are wrong."""

    def genes(self, start: int, stop: int) -> Runs | None:
        """Values of genes `start` to before `stop`, or None if offsets are wrong."""


@dataclass(frozen=True, eq=False)
class FastValues:
    """Cell numbers and float16 in two arrays: what is read is what is added."""

    cells: np.ndarray
    values: np.ndarray
    offsets: np.ndarray

    def add_genes(self, block: int, positions: np.ndarray, weights: np.ndarray, out: np.ndarray) -> bool:
        """Add genes into sums; see `StoredValues`."""
        arrays = (self.cells, self.values, kernels.FLOAT_OF_HALF, out)
        return bool(kernels.add_genes(self.offsets, block, positions, weights, *arrays))

    def genes(self, start: int, stop: int) -> Runs | None:
        """Give values of neighbouring genes, without a copy; see `StoredValues`."""
        offsets = self.offsets[start:stop]
        if not _fit(offsets, self.cells.size):
            return None
        here = slice(offsets[0, 0], offsets[-1, -1])
        return Runs(self.cells[here], self.values[here], offsets - offsets[0, 0])


@dataclass(frozen=True, eq=False)
class CompactValues:
    """One array of entries; see `insignia.atlas.compact`."""

    entries: np.ndarray
    offsets: np.ndarray

    def add_genes(self, block: int, positions: np.ndarray, weights: np.ndarray, out: np.ndarray) -> bool:
        """Add genes into sums; see `StoredValues`."""
        arrays = (self.entries, kernels.FLOAT_OF_HALF, out)
        return bool(compact.add_entries(self.offsets, block, positions, weights, *arrays))

    def genes(self, start: int, stop: int) -> Runs | None:
        """Decode values of neighbouring genes; see `StoredValues`."""
        offsets = self.offsets[start:stop]
        if not _fit(offsets, self.entries.size):
            return None
        first, last = int(offsets[0, 0]), int(offsets[-1, -1])
        cells, values = np.empty(last - first, dtype=np.uint16), np.empty(last - first, dtype=np.uint16)
        bounds = np.append(offsets[:, :-1].ravel(), last) - first
        ends = compact.decode_entries(bounds, self.entries[first:last], cells, values)
        n_genes, n_edges = offsets.shape
        decoded = np.empty((n_genes, n_edges), dtype=np.int64)
        decoded[:, :-1] = ends[:-1].reshape(n_genes, n_edges - 1)
        decoded[:, -1] = ends[n_edges - 1 :: n_edges - 1]
        return Runs(cells[: ends[-1]], values[: ends[-1]], decoded)


def _fit(offsets: np.ndarray, size: int) -> bool:
    """Tell whether offsets of neighbouring genes ascend, join, and stay within `size` values."""
    ascend = offsets[0, 0] >= 0 and offsets[-1, -1] <= size and bool((np.diff(offsets, axis=1) >= 0).all())
    return ascend and bool((offsets[1:, 0] == offsets[:-1, -1]).all())
