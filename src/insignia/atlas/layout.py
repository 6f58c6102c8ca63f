"""Names and sizes of the on-disk format; `docs/FORMAT.md` describes it in words."""

from typing import Final

from insignia.core.errors import InputError

FORMAT: Final = "insignia-atlas"
FORMAT_VERSION: Final = "1.1"
"""Readers refuse another major version; a higher minor version only adds entries that may be ignored."""

BLOCK: Final = 65_536
"""Cells in a block: their numbers within it fill a uint16."""

MAX_CELLS_PER_SEGMENT: Final = 16 * BLOCK
MAX_VALUE: Final = 65_504.0
"""The largest finite float16."""

MANIFEST: Final = "atlas.json"
GENES: Final = "genes.parquet"
SEGMENTS: Final = "segments"
SCREENS: Final = "screens"
VERSIONS: Final = "versions"
"""Folders of an atlas: its cells, what was computed from them, and a copy of the manifest of each version in use."""

WRITER_LOCK: Final = "writer.lock"

SEGMENT: Final = "segment.json"
CELLS: Final = "cells.npy"
VALUES: Final = "values.npy"
ENTRIES: Final = "entries.npy"
OFFSETS: Final = "offsets.npy"
MEASURED: Final = "measured.npy"
OBS: Final = "obs.parquet"
EMBEDDING: Final = "embedding.npy"
"""Kept on request: embeddings, float16 (cells, latent)."""

FAST: Final = "fast"
COMPACT: Final = "compact"
VALUE_FILES: Final = {FAST: (CELLS, VALUES), COMPACT: (ENTRIES,)}
"""Files that hold the values, by encoding."""

OTHER_FILES: Final = (OFFSETS, MEASURED, OBS)

GAP_COLUMN: Final = "attribution_gap"
SUM_COLUMN: Final = "attribution_sum"
"""Columns of `obs.parquet` beside the metadata: completeness gap, and sum of |attribution| before scaling."""


def check_encoding(encoding: str) -> str:
    """Return the name of an encoding, or refuse it.

    Raises
    ------
    InputError
        There is no such encoding.
    """
    if encoding not in VALUE_FILES:
        raise InputError(f"encoding is one of {', '.join(map(repr, VALUE_FILES))}; found {encoding!r}.")
    return encoding


def n_blocks(cells: int) -> int:
    """Blocks that `cells` cells take."""
    return -(-cells // BLOCK)
