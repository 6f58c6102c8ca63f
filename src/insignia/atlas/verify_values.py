"""What the values and the metadata of a segment must be, whatever their hashes say."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np

from insignia.atlas import kernels
from insignia.atlas.layout import COMPACT
from insignia.atlas.manifest import Manifest, SegmentEntry
from insignia.atlas.segment import Segment
from insignia.atlas.snapshot import Snapshot
from insignia.core import keys

__all__ = ["check_metadata", "check_values"]

_VALUES_AT_ONCE: Final = 4_000_000
_SUM_TOLERANCE: Final = {True: 0.03, False: 0.005}
"""Of the scale, in the compact encoding and in the fast one; before it is rounded, a sum is off by 0.001 at most."""

_WRONG: Final = {
    1: "cells do not ascend",
    2: "a cell is beyond the last one",
    3: "a value is 0 or not finite",
    4: "a gene has values where it was not measured",
}


def check_metadata(snapshot: Snapshot, entry: SegmentEntry, segment: Segment) -> Iterator[str]:
    """Check that studies stand where the ranges say, and that no barcode is there twice."""
    frame = snapshot.segment_metadata(entry, [keys.STUDY, keys.BARCODE]).to_pandas()
    found = frame[keys.STUDY].astype(str).to_numpy()
    for part in segment.ranges:
        if not (found[part.start : part.stop] == part.study).all():
            yield f"Segment {entry.id}: rows {part.start:,} to {part.stop:,} are not all of study {part.study!r}."
    if frame.duplicated([keys.STUDY, keys.BARCODE]).any():
        yield f"Segment {entry.id}: two cells of a study share a barcode."


def check_values(manifest: Manifest, entry: SegmentEntry, segment: Segment) -> Iterator[str]:
    """Check that offsets follow each other, that values belong to cells and genes, and that rows add up."""
    offsets = np.asarray(segment.offsets)
    if offsets[0, 0] != 0 or (np.diff(offsets, axis=1) < 0).any() or (offsets[1:, 0] != offsets[:-1, -1]).any():
        yield f"Segment {entry.id}: offsets do not follow each other."
        return
    edges = [0, *(part.stop for part in segment.ranges)]
    range_of = np.repeat(np.arange(len(segment.ranges)), np.diff(edges))
    sums, n_values = np.zeros(segment.n_cells), 0
    for start, stop in _chunks(offsets):
        runs = segment.genes(np.arange(start, stop))
        wrong = kernels.check_runs(
            runs.offsets,
            runs.cells,
            runs.values,
            kernels.FLOAT_OF_HALF,
            range_of,
            segment.measured[:, start:stop],
            sums,
        )
        n_values += int((runs.offsets[:, -1] - runs.offsets[:, 0]).sum())
        if wrong:
            yield f"Segment {entry.id}: {_WRONG[wrong]}, among genes {start:,} to {stop:,}."
            return
    if n_values != entry.values:
        yield f"Segment {entry.id}: {n_values:,} values where the manifest has {entry.values:,}."
    scale = manifest.record.scale
    off = (sums > 0) & (np.abs(sums - scale) > _SUM_TOLERANCE[segment.encoding == COMPACT] * scale)
    if scale and off.any():
        yield f"Segment {entry.id}: {int(off.sum()):,} cells do not add up to {scale:g}, e.g. row {off.argmax():,}."


def _chunks(offsets: np.ndarray) -> Iterator[tuple[int, int]]:
    cuts = np.unique(offsets[:, -1] // _VALUES_AT_ONCE, return_index=True)[1].tolist()
    yield from pairwise([*cuts, len(offsets)])
