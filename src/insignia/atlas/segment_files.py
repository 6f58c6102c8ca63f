"""What every new segment ends with: offsets, measured genes, metadata and the header with the hash of every file."""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from insignia.atlas import layout
from insignia.atlas.encode import write_entries
from insignia.atlas.manifest import SegmentEntry
from insignia.atlas.segment import PanelRange
from insignia.core.files import sha256_file, sha256_text
from insignia.core.settings import num_threads

__all__ = ["SegmentContent", "finish_segment"]


@dataclass(frozen=True, eq=False)
class SegmentContent:
    """A segment but for its values, which stand in the folder in the fast encoding.

    Attributes
    ----------
    offsets
        Where each (gene, block) starts in the fast encoding, int64 (genes, blocks + 1).
    encoding
        How the values are to be stored.
    origin
        Entries ``ingest`` and ``sources`` of the header.
    per_cell
        Further files that are in the folder already: arrays with one row a cell.
    """

    obs: pa.Table
    ranges: Sequence[PanelRange]
    measured: np.ndarray
    offsets: np.ndarray
    encoding: str
    origin: Mapping[str, Any]
    per_cell: Sequence[str] = ()

    @property
    def n_values(self) -> int:
        """Number of values."""
        return int(self.offsets[-1, -1])


def finish_segment(folder: Path, content: SegmentContent) -> SegmentEntry:
    """Write what a segment needs beside its values, and return its entry of the manifest."""
    offsets = _encode(folder, content)
    np.save(folder / layout.OFFSETS, offsets)
    np.save(folder / layout.MEASURED, content.measured)
    pq.write_table(content.obs, folder / layout.OBS, compression="zstd")
    names = [*layout.VALUE_FILES[content.encoding], *layout.OTHER_FILES, *content.per_cell]
    with ThreadPoolExecutor(num_threads()) as pool:
        hashes = list(pool.map(_settle, (folder / name for name in names)))
    files: dict[str, dict[str, Any]] = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": digest}
        for name, digest in zip(names, hashes, strict=True)
    }
    for name in content.per_cell:
        files[name]["per_cell"] = True
    header: dict[str, Any] = {
        "format_version": layout.FORMAT_VERSION,
        "cells": content.obs.num_rows,
        "values": content.n_values,
        "genes": len(offsets),
        "block": layout.BLOCK,
        "encoding": content.encoding,
        **({"entries": int(offsets[-1, -1])} if content.encoding == layout.COMPACT else {}),
        "ranges": [asdict(part) for part in content.ranges],
        **content.origin,
        "software": {"insignia": version("insignia")},
        "files": files,
    }
    text = json.dumps(header, indent=1, ensure_ascii=False)
    (folder / layout.SEGMENT).write_text(text, encoding="utf-8")
    _settle(folder / layout.SEGMENT)
    size = sum(entry["bytes"] for entry in files.values()) + len(text.encode())
    return SegmentEntry(folder.name, content.obs.num_rows, content.n_values, size, sha256_text(text))


def _encode(folder: Path, content: SegmentContent) -> np.ndarray:
    """Bring the values into the encoding that is wanted, and return their offsets in it."""
    if content.encoding != layout.COMPACT:
        return content.offsets
    cells, values = (
        np.load(folder / name, mmap_mode="r").view(np.ndarray).view(np.uint16)
        for name in layout.VALUE_FILES[layout.FAST]
    )
    offsets = write_entries(folder, cells, values, content.offsets)
    for name in layout.VALUE_FILES[layout.FAST]:
        (folder / name).unlink()
    return offsets


def _settle(path: Path) -> str:
    """Make a file survive a power cut, and return its hash."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return sha256_file(path)
