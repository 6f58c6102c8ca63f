"""Tables of the first Spatial Transcriptomics arrays: positions of spots, and counts with rows like ``10x12``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from insignia.core.errors import DuplicateNames, InputError
from insignia.data.section_readers.raw import RawSection
from insignia.data.section_readers.text_tables import read_counts_table, read_spot_table

__all__ = ["join_counts", "raw_section", "read_array_table"]

_COLUMNS: Final = ("x", "y", "new_x", "new_y", "pixel_x", "pixel_y")


def read_array_table(path: Path) -> pd.DataFrame:
    """Read array and pixel positions of the selected spots, one row each, called like ``10x12``.

    Raises
    ------
    FileFormatError
        A column is missing, or holds what is no number.
    DuplicateNames
        A spot is listed twice.
    """
    spots = read_spot_table(path, _COLUMNS)
    if "selected" in spots:
        spots = spots[spots["selected"] == 1]
    if not len(spots):
        raise InputError(f"{path} holds no selected spot.")
    spots.index = pd.Index([f"{x:.0f}x{y:.0f}" for x, y in zip(spots["x"], spots["y"], strict=True)])
    _check_unique(spots.index, str(path))
    return spots


def join_counts(name: str, spots: pd.DataFrame, path: Path, notes: list[str]) -> tuple[pd.DataFrame, Any, pd.DataFrame]:
    """Join spots and counts by name; spots without counts are left out, and that is noted.

    Returns
    -------
    The spots that have counts, (spots, genes) counts in their order, and the genes.
    """
    rows, genes, counts = read_counts_table(path)
    _check_unique(rows, str(path))
    at = rows.get_indexer(spots.index)
    if not (at >= 0).any():
        raise InputError(
            f"None of the {len(rows)} rows of {path} is a spot of section {name!r}: rows are called e.g. {rows[0]!r}, "
            f"spots {spots.index[0]!r}. Do the two files belong together?"
        )
    bare = int((at < 0).sum())
    if bare:
        notes.append(f"{bare} of {len(spots)} spots have no counts and are left out")
    return spots[at >= 0], counts[at[at >= 0]], pd.DataFrame(index=genes)


def raw_section(
    name: str, spots: pd.DataFrame, counts: Any, genes: pd.DataFrame | None, image: Path | None, notes: Sequence[str]
) -> RawSection:
    """Make a section of such tables."""
    return RawSection(
        name=name,
        spots=spots[["new_x", "new_y"]].rename(columns={"new_x": "array_x", "new_y": "array_y"}),
        pixels=spots[["pixel_x", "pixel_y"]].to_numpy(np.float64),
        array=spots[["new_x", "new_y"]].to_numpy(np.float64),
        counts=counts,
        genes=genes,
        image=image,
        notes=notes,
    )


def _check_unique(names: pd.Index, where: str) -> None:
    if not names.is_unique:
        raise DuplicateNames(f"{where} lists the spot {names[names.duplicated()][0]} more than once.")
