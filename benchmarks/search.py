"""Time a signature search against the published TileDB layout and against a bare memory map, and at scale.

Run ``python -m benchmarks.search`` (200,000 cells beside TileDB; then one and five million cells and an atlas of 400
segments, see `benchmarks.search_scale`) or ``python -m benchmarks.search --quick`` (50,000 cells beside TileDB). Data
of the first part are simulated once and kept in the cache folder. The last line is one JSON object.
"""

import argparse
import gc
import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search_layouts import (
    THREADS,
    AtlasSearch,
    ColumnSearch,
    Data,
    Folder,
    Setting,
    TileSearch,
    write_atlas,
    write_columns,
    write_compact,
    write_tiledb,
)


def timed(search: Callable[[], np.ndarray]) -> float:
    """Milliseconds of one search."""
    began = time.perf_counter()
    search()
    return 1e3 * (time.perf_counter() - began)


def forget(path: Path) -> None:
    """Drop files from the page cache, so that the next read comes from the disk."""
    for file in [path] if path.is_file() else path.rglob("*"):
        if file.is_file():
            handle = os.open(file, os.O_RDONLY)
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def warm_times(searches: dict[str, Callable[[], np.ndarray]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each search, all taking turns so that other load hits them alike."""
    times: dict[str, list[float]] = {name: [] for name in searches}
    for turn in range(repeats):
        for name, search in searches.items():
            if name != "tiledb" or turn % 4 == 0:
                os.environ["INSIGNIA_THREADS"] = "1" if name == "atlas, 1 thread" else str(THREADS)
                times[name].append(timed(search))
    return {name: statistics.median(values) for name, values in times.items()}


def cold_times(folder: Folder, kinds: dict[str, Callable[[Folder], Any]], repeats: int) -> dict[str, float]:
    """Median milliseconds of a first search after the files left the page cache, the opening included."""
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(repeats):
        for name, kind in kinds.items():
            gc.collect()
            forget(folder.path)
            began = time.perf_counter()
            kind(folder)()
            times[name].append(1e3 * (time.perf_counter() - began))
    return {name: statistics.median(values) for name, values in times.items()}


def size(path: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def run(setting: Setting) -> dict[str, Any]:
    """Write what is not there yet, check that all agree, and time them."""
    folder = Folder(Data(setting))
    writers = (
        ("columns", write_columns),
        ("atlas_s", write_atlas),
        ("compact_s", write_compact),
        ("tiledb_s", write_tiledb),
    )
    for note, write in writers:
        if note not in folder.notes:
            print(f"writing: {write.__name__}", flush=True)
            write(folder)
            gc.collect()
    kinds = {
        "atlas": AtlasSearch,
        "compact": partial(AtlasSearch, name="compact"),
        "memory map": ColumnSearch,
        "tiledb": TileSearch,
    }
    searches: dict[str, Callable[[], np.ndarray]] = {name: kind(folder) for name, kind in kinds.items()}
    exact = searches["memory map"]()
    np.testing.assert_allclose(searches["atlas"](), exact, rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(searches["compact"](), exact, rtol=1 / 64, atol=1e-5)
    np.testing.assert_allclose(searches["tiledb"](), exact, rtol=1e-4, atol=1e-5)
    warm = warm_times({**searches, "atlas, 1 thread": searches["atlas"]}, setting.repeats)
    del searches
    cold = cold_times(folder, kinds, 3)
    values = int(folder.notes["values"])
    return {
        "benchmark": "search",
        "cells": setting.cells,
        "genes": setting.n_genes,
        "values": values,
        "query_genes": setting.query,
        "threads": THREADS,
        "atlas_ms": warm["atlas"],
        "atlas_1_thread_ms": warm["atlas, 1 thread"],
        "compact_ms": warm["compact"],
        "compact_speed": warm["atlas"] / warm["compact"],
        "memmap_1_thread_ms": warm["memory map"],
        "tiledb_ms": warm["tiledb"],
        "speedup_vs_tiledb": warm["tiledb"] / warm["atlas"],
        "speedup_vs_tiledb_1_thread": warm["tiledb"] / warm["atlas, 1 thread"],
        "ratio_to_memmap_limit": warm["atlas, 1 thread"] / warm["memory map"],
        "atlas_cold_ms": cold["atlas"],
        "compact_cold_ms": cold["compact"],
        "memmap_cold_ms": cold["memory map"],
        "tiledb_cold_ms": cold["tiledb"],
        "bytes_per_value": size(folder.path / "atlas") / values,
        "bytes_per_value_compact": size(folder.path / "compact") / values,
        "bytes_per_value_tiledb": size(folder.path / "tiledb") / values,
        "ingest_s": folder.notes["atlas_s"],
        "ingest_compact_s": folder.notes["compact_s"],
        "ingest_tiledb_write_s": folder.notes["tiledb_write_s"],
        "ingest_tiledb_s": folder.notes["tiledb_s"],
    }


def table(result: dict[str, Any]) -> str:
    """Say the same for people."""
    sides = {"insignia": "atlas", "compact": "compact", "memory map": "memmap", "TileDB": "tiledb"}
    warm = ("atlas_ms", "compact_ms", "memmap_1_thread_ms", "tiledb_ms")
    size_of = ("bytes_per_value", "bytes_per_value_compact", "", "bytes_per_value_tiledb")
    rows = [
        ("", *sides),
        ("search, warm, ms", *(f"{result[name]:.1f}" for name in warm)),
        ("  on one thread", f"{result['atlas_1_thread_ms']:.1f}", "", f"{result['memmap_1_thread_ms']:.1f}", ""),
        ("search, cold, ms", *(f"{result[f'{side}_cold_ms']:.0f}" for side in sides.values())),
        ("bytes per value", *(f"{result[name]:.2f}" if name else "8.00" for name in size_of)),
        (
            "ingest, s",
            f"{result['ingest_s']:.1f}",
            f"{result['ingest_compact_s']:.1f}",
            "",
            f"{result['ingest_tiledb_s']:.1f}",
        ),
    ]
    head = f"{result['query_genes']} genes over {result['cells']:,} cells, {result['values']:,} values"
    return "\n".join(
        [head, *("".join(f"{cell:>14}" if i else f"{cell:20}" for i, cell in enumerate(row)) for row in rows)]
    )


def at_scale() -> dict[str, Any]:
    """Search one and five million cells, the latter with fewer values a cell, and open an atlas of 400 segments."""
    from benchmarks.search_scale import many_segments
    from benchmarks.search_scale import run as run_at

    found: dict[str, Any] = {}
    for cells, values in ((1_000_000, 1_700), (5_000_000, 1_000)):
        one = run_at(cells, values_per_cell=values)
        found |= {f"scale_{cells // 1_000_000}m": one}
    segments = many_segments()
    measured = found["scale_5m"].get("search_ms", float("nan"))
    return found | {"many_segments": segments, "search_5m_ms": measured, "open_400_segments_s": segments["open_warm_s"]}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="50,000 cells")
    quick = parser.parse_args().quick
    result = run(Setting(cells=50_000 if quick else 200_000, repeats=21))
    print(table(result))
    targets = [
        ("speedup_vs_tiledb", ">=", 60),
        ("ratio_to_memmap_limit", "<=", 1.5),
        ("bytes_per_value", "<=", 5),
        ("bytes_per_value_compact", "<=", 2.5),
        ("compact_speed", ">=", 0.5),
    ]
    if not quick:
        result |= at_scale()
        targets += [("search_5m_ms", "<=", 500), ("open_400_segments_s", "<=", 0.2)]
    for name, sign, target in targets:
        met = result[name] >= target if sign == ">=" else result[name] <= target
        print(f"{name}: {result[name]:.2f}, target {sign} {target}: {'met' if met else 'MISSED'}")
    print(json.dumps({name: round(value, 4) if isinstance(value, float) else value for name, value in result.items()}))


if __name__ == "__main__":
    main()
