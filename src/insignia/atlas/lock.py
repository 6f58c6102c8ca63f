"""The lock of an atlas that lets one process change it: `flock`, which the system drops when its holder dies."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from insignia.atlas.layout import WRITER_LOCK
from insignia.core.errors import AtlasBusy, AtlasError
from insignia.core.files import parse_json

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["try_lock", "writer_lock"]


def try_lock(handle: int, *, shared: bool) -> bool:
    """Lock an open file without waiting; False if others hold it.

    Raises
    ------
    AtlasError
        The system or the file system has no such locks.
    """
    if fcntl is None:
        raise AtlasError("Changing an atlas needs the file locks of Linux or macOS, which this system lacks.")
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise AtlasError(
            f"The file system of the atlas has no file locks ({error.strerror}), so two processes could change it at "
            "once. Change it on another file system, or have this one mounted with locks (Lustre: -o flock)."
        ) from error
    return True


@contextmanager
def writer_lock(atlas: Path, doing: str) -> Iterator[None]:
    """Hold the lock while the body runs; others are told who holds it, since when and what for.

    Raises
    ------
    AtlasBusy
        Another process, or another thread, is changing the atlas.
    AtlasError
        The file system has no locks.
    """
    # opened for writing, which NFS asks of an exclusive lock
    handle = os.open(atlas / WRITER_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        if not try_lock(handle, shared=False):
            raise AtlasBusy(f"{atlas.name} is being changed{_holder(handle)}. Wait until that is done, and try again.")
        with suppress(OSError):  # a full disk: removing a study is what helps then
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(_self(doing)).encode(), 0)
        try:
            yield
        finally:
            with suppress(OSError):
                os.ftruncate(handle, 0)
            # said aloud, because a forked child may share the handle
            fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        os.close(handle)


def _self(doing: str) -> dict[str, str | int]:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": since, "doing": doing}


def _holder(handle: int) -> str:
    try:
        found = parse_json(os.pread(handle, 4096, 0).decode())
        return f": {found['doing']} by process {found['pid']} on {found['host']} since {found['since']}"
    except (OSError, ValueError, TypeError, KeyError):
        return " by another process"
