"""Where caches live and how many threads are used; read from the environment, never from global state."""

import os
from pathlib import Path

__all__ = ["cache_dir", "num_threads"]


def cache_dir() -> Path:
    """Folder for things that can be made again: `INSIGNIA_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("INSIGNIA_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "insignia"


def num_threads() -> int:
    """Threads for numeric work: `INSIGNIA_THREADS`, else the processors this process may use."""
    chosen = os.environ.get("INSIGNIA_THREADS")
    if chosen:
        return max(1, int(chosen))
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
