"""Time adding attributed files to an atlas against writing them in the published TileDB layout.

Run ``python -m benchmarks.ingest`` (50,000 cells) or ``python -m benchmarks.ingest --quick`` (10,000). Both sides get
the same simulated cells of several studies. The atlas reads h5ad files block by block, checks them, and writes values,
metadata and hashes to the disk; TileDB gets finished arrays of coordinates in memory, one write for each 25,000 cells,
without consolidation. Each side runs in a process of its own, whose memory is watched. The last line is one JSON
object.
"""

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.parts import surroundings
from benchmarks.search import size
from benchmarks.search_layouts import FRAGMENT, Data, Setting
from insignia.atlas import Atlas
from insignia.core.settings import cache_dir
from insignia.data import read, write_h5ad

STUDIES = 5


class Watch:
    """Peak of the memory of this process that is its own (not pages of files), above what it had at the start."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._start = self._peak = anonymous()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(0.01):
            self._peak = max(self._peak, anonymous())

    def peak_mb(self) -> float:
        """Stop watching."""
        self._stop.set()
        self._thread.join()
        return (max(self._peak, anonymous()) - self._start) / 1024


def anonymous() -> int:
    """Memory of this process but for pages of files, kB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0])


def write_sources(folder: Path, data: Data) -> int:
    """Write one attributed file for each study, and return the number of values."""
    n_values = 0
    for number in range(STUDIES):
        matrix = data.study(number + 1)
        n_values += matrix.nnz
        write_h5ad(data.adata(number, matrix), folder / f"study{number}.h5ad")
    return n_values


def add_to_atlas(folder: Path, data: Data, encoding: str) -> dict[str, float]:
    """Add all files in one call."""
    warm = Atlas.create(folder / "warm", genes=data.genes, record=data.record(), encoding=encoding)
    warm.add(read(folder / "study0.h5ad")[:5].copy(), progress=False)
    atlas = Atlas.create(folder / encoding, genes=data.genes, record=data.record(), encoding=encoding)
    sources = sorted(folder.glob("*.h5ad"))
    watch, began = Watch(), time.perf_counter()
    atlas.add(sources, progress=False)
    return {"s": time.perf_counter() - began, "peak_mb": watch.peak_mb(), "mb": size(folder / encoding) / 1e6}


def write_tiledb(folder: Path, _: Data) -> dict[str, float]:
    """Write the published layout from memory; only the writes are timed."""
    import tiledb

    key = next(iter(read(folder / "study0.h5ad", backed=True).layers))
    matrices = [read(path).layers[key] for path in sorted(folder.glob("*.h5ad"))]
    matrix = sparse.vstack(matrices, format="csr")
    del matrices
    path = str(folder / "tiledb")
    domain = tiledb.Domain(
        tiledb.Dim(name="x", domain=(0, matrix.shape[0] - 1), dtype=np.uint32),
        tiledb.Dim(name="y", domain=(0, matrix.shape[1] - 1), dtype=np.uint32),
    )
    values = tiledb.Attr(name="vals", dtype=np.float32, filters=tiledb.FilterList([tiledb.GzipFilter()]))
    order = {"cell_order": "col-major", "tile_order": "col-major"}
    tiledb.Array.create(path, tiledb.ArraySchema(domain=domain, attrs=[values], sparse=True, **order))
    seconds, watch = 0.0, Watch()
    for start in range(0, matrix.shape[0], FRAGMENT):
        block = matrix[start : start + FRAGMENT].tocsc()
        rows = (block.indices + start).astype(np.uint32)
        columns = np.repeat(np.arange(block.shape[1], dtype=np.uint32), np.diff(block.indptr))
        began = time.perf_counter()
        with tiledb.open(path, "w") as array:
            array[rows, columns] = block.data
        seconds += time.perf_counter() - began
    return {"s": seconds, "peak_mb": watch.peak_mb(), "mb": size(folder / "tiledb") / 1e6}


SIDES: dict[str, Callable[[Path, Data], dict[str, float]]] = {
    "fast": lambda folder, data: add_to_atlas(folder, data, "fast"),
    "compact": lambda folder, data: add_to_atlas(folder, data, "compact"),
    "tiledb": write_tiledb,
}


def run(cells: int) -> dict[str, Any]:
    """Write the files, then let each side take them in a process of its own."""
    folder = cache_dir() / "benchmarks" / f"ingest-{cells}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        n_values = write_sources(folder, Data(setting_of(cells)))
        result: dict[str, Any] = {"benchmark": "ingest", "cells": cells, "values": n_values}
        for side in SIDES:
            shutil.rmtree(folder / "warm", ignore_errors=True)
            command = [sys.executable, "-m", "benchmarks.ingest", "--side", side, "--cells", str(cells)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            result |= {f"{side}_{name}": value for name, value in found.items()}
            print(f"{side}: {found['s']:.1f} s, {found['peak_mb']:.0f} MB of memory, {found['mb']:.0f} MB", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result["speedup_vs_tiledb"] = result["tiledb_s"] / result["fast_s"]
    result["speedup_vs_tiledb_compact"] = result["tiledb_s"] / result["compact_s"]
    result["values_per_s"] = n_values / result["fast_s"]
    return result | surroundings()


def setting_of(cells: int) -> Setting:
    """Size of the data."""
    return Setting(cells=cells, repeats=1, studies=STUDIES)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="10,000 cells")
    parser.add_argument("--cells", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    cells = options.cells or (10_000 if options.quick else 50_000)
    if options.side:
        folder = cache_dir() / "benchmarks" / f"ingest-{cells}"
        print(json.dumps(SIDES[options.side](folder, Data(setting_of(cells)))))
        return
    result = run(cells)
    met = "met" if result["speedup_vs_tiledb"] >= 10 else "MISSED"
    print(f"speedup_vs_tiledb: {result['speedup_vs_tiledb']:.1f}, target >= 10: {met}")
    print(json.dumps({name: round(value, 4) if isinstance(value, float) else value for name, value in result.items()}))


if __name__ == "__main__":
    main()
