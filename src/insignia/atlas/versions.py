"""Versions of an atlas: readers hold the one they read, and what only versions without a reader need is deleted."""

import os
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from insignia.atlas.layout import SCREENS, SEGMENTS, VERSIONS, WRITER_LOCK
from insignia.atlas.lock import try_lock
from insignia.atlas.manifest import Manifest
from insignia.core.errors import AtlasError
from insignia.core.files import atomic_file, resolved

__all__ = ["Hold", "clean", "open_version", "write_version"]

GRACE_S: Final = 86_400
"""For how long a replaced version is kept where the locks of readers on other machines may not be seen."""

_LOCAL: Final = frozenset({"apfs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"})
"""File systems that one machine has to itself."""


class Hold:
    """Keeps a version from being deleted for as long as this object lives, by a shared lock on its file."""

    def __init__(self, atlas: Path, manifest: Manifest, handle: int) -> None:
        self._origin = (atlas, manifest)
        self._finish = weakref.finalize(self, os.close, handle)

    @classmethod
    def of(cls, atlas: Path, manifest: Manifest) -> "Hold | None":
        """Hold a version; `None` if it has no file (any more), or the file system no locks."""
        path = version_file(atlas, manifest)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            # between opening and locking, the file may have been deleted
            if try_lock(handle, shared=True) and os.path.samestat(os.fstat(handle), path.stat()):
                return cls(atlas, manifest, handle)
        except (OSError, AtlasError):
            pass
        os.close(handle)
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        # a worker that a snapshot is sent to holds the version as well
        return Hold.of, self._origin


def version_file(atlas: Path, manifest: Manifest) -> Path:
    """Path of the copy of a manifest that its readers hold."""
    return atlas / VERSIONS / f"{manifest.version:06d}-{manifest.sha256()[:8]}.json"


def open_version(atlas: Path) -> tuple[Manifest, Hold | None]:
    """Read the manifest, and hold its version; without a hold where there are no locks, or nobody writes."""
    manifest = Manifest.read(atlas)
    while True:
        hold = Hold.of(atlas, manifest)
        now = manifest if hold else Manifest.read(atlas)
        if now == manifest:
            return manifest, hold
        manifest = now


def write_version(atlas: Path, manifest: Manifest, *, text: bytes | None = None) -> None:
    """Write the copy of a manifest that its readers will hold, as `text` if it was written before."""
    path = version_file(atlas, manifest)
    if not path.exists():
        with atomic_file(path) as temporary:
            temporary.write_bytes(manifest.text().encode() if text is None else text)


def clean(atlas: Path, manifest: Manifest) -> None:
    """Delete what neither the current version nor any version with a reader names; under the lock of the writer."""
    needed = manifest.named_folders()
    current = version_file(atlas, manifest)
    now = replaced = (atlas / WRITER_LOCK).stat().st_mtime
    for path in sorted((atlas / VERSIONS).glob("*"), reverse=True):
        written = path.stat().st_mtime
        # nobody can read a version that never took effect
        unseen = path.name.startswith(".") or path.name > current.name
        with _unread(path, sees_all=unseen or now - replaced > GRACE_S) as is_unread:
            if path != current and is_unread:
                path.unlink()
            elif path != current:
                try:
                    needed |= Manifest.read_file(path).named_folders()
                except AtlasError:
                    return  # somebody reads it, and what it names cannot be known
        replaced = replaced if unseen else written
    for kind in (SEGMENTS, SCREENS):
        for folder in (atlas / kind).glob("*"):
            if (kind, folder.name) not in needed:
                shutil.rmtree(folder, ignore_errors=True)
    for file in atlas.glob(".*.json"):
        file.unlink(missing_ok=True)


@contextmanager
def _unread(path: Path, *, sees_all: bool) -> Iterator[bool]:
    """Tell whether nobody reads a version, and keep it so while the body runs."""
    # opened for writing, which NFS asks of an exclusive lock
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield (sees_all or _is_local(path)) and try_lock(handle, shared=False)
    finally:
        os.close(handle)


def _is_local(path: Path) -> bool:
    """Whether only this machine can have the file open, so that its locks tell everything."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    kinds = {}
    for line in lines:
        before, _, after = line.partition(" - ")
        kinds[before.split()[4].encode().decode("unicode_escape")] = after.split()[0]
    inside = [point for point in kinds if resolved(path).is_relative_to(point)]
    return kinds.get(max(inside, key=len, default=""), "") in _LOCAL
