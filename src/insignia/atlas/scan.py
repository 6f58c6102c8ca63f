"""The scan of a search: weighted sums over genes, for every cell of the blocks that are needed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from insignia.atlas.layout import BLOCK, n_blocks
from insignia.atlas.scan_task import ScanTask
from insignia.atlas.segment import PanelRange
from insignia.atlas.snapshot import Snapshot
from insignia.core.executors import run_tasks
from insignia.core.settings import num_threads

__all__ = ["Scan", "scan"]


@dataclass(eq=False)
class Scan:
    """One segment's part of a scan.

    Attributes
    ----------
    rows
        Rows of the segment that are wanted, ascending; `None` stands for all.
    sums
        Sum of weight x value of every cell, float32, padded to whole blocks; 0 in blocks that are not needed.
    ranges, measured
        Ranges of the segment, and which of the scanned genes each measured, bool (ranges, genes).
    """

    name: str
    rows: np.ndarray | None
    sums: np.ndarray
    blocks: list[int]
    ranges: tuple[PanelRange, ...] = ()
    measured: np.ndarray = field(default_factory=lambda: np.empty((0, 0), dtype=bool))

    def add_block(self, snapshot: Snapshot, block: int, positions: np.ndarray, weights: np.ndarray) -> None:
        """Add up the genes in one block of cells."""
        segment = snapshot.segments.get(self.name)
        if block == self.blocks[0]:
            self.ranges, self.measured = segment.ranges, segment.measured[:, positions]
        out = self.sums[block * BLOCK : (block + 1) * BLOCK]
        if not segment.stored.add_genes(block, positions, weights, out):
            raise segment.damaged("offsets.npy points outside the values")

    def sums_of(self, part: PanelRange) -> np.ndarray:
        """Take the sums of the wanted cells of one range, in order."""
        if self.rows is None:
            return self.sums[part.start : part.stop]
        low, high = np.searchsorted(self.rows, [part.start, part.stop])
        wanted: np.ndarray = self.sums[self.rows[low:high]]
        return wanted


def scan(
    snapshot: Snapshot, positions: np.ndarray, weights: np.ndarray, rows: np.ndarray | None, *, executor: object = 1
) -> list[Scan]:
    """Add up weight x value of some genes, threads working on a block of cells each, or workers on a segment each.

    Parameters
    ----------
    positions, weights
        Genes by their position in the gene table, int64, and their weights, float32.
    rows
        Rows of the atlas that are wanted, ascending; `None` stands for all.
    executor
        Where segments are scanned; as for `insignia.core.executors.run_tasks`. The sums are the same to the bit.

    Returns
    -------
    One part for each segment with wanted cells, in the order of the atlas.

    Raises
    ------
    AtlasDamaged
        A segment is not what the manifest says.
    """
    scans = list(_needed(snapshot, rows))
    if executor != 1:
        _scan_elsewhere(snapshot, positions, weights, scans, executor)
        return scans
    tasks = [(part, block) for part in scans for block in part.blocks]

    def work(task: tuple[Scan, int]) -> None:
        task[0].add_block(snapshot, task[1], positions, weights)

    threads = min(num_threads(), len(tasks))
    if threads <= 1:
        for task in tasks:
            work(task)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(work, tasks):
                pass
    return scans


def _scan_elsewhere(
    snapshot: Snapshot, positions: np.ndarray, weights: np.ndarray, scans: list[Scan], executor: object
) -> None:
    entry_of = {entry.id: entry for entry in snapshot.manifest.segments}
    task = ScanTask(
        snapshot.path.resolve(),
        snapshot.manifest.genes.count,
        positions,
        weights,
        tuple(entry_of[part.name] for part in scans),
        tuple(part.blocks for part in scans),
    )
    for number, sums, ranges, measured in run_tasks(task, range(len(scans)), executor=executor):
        scans[number].sums, scans[number].ranges, scans[number].measured = sums, ranges, measured


def _needed(snapshot: Snapshot, rows: np.ndarray | None) -> list[Scan]:
    scans = []
    for entry, first in zip(snapshot.manifest.segments, snapshot.first_rows.tolist(), strict=False):
        here = None if rows is None else rows[slice(*np.searchsorted(rows, [first, first + entry.cells]))] - first
        if here is None or here.size:
            blocks = list(range(n_blocks(entry.cells))) if here is None else np.unique(here // BLOCK).tolist()
            sums = np.zeros(n_blocks(entry.cells) * BLOCK, dtype=np.float32)
            scans.append(Scan(entry.id, here, sums, blocks))
    return scans
