"""Files that appear whole or not at all, and hashes of their content."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from insignia.core.errors import InputError, InsigniaError

__all__ = [
    "atomic_file",
    "atomic_folder",
    "canonical_json",
    "parse_json",
    "refuse_occupied",
    "reserve",
    "resolved",
    "sha256_array",
    "sha256_file",
    "sha256_text",
]


_SYSTEM_ERROR: Final = re.compile(r"errno[ =]+(\d+)|os error (\d+)", re.IGNORECASE)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place only if the body succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with _as_disk_error(path):
            yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; rename it into place only if the body succeeds.

    `path` must not exist, or must be an empty folder.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        with _as_disk_error(path):
            yield temporary
        temporary.chmod(0o777 & ~_umask())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _as_disk_error(path: Path) -> Iterator[None]:
    """Let what libraries say of a full disk, each in an error of its own kind, be an `OSError` about `path`."""
    try:
        yield
    except Exception as error:
        said = _SYSTEM_ERROR.search(str(error))
        is_plain = isinstance(error, InsigniaError) or (isinstance(error, OSError) and error.filename is not None)
        if said is None or is_plain:
            raise
        number = int(said[1] or said[2])
        raise OSError(number, os.strerror(number), str(path)) from error


def resolved(path: str | Path) -> Path:
    """Return the absolute path behind all links; links that lead in a circle are left for whoever opens it."""
    return Path(os.path.realpath(path))


def refuse_occupied(path: str | Path, *, remedy: str = "Remove it or choose another place") -> None:
    """Refuse a place for a new file or folder where something is; `remedy` says what can be done.

    Raises
    ------
    InputError
        `path` is a file, or a folder that is not empty.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"There is something at {path} already. {remedy}.")


def sync_folder(path: Path) -> None:
    """Make a rename inside `path` survive a power cut, where the system allows it."""
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def reserve(path: Path) -> None:
    """Take the place of a file on disk at once: on a full one, writing into a map of the file kills the process.

    Raises
    ------
    OSError
        The disk is full.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256_file(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    """Hex digest of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_array(array: np.ndarray) -> str:
    """Hex digest of an array's type, shape and values."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spare blanks: equal values give equal text, so it can be hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def parse_json(text: str) -> Any:
    """Read JSON from a file that anyone may have written.

    Raises
    ------
    ValueError
        It is no JSON, or nested so deep that no record of ours or of a model is.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
