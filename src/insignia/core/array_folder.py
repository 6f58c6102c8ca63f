"""A folder of a JSON record and a safetensors file of arrays: nothing in it can run, and a changed byte is found."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from insignia.core.errors import FileFormatError, InsigniaError
from insignia.core.files import atomic_folder, canonical_json, parse_json, refuse_occupied, sha256_file, sha256_text

__all__ = ["read_array_folder", "write_array_folder"]

ARRAYS: Final = "arrays.safetensors"


def write_array_folder(
    path: str | Path, name: str, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray], *, form: str
) -> None:
    """Write a record and arrays to a new folder, whole or not at all.

    Parameters
    ----------
    path
        A folder that does not exist yet, or is empty.
    name
        Of the JSON file.
    record
        Plain values.
    arrays
        Numbers or booleans, of any shape.
    form
        Name and version of what the folder holds; a reader asks for the same.

    Raises
    ------
    InputError
        There is something at `path` already.
    """
    from safetensors.numpy import save_file

    refuse_occupied(path)
    with atomic_folder(path) as folder:
        save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, folder / ARRAYS)
        content = dict(record) | {"format": form, "arrays_sha256": sha256_file(folder / ARRAYS)}
        content["sha256"] = sha256_text(canonical_json(content))
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")


def read_array_folder(
    path: str | Path, name: str, *, form: str, error: type[InsigniaError] = FileFormatError
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what `write_array_folder` wrote.

    Raises
    ------
    FileFormatError
        Or `error`: a file is absent, is not the one that was written, or is of another form.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = Path(path)
    record = _record(path, name, form, error)
    arrays = path / ARRAYS
    if not arrays.is_file() or sha256_file(arrays) != record.get("arrays_sha256"):
        raise error(f"{arrays} is missing or was changed: its sha256 is not the one in {name}. Write the folder again.")
    try:
        return record, load_file(arrays)
    except SafetensorError as problem:
        raise error(f"{arrays} is no readable safetensors file ({problem}). Write the folder again.") from problem


def _record(path: Path, name: str, form: str, error: type[InsigniaError]) -> dict[str, Any]:
    file = path / name
    if not file.is_file():
        there = sorted(item.name for item in path.iterdir())[:8] if path.is_dir() else []
        raise error(f"{path} holds no {name}, which {form} needs; it holds {', '.join(there) or 'nothing'}.")
    try:
        record = parse_json(file.read_text(encoding="utf-8"))
        said = record.pop("sha256")
        # not everything that JSON can write has a hash: no lone surrogates, no NaN
        fits = sha256_text(canonical_json(record)) == said
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as problem:
        raise error(f"{file} is damaged: {type(problem).__name__} {problem}. Write the folder again.") from problem
    if record.get("format") != form:
        raise error(f"{file} is of the form {record.get('format')!r}; this version reads {form!r}.")
    if not fits:
        raise error(f"{file} was changed since it was written: its own sha256 does not fit. Write the folder again.")
    return dict(record)
