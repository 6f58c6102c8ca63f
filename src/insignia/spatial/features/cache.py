"""Features that were computed once: files named by the hash of everything that they depend on."""

import hashlib
import io
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from insignia.core.errors import InsigniaWarning
from insignia.core.files import atomic_file, canonical_json, sha256_array, sha256_file, sha256_text
from insignia.core.settings import cache_dir
from insignia.data import SectionImage

__all__ = ["FeatureCache", "clear_feature_cache", "image_hash"]

_DIGEST: Final = 32
_MAX_BYTES: Final = 4 * 2**30
_ABANDONED_S: Final = 86_400


@dataclass(eq=False)
class FeatureCache:
    """A folder of features, each file with the hash of its content in front, so that a damaged one is not believed.

    Files appear whole or not at all, and equal names mean equal content, so any number of processes may share a folder.

    Parameters
    ----------
    folder
        Where they are kept.
    max_bytes
        Beyond this, `prune` removes those unused for longest.
    """

    folder: Path
    max_bytes: int = _MAX_BYTES
    _is_writable: bool = True

    @classmethod
    def default(cls) -> "FeatureCache":
        """Return the one in the user's cache folder, ``INSIGNIA_CACHE`` if that is set."""
        return cls(cache_dir() / "features")

    @staticmethod
    def key(**parts: str | int | float) -> str:
        """Hash what features depend on."""
        return sha256_text(canonical_json(parts))

    def get(self, key: str, shape: tuple[int, int]) -> np.ndarray | None:
        """Return features of a shape, float32; `None` where they are not, or are damaged."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        digest, body = content[:_DIGEST], content[_DIGEST:]
        if hashlib.sha256(body).digest() != digest:
            return None
        array = np.load(io.BytesIO(body), allow_pickle=False)
        if array.shape != shape or array.dtype != np.float32:
            return None
        self._mark_used(path)
        return np.asarray(array)

    def put(self, key: str, features: np.ndarray) -> None:
        """Keep features; a folder that cannot be written is warned of once, and then left alone."""
        if not self._is_writable:
            return
        body = io.BytesIO()
        np.save(body, features, allow_pickle=False)
        try:
            with atomic_file(self._path(key)) as path:
                path.write_bytes(hashlib.sha256(body.getvalue()).digest() + body.getvalue())
        except OSError as error:
            self._is_writable = False
            warnings.warn(
                f"Features are not kept for the next time: {self.folder} cannot be written ({error}). "
                "Set INSIGNIA_CACHE to a folder that can.",
                InsigniaWarning,
                stacklevel=2,
            )

    def prune(self) -> int:
        """Remove what was unused for longest until `max_bytes` hold; return the number of files removed."""
        files = []
        for path in self.folder.glob("*/*.features"):
            try:
                status = path.stat()
            except OSError:  # another process was faster
                continue
            # what another process is writing has a name that starts with a dot; after a day nobody is
            if not path.name.startswith(".") or status.st_mtime < time.time() - _ABANDONED_S:
                files.append((status.st_mtime, status.st_size, path))
        surplus, removed = sum(size for _, size, _ in files) - self.max_bytes, 0
        for _, size, path in sorted(files):
            if surplus <= 0:
                break
            path.unlink(missing_ok=True)
            surplus, removed = surplus - size, removed + 1
        return removed

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.features"

    @staticmethod
    def _mark_used(path: Path) -> None:
        try:
            os.utime(path)
        except OSError:  # read-only, or removed meanwhile: what was read stays good
            return


def clear_feature_cache() -> int:
    """Remove all features that are kept in the user's cache folder; return the number of files removed."""
    return FeatureCache(FeatureCache.default().folder, max_bytes=0).prune()


def image_hash(image: SectionImage) -> str:
    """Hash the bytes of an image's file, or its pixels where it has none."""
    return sha256_array(image.pixels) if image.path is None else sha256_file(image.path)
