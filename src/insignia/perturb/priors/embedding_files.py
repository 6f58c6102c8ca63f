"""Embeddings of genes from files: npz, parquet, csv, tsv, safetensors and torch, none of which can run code."""

import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile, ZipFile

import numpy as np
import pandas as pd
from pyarrow import ArrowException

from insignia.core.errors import DuplicateNames, FileFormatError
from insignia.core.files import parse_json
from insignia.core.room import refuse_larger_than_memory
from insignia.core.text_files import text_file
from insignia.data.gene_priors import GeneEmbedding

__all__ = ["read_embedding"]

_NAMES: Final = ("genes", "gene", "names", "symbols", "symbol", "gene_name", "gene_names", "index", "ids")
_MATRICES: Final = ("matrix", "embedding", "embeddings", "vectors", "X", "weight")
_SHOWN: Final = 6


def read_embedding(path: str | Path, *, names: str | None = None, matrix: str | None = None) -> GeneEmbedding:
    """Read a vector for each of some genes.

    Two forms are understood: names beside a matrix of (genes, dimensions), or one vector under the name of each gene.

    Parameters
    ----------
    path
        ``.npz`` (without pickled objects), ``.parquet``, ``.csv``, ``.tsv`` (may be gzipped), ``.safetensors`` or
        ``.pt`` (tensors and plain containers only). A table has the names in its index or in its only column of text,
        and may have the vectors as lists in a column; safetensors have names in their metadata, as a JSON list under
        ``genes``.
    names, matrix
        Entries or columns that hold them, where they are not the usual or the only ones.

    Returns
    -------
    The embedding. A gene whose vector is zero or not a number has none and is left out, and the source says so: a zero
    vector would stand for no perturbation.

    Raises
    ------
    FileFormatError
        The file is damaged, or does not say which vector belongs to which gene.
    UnsafeCheckpoint
        The torch file holds more than tensors and plain containers.
    DuplicateNames
        A gene has several vectors.
    """
    path = Path(path)
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    kind = suffixes[-1] if suffixes else ""
    if kind not in _READERS:
        raise FileFormatError(f"{path.name} is of an unknown kind; an embedding ends in {', '.join(_READERS)}.")
    if not path.is_file():
        raise FileFormatError(f"There is no file {path}.")
    found, values = _READERS[kind](path, names, matrix)
    return _checked(path.name, found, values)


def _checked(name: str, genes: list[str], values: np.ndarray) -> GeneEmbedding:
    if values.dtype.kind not in "biuf":
        raise FileFormatError(f"{name} holds vectors of {values.dtype}, which are no numbers.")
    if values.ndim != 2 or len(values) != len(genes) or not values.size:
        raise FileFormatError(f"{name} holds {len(genes):,} names and an array of {values.shape}, which do not fit.")
    repeated = pd.Index(genes)[pd.Index(genes).duplicated()].unique()
    if len(repeated):
        raise DuplicateNames(
            f"{name} holds several vectors for {len(repeated):,} genes, e.g. {list(repeated[:3])}. Keep one of each."
        )
    values = values.astype(np.float32)
    if np.isinf(values).any():
        raise FileFormatError(f"{name} holds infinite values, or values too large for float32.")
    lost = np.isnan(values).any(axis=1) | ~values.any(axis=1)
    kept = tuple(gene for gene, is_lost in zip(genes, lost, strict=True) if not is_lost)
    if not kept:
        raise FileFormatError(f"{name} holds no vector that is a number and not zero.")
    left_out = [gene for gene, is_lost in zip(genes, lost, strict=True) if is_lost]
    note = f", {len(left_out):,} empty vectors left out ({', '.join(left_out[:_SHOWN])})" if left_out else ""
    return GeneEmbedding(kept, np.ascontiguousarray(values[~lost]), f"{name}{note}")


def _from_entries(
    name: str, entries: Mapping[str, Any], names: str | None, matrix: str | None
) -> tuple[list[str], np.ndarray]:
    """Find names and matrix among named entries, or take the entries for one vector each."""
    asked = names is not None or matrix is not None
    names_key = names or next((key for key in _NAMES if key in entries and _is_text(entries[key])), None)
    if names_key is not None:
        if matrix is None:
            squares = [key for key, value in entries.items() if np.ndim(value) == 2 and not _is_text(value)]
            matrix = next((key for key in _MATRICES if key in squares), squares[0] if len(squares) == 1 else None)
        if names_key in entries and matrix is not None and matrix in entries:
            return [str(gene) for gene in np.asarray(entries[names_key]).ravel()], np.asarray(entries[matrix])
    vectors = {key: np.asarray(value) for key, value in entries.items() if not _is_text(value)}
    lengths = {value.shape for value in vectors.values()}
    if not asked and len(vectors) == len(entries) > 1 and len(lengths) == 1 and len(next(iter(lengths))) == 1:
        return list(vectors), np.array(list(vectors.values()))
    there = [f"{key} {np.shape(value)}" for key, value in entries.items()][:_SHOWN]
    raise FileFormatError(
        f"{name} does not say which vector belongs to which gene: expected names and a matrix, or one vector of equal "
        f"length a gene; it holds {', '.join(there) or 'nothing'}. Say which are meant with names= and matrix=."
    )


def _is_text(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "US" or (
        isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    )


def _read_npz(path: Path, names: str | None, matrix: str | None) -> tuple[list[str], np.ndarray]:
    try:
        _refuse_bomb(path)
        with np.load(path, allow_pickle=False) as file:
            entries = {key: file[key] for key in file.files}
    except FileFormatError:
        raise
    except (ValueError, OSError, EOFError, KeyError, NotImplementedError, MemoryError, BadZipFile, zlib.error) as error:
        raise FileFormatError(
            f"{path.name} is no npz of plain arrays ({error}). Names must be an array of text, not of objects."
        ) from error
    return _from_entries(path.name, entries, names, matrix)


def _refuse_bomb(path: Path) -> None:
    """Refuse a zip whose entries declare more than can be held, or that is none."""
    with ZipFile(path) as file:
        declared = sum(entry.file_size for entry in file.infolist())
        refuse_larger_than_memory(path, declared, remedy="Write the arrays again, with the genes that are needed.")


def _read_safetensors(path: Path, names: str | None, matrix: str | None) -> tuple[list[str], np.ndarray]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            entries: dict[str, Any] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise FileFormatError(f"{path.name} is no readable safetensors file ({error}).") from error
    key = names or next((key for key in _NAMES if key in metadata), None)
    if key is not None and key in metadata:
        entries[key] = _names_in(path, metadata[key])
    return _from_entries(path.name, entries, names, matrix)


def _names_in(path: Path, text: str) -> list[str]:
    try:
        found = parse_json(text)
    except ValueError as error:
        raise FileFormatError(f"{path.name} should name its genes as a JSON list in its metadata ({error}).") from error
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise FileFormatError(
            f"{path.name} should name its genes as a JSON list of texts in its metadata; found {text[:60]!r}."
        )
    return found


def _read_torch(path: Path, names: str | None, matrix: str | None) -> tuple[list[str], np.ndarray]:
    from insignia.models.checkpoint import read_torch

    content = read_torch(path)
    entries = {str(key): value.float().numpy() if hasattr(value, "numpy") else value for key, value in content.items()}
    return _from_entries(path.name, entries, names, matrix)


def _read_table(path: Path, names: str | None, matrix: str | None) -> tuple[list[str], np.ndarray]:
    table = _table(path)
    if names is not None:
        if names not in table:
            raise FileFormatError(f"{path.name} has no column {names!r}; it has {', '.join(map(str, table.columns))}.")
        table = table.set_index(names)
    elif not _holds_text(table.index.to_series()):
        columns = [name for name in table if _holds_text(table[name])]
        usual = [name for name in columns if str(name).lower() in _NAMES]
        chosen = usual[:1] if usual else columns
        if len(chosen) != 1:
            raise FileFormatError(
                f"{path.name} should have one column with the names of genes, and has {len(columns)} of text: "
                f"{', '.join(map(str, columns[:_SHOWN])) or 'none'}. Say which one with names=."
            )
        table = table.set_index(chosen[0])
    lists = [matrix] if matrix is not None else [name for name in table if _holds_lists(table[name])]
    if len(lists) == 1 and lists[0] in table:
        vectors = [np.asarray(row) for row in table[lists[0]]]
        if len({vector.shape for vector in vectors}) > 1:
            raise FileFormatError(f"{path.name} holds vectors of different lengths in its column {lists[0]!r}.")
        return [str(gene) for gene in table.index], np.array(vectors)
    numbers = table.select_dtypes("number")
    return [str(gene) for gene in table.index], numbers.to_numpy(np.float64)


def _table(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        separator = "\t" if ".tsv" in path.suffixes else ","
        with text_file(path) as file:
            # gene names such as NA and NAN are names; numbers that are missing are left empty
            return pd.read_csv(file, sep=separator, keep_default_na=False, na_values=[""])
    except FileFormatError:
        raise
    except (ValueError, OSError, ArrowException, MemoryError) as error:
        raise FileFormatError(f"{path.name} is no readable table ({error}).") from error


def _holds_text(column: pd.Series) -> bool:
    return bool(len(column)) and all(isinstance(value, str) for value in column.head(_SHOWN))


def _holds_lists(column: pd.Series) -> bool:
    return bool(len(column)) and isinstance(column.iloc[0], list | tuple | np.ndarray)


_READERS: Final[Mapping[str, Callable[[Path, str | None, str | None], tuple[list[str], np.ndarray]]]] = {
    ".npz": _read_npz,
    ".parquet": _read_table,
    ".csv": _read_table,
    ".tsv": _read_table,
    ".safetensors": _read_safetensors,
    ".pt": _read_torch,
}
