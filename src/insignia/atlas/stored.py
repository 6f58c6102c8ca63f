"""The values of an open segment, in either encoding: summed in place, or handed out gene by gene."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from insignia.atlas import compact, kernels

__all__ = ["CompactValues", "FastValues", "Runs", "StoredValues", "by_gene"]


@dataclass(frozen=True, eq=False)
class Runs:
    """Values of some genes, in the form of the fast encoding.

    Attributes
    ----------
    cells, values
        Cell within its block, uint16, and attribution as the bits of a float16, gene-major, (values,).
    offsets
        Where each (gene, block) starts in the two, int64, (genes asked for, blocks + 1); the last column ends a gene.
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

    def genes(self, positions: np.ndarray) -> Runs | None:
        """Values of some genes, or None if offsets are wrong; ask for few at a time, as they may be decoded."""


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

    def genes(self, positions: np.ndarray) -> Runs | None:
        """Give values of some genes, without a copy; see `StoredValues`."""
        offsets = self.offsets[positions]
        return Runs(self.cells, self.values, offsets) if _fit(offsets, self.cells.size) else None


@dataclass(frozen=True, eq=False)
class CompactValues:
    """One array of entries; see `insignia.atlas.compact`."""

    entries: np.ndarray
    offsets: np.ndarray

    def add_genes(self, block: int, positions: np.ndarray, weights: np.ndarray, out: np.ndarray) -> bool:
        """Add genes into sums; see `StoredValues`."""
        arrays = (self.entries, kernels.FLOAT_OF_HALF, out)
        return bool(compact.add_entries(self.offsets, block, positions, weights, *arrays))

    def genes(self, positions: np.ndarray) -> Runs | None:
        """Decode values of some genes; see `StoredValues`."""
        offsets = self.offsets[positions]
        if not _fit(offsets, self.entries.size):
            return None
        size = int((offsets[:, -1] - offsets[:, 0]).sum())
        cells, values = np.empty(size, dtype=np.uint16), np.empty(size, dtype=np.uint16)
        starts, stops = offsets[:, :-1].ravel(), offsets[:, 1:].ravel()
        ends = compact.decode_entries(starts, stops, self.entries, cells, values)
        return Runs(cells[: ends[-1]], values[: ends[-1]], by_gene(ends, offsets.shape))


def by_gene(ends: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bring the ends of runs that follow each other into the form of offsets, (genes, blocks + 1)."""
    n_genes, n_edges = shape
    offsets = np.empty(shape, dtype=np.int64)
    offsets[:, :-1] = ends[:-1].reshape(n_genes, n_edges - 1)
    offsets[:, -1] = ends[n_edges - 1 :: n_edges - 1]
    return offsets


def _fit(offsets: np.ndarray, size: int) -> bool:
    """Tell whether the offsets of each gene ascend and stay within `size` values."""
    return bool((offsets[:, 0] >= 0).all() and (np.diff(offsets, axis=1) >= 0).all() and (offsets[:, -1] <= size).all())
