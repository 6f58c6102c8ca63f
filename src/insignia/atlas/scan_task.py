"""The scan of one segment as a task for another process or machine, which sees the atlas under the same path."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from insignia.atlas.layout import BLOCK, n_blocks
from insignia.atlas.manifest import SegmentEntry
from insignia.atlas.segment import PanelRange, Segment

__all__ = ["ScanTask"]


@dataclass(frozen=True, eq=False)
class ScanTask:
    """Adds up genes over some blocks of numbered segments, in the order in which one process would.

    Attributes
    ----------
    positions, weights
        Genes and their weights; see `insignia.atlas.scan.scan`.
    entries, blocks
        The segments that are needed, and which blocks of each.
    """

    atlas: Path
    n_genes: int
    positions: np.ndarray
    weights: np.ndarray
    entries: tuple[SegmentEntry, ...]
    blocks: tuple[list[int], ...]

    def __call__(self, number: int) -> tuple[int, np.ndarray, tuple[PanelRange, ...], np.ndarray]:
        """Return the number of the segment, its sums, its ranges, and which genes each measured."""
        entry = self.entries[number]
        segment = Segment.open(self.atlas, entry, self.n_genes)
        sums = np.zeros(n_blocks(entry.cells) * BLOCK, dtype=np.float32)
        for block in self.blocks[number]:
            out = sums[block * BLOCK : (block + 1) * BLOCK]
            if not segment.stored.add_genes(block, self.positions, self.weights, out):
                raise segment.damaged("offsets.npy points outside the values")
        return number, sums, segment.ranges, segment.measured[:, self.positions]
