"""What benchmarks in parts share: real data that may be absent, a record of what ran, and on what machine."""

import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from insignia import __version__


class Absent(Exception):
    """Real data are not there."""


def real(name: str) -> Path:
    """Find a file or folder of the real data."""
    root = Path(os.environ.get("INSIGNIA_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (root / name).exists():
        raise Absent(f"real data not found: {root / name} (set INSIGNIA_DATA to a copy of the test data)")
    return root / name


def run_parts(
    benchmark: str, names: Iterable[str], run: Callable[[str], dict[str, Any]], *, quick: bool
) -> dict[str, Any]:
    """Run parts by name, skip with a word those whose data are absent, and give the record."""
    record: dict[str, Any] = {"benchmark": benchmark, "quick": quick, "skipped": {}}
    record["load_before"] = round(os.getloadavg()[0], 2)
    for name in names:
        try:
            record[name] = run(name)
        except Absent as reason:
            print(f"\n== {name} is skipped: {reason}", flush=True)
            record["skipped"][name] = str(reason)
    record["load_after"] = round(os.getloadavg()[0], 2)
    return record | surroundings()


def surroundings() -> dict[str, Any]:
    """Say on what machine and with what software a benchmark of one thread ran."""
    return {
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "threads": 1},
        "software": {"insignia": __version__, "python": platform.python_version(), "numpy": np.__version__},
    }
