"""Time a signature search over simulated atlases of up to five million cells, against the memory that it has to read.

Run as a part of ``python -m benchmarks.search``, or by itself: ``python -m benchmarks.search_scale --cells 1000000``.
Atlases are written segment by segment through the writer that every addition goes through. Cells are drawn with
replacement from a pool of simulated ones, so that writing is quick; a search reads the same bytes as over cells drawn
one by one. The last line is one JSON object.
"""

import argparse
import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.search import forget, size, timed
from benchmarks.search_layouts import THREADS, Data, Setting
from insignia.atlas import Atlas
from insignia.atlas.sources import Source
from insignia.core import keys
from insignia.core.settings import cache_dir

POOL = 8_192
STUDY_CELLS, ADDITION_CELLS = 50_000, 250_000
SEGMENTS = 400


@dataclass(frozen=True, eq=False)
class Resampled(Source):
    """One study of cells drawn from a pool, made again on each pass over them."""

    pool: sparse.csr_matrix
    record: Any
    number: int
    cells: int

    @property
    def name(self) -> str:
        """Name of the study."""
        return f"study{self.number}"

    def origin(self) -> dict[str, str]:
        """Name, without a hash: there is no file."""
        return {"name": self.name}

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Give what the writer asks of attributed cells."""
        n = np.arange(self.cells)
        obs = pd.DataFrame(
            {
                "study": self.name,
                "sample": pd.Categorical.from_codes(n % 12, [f"sample{i}" for i in range(12)]),
                "donor": pd.Categorical.from_codes(n % 6, [f"donor{i}" for i in range(6)]),
                "tissue": "blood",
                "disease": "sepsis" if self.number % 2 else "normal",
                "cell_type": pd.Categorical.from_codes(n % 20, [f"type{i}" for i in range(20)]),
            },
            index=[f"{self.number:04d}{i:012d}" for i in range(self.cells)],
        )
        measured = np.ones(self.pool.shape[1], dtype=bool)
        yield SimpleNamespace(record=self.record, obs=obs, measured=measured, blocks=self.blocks)

    def blocks(self, rows: int) -> Iterator[sparse.csr_matrix]:
        """Draw cells, `rows` at a time."""
        rng = np.random.default_rng([7, self.number])
        for start in range(0, self.cells, rows):
            yield self.pool[rng.integers(0, self.pool.shape[0], min(rows, self.cells - start))]


def write(path: Path, data: Data, cells: int, encoding: str) -> float:
    """Write an atlas of this many cells, or go on with one, five studies at a time; return the seconds it took."""
    pool = data.study(1)
    if not path.exists():
        Atlas.create(path, genes=data.genes, record=data.record(), encoding=encoding)
    atlas = Atlas.open(path)
    began = time.perf_counter()
    studies = [
        Resampled(Path(f"study{number}"), keys.ATTRIBUTION, pool.shape[1], pool, data.record(), number, STUDY_CELLS)
        for number in range(cells // STUDY_CELLS)
    ]
    step = ADDITION_CELLS // STUDY_CELLS
    for start in range(len(atlas.studies), len(studies), step):
        atlas.add(studies[start : start + step], progress=False)
        done = min(start + step, len(studies)) * STUDY_CELLS
        print(f"{done:,} cells, {time.perf_counter() - began:.0f} s", flush=True)
    return time.perf_counter() - began


@numba.njit(nogil=True)
def read_all(words: np.ndarray) -> np.uint64:
    """Read every byte once, as fast as memory gives them."""
    total = np.uint64(0)
    for word in words:
        total += word
    return total


class Limit:
    """Reads the bytes of a search and does nothing else with them."""

    def __init__(self, atlas: Atlas, query: list[str]) -> None:
        snapshot = atlas._snapshot
        labels = {name: i for i, name in enumerate(atlas.genes.labels)}
        positions = np.sort([labels[name] for name in query])
        self.runs, self.n_values = [], 0
        for entry in snapshot.manifest.segments:
            segment = snapshot.segments.get(entry.id)
            stored = segment.stored
            arrays = [stored.entries] if segment.encoding == "compact" else [stored.cells, stored.values]
            for gene in positions.tolist():
                start, stop = (int(segment.offsets[gene, edge]) for edge in (0, -1))
                self.n_values += stop - start
                for array in arrays:
                    # whole words of 8 bytes
                    low, high = -(-start // 4) * 4, stop // 4 * 4
                    if low < high:
                        address = array[low:high]
                        self.runs.append(np.frombuffer(address, dtype=np.uint8))
        self.n_bytes = sum(run.size for run in self.runs)
        parts = [self.runs[k::THREADS] for k in range(THREADS)]
        self.words = [[run[: run.size // 8 * 8] for run in part] for part in parts]

    def __call__(self, threads: int = THREADS) -> None:
        """Read."""

        def work(part: list[np.ndarray]) -> int:
            return sum(int(read_all(_words(run))) & 0xFF for run in part)

        if threads == 1:
            for part in self.words:
                work(part)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, self.words))


def _words(run: np.ndarray) -> np.ndarray:
    skip = (-run.ctypes.data) % 8
    return run[skip : skip + (run.size - skip) // 8 * 8].view(np.uint64)


_ALONE = """
import json, sys, time
from insignia.atlas import Atlas
from insignia.atlas import search  # noqa: F401
def memory():
    text = open("/proc/self/status").read()
    return {key: int(text.split(key + ":")[1].split()[0]) / 1024 for key in ("VmHWM", "RssAnon", "RssFile")}
before = memory()
began = time.perf_counter()
atlas = Atlas.open(sys.argv[1])
opened = time.perf_counter()
scores = atlas.search(json.loads(sys.argv[2])).scores
searched = time.perf_counter()
after = memory()
print(json.dumps({"open_s": opened - began, "first_search_s": searched - opened,
                  "anon_mb": after["RssAnon"] - before["RssAnon"], "file_mb": after["RssFile"]}))
"""


def alone(path: Path, query: list[str]) -> dict[str, float]:
    """Open and search in a process of its own: memory of its own, pages of the files, and times."""
    done = subprocess.run([sys.executable, "-c", _ALONE, str(path), json.dumps(query)], capture_output=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(path: Path, data: Data, repeats: int) -> dict[str, Any]:
    """Time searches, warm and cold, beside the reading of the same bytes."""
    atlas = Atlas.open(path)
    limit = Limit(atlas, data.query)
    result: dict[str, Any] = {**warm_times(atlas, data.query, limit, repeats), "query_values": limit.n_values}
    result |= {"query_mb": limit.n_bytes / 1e6, "limit_gb_s": limit.n_bytes / 1e6 / result["limit_ms"]}
    result["ratio_to_limit"] = result["search_ms"] / result["limit_ms"]
    # open maps would keep pages in the cache
    del limit, atlas
    cold = []
    for _ in range(3):
        gc.collect()
        forget(path)
        began = time.perf_counter()
        Atlas.open(path).search(data.query)
        cold.append(1e3 * (time.perf_counter() - began))
    result["cold_ms"] = statistics.median(cold)
    return result | {f"alone_{name}": value for name, value in alone(path, data.query).items()}


def warm_times(atlas: Atlas, query: list[str], limit: Limit, repeats: int) -> dict[str, float]:
    """Median and least milliseconds of searches and of reading the same bytes, taking turns."""
    found: dict[str, list[float]] = {name: [] for name in ("search", "search_1_thread", "limit", "limit_1_thread")}
    for turn in range(repeats + 1):
        for name, times in found.items():
            threads = 1 if name.endswith("1_thread") else THREADS
            os.environ["INSIGNIA_THREADS"] = str(threads)
            work = partial(atlas.search, query) if name.startswith("search") else partial(limit, threads)
            took = timed(work)
            # the first turn warms files and compiled code
            if turn:
                times.append(took)
    medians = {f"{name}_ms": statistics.median(times) for name, times in found.items()}
    return medians | {f"{name}_least_ms": min(times) for name, times in found.items()}


def run(
    cells: int, *, values_per_cell: int, encoding: str = "fast", repeats: int = 9, keep: bool = False
) -> dict[str, Any]:
    """Write an atlas of this size, time it, and delete it again."""
    data = Data(Setting(cells=POOL, repeats=1, studies=1, values_per_cell=values_per_cell))
    path = cache_dir() / "benchmarks" / f"scale-{cells}-{values_per_cell}-{encoding}"
    path.parent.mkdir(parents=True, exist_ok=True)
    needed, free = 4.6 * cells * values_per_cell, shutil.disk_usage(path.parent).free
    if not path.exists() and free < 1.2 * needed:
        return {"cells": cells, "skipped": f"{needed / 1e9:.0f} GB are needed and {free / 1e9:.0f} GB are free"}
    try:
        write_s = write(path, data, cells, encoding)
        n_values = Atlas.open(path).info()["values"]
        result = {"cells": cells, "values_per_cell": values_per_cell, "encoding": encoding, "values": n_values}
        result |= {"write_s": write_s, "bytes_per_value": size(path) / n_values, "load": os.getloadavg()[0]}
        return result | measure(path, data, repeats)
    finally:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)


def many_segments() -> dict[str, Any]:
    """Open and search an atlas of 400 small segments, one for each study."""
    data = Data(Setting(cells=SEGMENTS, repeats=1, studies=1, n_genes=2_000, values_per_cell=200))
    path = cache_dir() / "benchmarks" / "segments"
    shutil.rmtree(path, ignore_errors=True)
    pool = data.study(1)
    one = Resampled(Path("x"), keys.ATTRIBUTION, pool.shape[1], pool, data.record(), 0, 50)
    atlas = Atlas.create(path, genes=data.genes, record=data.record())
    for number in range(SEGMENTS):
        atlas.add(replace(one, thing=Path(f"study{number}"), number=number), progress=False)
    result = {
        "segments": SEGMENTS,
        **{name: value for name, value in alone(path, data.query).items() if name != "cells"},
    }
    times = []
    for _ in range(9):
        began = time.perf_counter()
        atlas = Atlas.open(path)
        times.append(time.perf_counter() - began)
    shutil.rmtree(path)
    return result | {"open_warm_s": statistics.median(times)}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--values", type=int, default=1_700, help="values a cell")
    parser.add_argument("--encoding", default="fast")
    parser.add_argument("--keep", action="store_true", help="leave the atlas for another run")
    options = parser.parse_args()
    result = run(options.cells, values_per_cell=options.values, encoding=options.encoding, keep=options.keep)
    print(json.dumps({name: round(value, 4) if isinstance(value, float) else value for name, value in result.items()}))


if __name__ == "__main__":
    main()
