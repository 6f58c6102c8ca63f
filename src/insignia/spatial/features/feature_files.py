"""Reading features that were made elsewhere: HEST and TRIDENT files, numpy archives, tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from insignia.core.errors import FileFormatError, InputError

__all__ = ["SUFFIXES", "FoundFeatures", "from_table", "read_features"]

SUFFIXES: Final = (".h5", ".npz", ".parquet")

_VALUES: Final = ("features", "embeddings")
_NAMES: Final = ("barcodes", "barcode", "names", "spots")
_SECTION: Final = "section"


@dataclass(frozen=True, eq=False)
class FoundFeatures:
    """Features as a file holds them, with what says whose they are.

    Parameters
    ----------
    values
        (rows, features) float32.
    names
        (rows,) names of spots; `None` where the file has places instead.
    sections
        (rows,) names of sections, where one file holds several.
    corners_px
        (rows, 2): left and top of square tiles, in pixels of the finest resolution of the image.
    tile_px
        Side of those tiles.
    columns
        Names of the features, where the file has them.
    """

    values: np.ndarray
    names: np.ndarray | None = None
    sections: np.ndarray | None = None
    corners_px: np.ndarray | None = None
    tile_px: float = 0.0
    columns: tuple[str, ...] = ()


def read_features(path: Path) -> FoundFeatures:
    """Read a file of features, by its suffix.

    ``.h5``: `features` or `embeddings` with `barcodes` (HEST), or with `coords` and its attribute `patch_size_level0`
    (TRIDENT). ``.npz``: `features` or `embeddings`, and `barcodes`, `names` or `spots`. ``.parquet``: numeric columns,
    and the names in the index or in a column called so; a column `section` says which section a row belongs to.

    Raises
    ------
    FileFormatError
        The file is absent, damaged, of another kind, or says nothing about whose features it holds.
    """
    readers = {".h5": _read_h5, ".npz": _read_npz, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise FileFormatError(
            f"{path} should be one of {', '.join(SUFFIXES)}; other tables can be given as a DataFrame."
        )
    if not path.is_file():
        raise FileFormatError(f"There is no file of features at {path}.")
    try:
        return readers[path.suffix](path)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise FileFormatError(f"{path} cannot be read as features ({error}). Make it again.") from error


def from_table(table: pd.DataFrame, source: str = "the table") -> FoundFeatures:
    """Take features from a table: one row a spot, numeric columns; see `read_features`."""
    sections = table[_SECTION].to_numpy(str) if _SECTION in table else None
    named = [column for column in _NAMES if column in table and not pd.api.types.is_numeric_dtype(table[column])]
    if not named and pd.api.types.is_numeric_dtype(table.index):
        raise FileFormatError(
            f"{source} has rows without names, and features are never matched by their order. "
            f"Put the names of the spots into its index or into a column 'spots'."
        )
    names = (table[named[0]] if named else table.index).to_numpy(str)
    numbers = table.drop(columns=[column for column in (_SECTION, *named) if column in table])
    other = [str(column) for column in numbers if not pd.api.types.is_numeric_dtype(numbers[column])]
    if other or not numbers.shape[1]:
        raise FileFormatError(f"{source} should have numeric columns of features, found {other or 'none'}.")
    return FoundFeatures(
        numbers.to_numpy(np.float32), names, sections, columns=tuple(str(column) for column in numbers)
    )


def _read_parquet(path: Path) -> FoundFeatures:
    return from_table(pd.read_parquet(path), str(path))


def _read_npz(path: Path) -> FoundFeatures:
    with np.load(path, allow_pickle=False) as arrays:
        return _of_arrays(dict(arrays), path)


def _read_h5(path: Path) -> FoundFeatures:
    import h5py

    with h5py.File(path) as file:
        wanted = [name for name in (*_VALUES, *_NAMES, "coords") if name in file]
        arrays = {name: file[name][:] for name in wanted}
        if "img" in file and not set(_VALUES) & set(wanted):
            raise FileFormatError(f"{path} holds patches and no features of them. Encode the images instead.")
        tile_px = dict(file["coords"].attrs).get("patch_size_level0") if "coords" in file else None
        return _of_arrays(arrays, path, tile_px)


def _of_arrays(arrays: dict[str, np.ndarray], path: Path, tile_px: Any = None) -> FoundFeatures:
    held = [name for name in _VALUES if name in arrays]
    if not held:
        raise FileFormatError(f"{path} should hold {' or '.join(_VALUES)}, found {sorted(arrays)}.")
    values = arrays[held[0]]
    values = values[0] if values.ndim == 3 and len(values) == 1 else values
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise FileFormatError(
            f"{path}: {held[0]} should be (rows, features) of numbers, found {values.shape} {values.dtype}."
        )
    names = next((_text(arrays[name]) for name in _NAMES if name in arrays), None)
    corners = arrays.get("coords") if names is None else None
    if names is None and (corners is None or tile_px is None):
        raise FileFormatError(
            f"{path} says nothing about whose features it holds, and they are never matched by their order. It should "
            f"hold {', '.join(_NAMES[:3])} or {_NAMES[3]}, or coords with the attribute patch_size_level0."
        )
    for rows in (names, corners):
        if rows is not None and len(rows) != len(values):
            raise FileFormatError(f"{path} holds {len(values)} rows of features and {len(rows)} names or places.")
    return FoundFeatures(values.astype(np.float32), names, corners_px=corners, tile_px=float(tile_px or 0))


def _text(names: np.ndarray) -> np.ndarray:
    """HEST writes names as (rows, 1) of bytes."""
    return np.array([name.decode() if isinstance(name, bytes) else str(name) for name in names.ravel()])
