"""Names and sizes of the on-disk format; `docs/FORMAT.md` describes it in words."""

from typing import Final

FORMAT: Final = "insignia-atlas"
FORMAT_VERSION: Final = "1.0"
"""Readers refuse another major version; a higher minor version only adds entries that may be ignored."""

BLOCK: Final = 65_536
"""Cells in a block: their numbers within it fill a uint16."""

MAX_CELLS_PER_SEGMENT: Final = 16 * BLOCK
MAX_VALUE: Final = 65_504.0
"""The largest finite float16."""

MANIFEST: Final = "atlas.json"
GENES: Final = "genes.parquet"
SEGMENTS: Final = "segments"

SEGMENT: Final = "segment.json"
CELLS: Final = "cells.npy"
VALUES: Final = "values.npy"
OFFSETS: Final = "offsets.npy"
MEASURED: Final = "measured.npy"
OBS: Final = "obs.parquet"
SEGMENT_FILES: Final = (CELLS, VALUES, OFFSETS, MEASURED, OBS)

GAP_COLUMN: Final = "attribution_gap"
SUM_COLUMN: Final = "attribution_sum"
"""Columns of `obs.parquet` beside the metadata: completeness gap, and sum of |attribution| before scaling."""


def n_blocks(cells: int) -> int:
    """Blocks that `cells` cells take."""
    return -(-cells // BLOCK)
