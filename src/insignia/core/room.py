"""How much memory there is for what a file declares, asked before it is read."""

import os
from pathlib import Path
from typing import Final

from insignia.core.errors import FileFormatError

__all__ = ["available_memory", "refuse_larger_than_memory"]

_CGROUP: Final = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that this process may still take: of the machine, of its container, of its own limit; `None` if unknown."""
    known = [room for room in (_of_machine(), _of_container(), _of_limit()) if room is not None]
    return max(0, min(known)) if known else None


def refuse_larger_than_memory(path: str | Path, n_bytes: int, *, remedy: str) -> None:
    """Refuse a file whose content, unpacked, cannot be held.

    Raises
    ------
    FileFormatError
        It declares more than is available.
    """
    room = available_memory()
    if room is not None and n_bytes > room:
        raise FileFormatError(
            f"{path} declares {_text(n_bytes)} once it is unpacked, and {_text(room)} of memory are free. Is it "
            f"damaged, or made to fill memory? {remedy}"
        )


def _text(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:,.1f} GiB"


def _of_machine() -> int | None:
    lines = _read(Path("/proc/meminfo")).splitlines()
    found = [line.split()[1] for line in lines if line.startswith(("MemAvailable:", "SwapFree:"))]
    return 1024 * sum(map(int, found)) if found else None


def _of_container() -> int | None:
    limit, used = (_read(_CGROUP / name).strip() for name in ("memory.max", "memory.current"))
    return int(limit) - int(used) if limit.isdecimal() and used.isdecimal() else None


def _of_limit() -> int | None:
    if os.name != "posix":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _read(Path("/proc/self/statm")).split()
    if limit == resource.RLIM_INFINITY or not pages:
        return None
    return limit - int(pages[0]) * resource.getpagesize()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
