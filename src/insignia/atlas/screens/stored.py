"""Group means on disk: a folder of `screens/` for each segment and way of grouping, which can be made again."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from insignia.atlas.array_file import map_array
from insignia.atlas.layout import SCREENS
from insignia.atlas.screens.means import SegmentMeans
from insignia.core.errors import AtlasDamaged
from insignia.core.files import canonical_json, sha256_file, sha256_text

__all__ = ["KIND", "find_stored", "read_means", "read_table", "stored_name", "write_means"]

KIND: Final = "groups"
TABLE: Final = "table.parquet"
ARRAYS: Final = ("of_cells", "offsets", "pieces", "means", "detected")


def stored_name(segment: str, columns: Sequence[str], where: str | None) -> str:
    """Name of the folder for a segment grouped in one way."""
    return f"{segment}-{sha256_text(canonical_json([list(columns), where]))[:8]}"


def find_stored(
    screens: Mapping[str, Any], segment: str, columns: Sequence[str], where: str | None
) -> tuple[str, Mapping[str, Any]] | None:
    """Find the group means of a segment among those that a manifest names."""
    for name, entry in screens.items():
        found = entry.get("kind"), entry.get("segment"), entry.get("columns"), entry.get("where")
        if found == (KIND, segment, list(columns), where):
            return name, entry
    return None


def write_means(folder: Path, means: SegmentMeans, *, segment: str, where: str | None) -> dict[str, Any]:
    """Write group means to a new folder, and return what the manifest says about them."""
    pq.write_table(pa.Table.from_pandas(means.table, preserve_index=False), folder / TABLE, compression="zstd")
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", getattr(means, name))
    paths = [folder / TABLE, *(folder / f"{name}.npy" for name in ARRAYS)]
    files = {path.name: {"bytes": path.stat().st_size, "sha256": _settle(path)} for path in paths}
    return {
        "kind": KIND,
        "segment": segment,
        "columns": means.columns,
        "where": where,
        "pieces": len(means.table),
        "entries": int(means.offsets[-1]),
        "files": files,
    }


def read_table(atlas: Path, name: str, entry: Mapping[str, Any]) -> pd.DataFrame:
    """Read the table of the pieces.

    Raises
    ------
    AtlasDamaged
        It is not what the manifest says.
    """
    path = atlas / SCREENS / name / TABLE
    try:
        if path.stat().st_size != entry["files"][TABLE]["bytes"]:
            raise ValueError(f"it has {path.stat().st_size:,} bytes")
        with pq.ParquetFile(path) as file:
            table: pd.DataFrame = file.read().to_pandas()
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise _damaged(path, str(error)) from error
    if list(table.columns) != [*entry["columns"], "range", "cells"] or len(table) != entry["pieces"]:
        raise _damaged(path, f"it holds {len(table):,} rows of {', '.join(map(str, table.columns))}")
    return table


def read_means(atlas: Path, name: str, entry: Mapping[str, Any], *, n_cells: int, n_genes: int) -> SegmentMeans:
    """Open group means; the arrays are maps.

    Raises
    ------
    AtlasDamaged
        A file is not what the manifest says.
    """
    folder = atlas / SCREENS / name
    table = read_table(atlas, name, entry)
    shapes = {"of_cells": (n_cells,), "offsets": (n_genes + 1,), **dict.fromkeys(ARRAYS[2:], (entry["entries"],))}
    arrays = {key: _map(folder / f"{key}.npy", shape) for key, shape in shapes.items()}
    offsets = np.array(arrays["offsets"])
    if offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] != entry["entries"]:
        raise _damaged(folder / "offsets.npy", "its offsets do not fit the entries")
    if arrays["pieces"].max(initial=0) >= max(1, len(table)) or arrays["of_cells"].max(initial=-1) >= len(table):
        raise _damaged(folder, "an entry belongs to no piece")
    return SegmentMeans(table, **{**arrays, "offsets": offsets})


def _map(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = map_array(path)
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    kinds = {"of_cells": "i", "offsets": "i", "means": "f"}
    if array.shape != shape or array.dtype.kind != kinds.get(path.stem, "u"):
        raise _damaged(path, f"it holds {array.dtype} {array.shape} where {shape} belongs")
    return array


def _settle(path: Path) -> str:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return sha256_file(path)


def _damaged(path: Path, what: str) -> AtlasDamaged:
    return AtlasDamaged(
        f"{path} is damaged: {what}. The cells are not affected: Atlas.regroup() makes group means again."
    )
