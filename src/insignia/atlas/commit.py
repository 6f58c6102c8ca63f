"""The one door for every change of an atlas: one writer at a time, and each change takes effect as a whole."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from insignia.atlas.layout import MANIFEST, SCREENS, SEGMENTS
from insignia.atlas.lock import writer_lock
from insignia.atlas.manifest import Manifest
from insignia.atlas.snapshot import Snapshot
from insignia.atlas.versions import Hold, clean, write_version
from insignia.core.errors import AtlasBusy, AtlasError
from insignia.core.files import sync_folder

__all__ = ["Change", "changing", "tidy"]


@contextmanager
def changing(path: Path, doing: str) -> Iterator["Change"]:
    """Lock an atlas, clean up what dead processes left, and give its newest manifest and a place to write.

    Unless the body calls `Change.commit`, the atlas stays as it was, and what the body wrote is removed.

    Parameters
    ----------
    path
        Folder of the atlas.
    doing
        What the change is, for others who find the atlas locked, e.g. ``"add"``.

    Raises
    ------
    AtlasBusy
        Another process is changing the atlas; the message says which.
    AtlasError
        There is no atlas, or its file system has no locks.
    AtlasDamaged
        The manifest is not what was written; nothing is touched then.

    Examples
    --------
    >>> with changing(path, "freeze a cut-off") as change:  # doctest: +SKIP
    ...     manifest = change.manifest
    ...     snapshot = change.commit(replace(manifest, cutoffs={**manifest.cutoffs, "ms1": rule}))
    """
    Manifest.read(path)
    with writer_lock(path, doing):
        change = Change(path, Manifest.read(path))
        write_version(path, change.manifest, text=(path / MANIFEST).read_bytes())
        clean(path, change.manifest)
        try:
            yield change
        except OSError as error:
            with suppress(AtlasError, OSError):
                if Manifest.read(path) == change.manifest:
                    error.add_note(f"The atlas {path.name} is as it was.")
            raise
        finally:
            if not change.is_committed:
                with suppress(AtlasError, OSError):
                    clean(path, Manifest.read(path))


class Change:
    """A change under way; made by `changing`.

    Attributes
    ----------
    path
        Folder of the atlas.
    manifest
        The newest manifest: what the change starts from.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest
        self.is_committed = False
        self._made: list[Path] = []

    def segment(self, name: str) -> Path:
        """Make the folder of a new segment, under `name` or, if that is taken, under one like it.

        Its files must be on the disk (`os.fsync`) before `commit`, which takes care of the folders.
        """
        return self._folder(SEGMENTS, name)

    def screen(self, name: str) -> Path:
        """Make a folder in `screens/`; see `segment`."""
        return self._folder(SCREENS, name)

    def _folder(self, kind: str, name: str) -> Path:
        folder = self.path / kind / name
        # a reader may still hold one from before the manifest was put back to an older copy
        while folder.exists():
            folder = folder.with_name(folder.name + "r")
        folder.mkdir(parents=True)
        self._made.append(folder)
        return folder

    def commit(self, manifest: Manifest) -> Snapshot:
        """Put a new manifest in place of the old one, and return the version that it makes, held.

        Folders that it does not name are deleted as soon as nobody reads an older version.
        """
        if self.is_committed:
            raise AtlasError("A change is committed once.")
        # here, so that an atlas opens without compiled code
        from insignia.atlas.screens.keep import keep_groups

        manifest = keep_groups(self, manifest)
        for folder in self._made:
            sync_folder(folder)
            sync_folder(folder.parent)
        new = replace(manifest, version=self.manifest.version + 1)
        write_version(self.path, new)
        new.write(self.path)
        self.is_committed = True
        return Snapshot(self.path, new, Hold.of(self.path, new))

    def unchanged(self) -> Snapshot:
        """Return the version as it is, held, when there turned out to be nothing to change."""
        return Snapshot(self.path, self.manifest, Hold.of(self.path, self.manifest))


def tidy(path: Path) -> None:
    """Delete what no reader needs any more, if nobody is changing the atlas just now; the next change does it else."""
    with suppress(AtlasBusy), writer_lock(path, "tidy"):
        clean(path, Manifest.read(path))
