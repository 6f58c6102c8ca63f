"""Splits in a JSON file that says when it was changed, so that results are of the split that they name."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from insignia.core.errors import FileFormatError, InputError
from insignia.core.files import atomic_file, canonical_json, parse_json, sha256_text
from insignia.data.splits import Split

__all__ = ["read_split", "read_splits", "write_splits"]

FORMAT: Final = "insignia-splits/1"


def write_splits(splits: Split | Sequence[Split], path: str | Path) -> None:
    """Write one split, or several such as folds, to a JSON file, whole or not at all."""
    several = [splits] if isinstance(splits, Split) else list(splits)
    if not several:
        raise InputError("There is no split to write.")
    record: dict[str, Any] = {
        "format": FORMAT,
        "splits": [_plain(split) | {"fingerprint": split.fingerprint} for split in several],
    }
    record["sha256"] = sha256_text(canonical_json(record))
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_splits(path: str | Path) -> tuple[Split, ...]:
    """Read the splits that `write_splits` wrote.

    Raises
    ------
    FileFormatError
        The file is no file of splits, or was changed since it was written.
    """
    path = Path(path)
    try:
        record = parse_json(path.read_text(encoding="utf-8"))
        said, form = record.pop("sha256"), record["format"]
        if form == FORMAT and sha256_text(canonical_json(record)) != said:
            raise FileFormatError(f"{path} was changed since it was written: its hash does not fit. Make it again.")
        splits = tuple(_split(entry) for entry in record["splits"]) if form == FORMAT else ()
    except FileFormatError:
        raise
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error}). Make one with `insignia perturb split`.") from error
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{path} is no file of splits: {type(error).__name__} {error}.") from error
    if not splits:
        raise FileFormatError(f"{path} is of the form {form!r}; this version reads {FORMAT!r}.")
    return splits


def read_split(path: str | Path) -> Split:
    """Read the only split of a file.

    Raises
    ------
    FileFormatError
        As `read_splits`, or the file holds several.
    """
    splits = read_splits(path)
    if len(splits) > 1:
        raise FileFormatError(f"{path} holds {len(splits)} splits, and one is needed; read_splits gives all.")
    return splits[0]


def _plain(split: Split) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(split).items()}


def _split(entry: dict[str, Any]) -> Split:
    return Split(entry["name"], *(tuple(entry[part]) for part in ("train", "test", "given")))
