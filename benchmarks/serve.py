"""Time the explorer under load: many users ask an atlas that is served as `insignia serve` does.

Run ``python -m benchmarks.serve`` (a million cells) or ``python -m benchmarks.serve --quick`` (50,000 cells). The atlas
is simulated once and kept in the cache folder. Every user asks one question after another; most are new, so that
nothing is taken from the cache, and one in four is the same for all. The last line is one JSON object.
"""

import argparse
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from benchmarks.parts import surroundings
from benchmarks.search_layouts import Data
from benchmarks.search_layouts import Setting as Matrix
from insignia.atlas import Atlas
from insignia.core import keys
from insignia.core.settings import cache_dir, num_threads

TISSUES = ("blood", "lung", "spleen", "colon")
DISEASES = ("normal", "sepsis", "COVID-19", "Kawasaki disease", "asthma", "lupus", "hypertension", "tuberculosis")
GENES_ASKED = 86


@dataclass(frozen=True)
class Setting:
    """Size of the atlas, and questions at each number of users."""

    cells: int
    questions: dict[int, int]
    studies: int = 40
    values_per_cell: int = 500
    seed: int = 11


FULL = Setting(1_000_000, {1: 24, 8: 96, 32: 192})
QUICK = Setting(50_000, {1: 12, 8: 32, 32: 64}, studies=20)


def simulated(setting: Setting) -> Path:
    """Write the atlas, unless it is there."""
    path = cache_dir() / "benchmarks" / f"serve-{setting.cells}-{setting.values_per_cell}-{setting.seed}"
    if (path / "done").exists():
        return path / "atlas"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    data = Data(Matrix(setting.cells, 1, studies=setting.studies, values_per_cell=setting.values_per_cell))
    atlas = Atlas.create(path / "atlas", genes=data.genes, record=data.record())
    for first in range(0, setting.studies, 5):
        print(f"simulating studies {first + 1} to {first + 5} of {setting.studies}", flush=True)
        atlas.add([_study(data, setting, number) for number in range(first, first + 5)], progress=False)
    (path / "done").touch()
    return path / "atlas"


def _study(data: Data, setting: Setting, number: int) -> AnnData:
    rng = np.random.default_rng([setting.seed, number])
    cells, genes = setting.cells // setting.studies, data.rate.size
    rate = np.minimum(data.rate * rng.lognormal(0, 0.3, genes), 0.98)
    detected = rng.binomial(cells, rate)
    rows = rng.integers(cells, size=int(detected.sum()), dtype=np.int32)
    values = rng.standard_gamma(0.8, rows.size, dtype=np.float32) + np.float32(1e-3)
    matrix = sparse.csc_matrix((values, rows, np.concatenate([[0], np.cumsum(detected)])), shape=(cells, genes)).tocsr()
    matrix.sum_duplicates()
    total = np.maximum(np.add.reduceat(matrix.data, np.minimum(matrix.indptr[:-1], matrix.nnz - 1)), 1e-6)
    matrix.data *= np.repeat((1000 / total).astype(np.float32), np.diff(matrix.indptr))
    sample = rng.integers(12, size=cells)
    obs = pd.DataFrame(
        {
            keys.STUDY: f"study{number:02d}",
            keys.SAMPLE: [f"sample{i}" for i in sample],
            keys.DONOR: [f"donor{i // 2}" for i in sample],
            keys.TISSUE: TISSUES[number % 4],
            keys.DISEASE: [DISEASES[(number + i // 4) % 8] for i in sample],
            keys.CELL_TYPE: [f"cell type {i}" for i in rng.integers(20, size=cells)],
        },
        index=[f"{number:02d}{i:014d}" for i in range(cells)],
    )
    adata = AnnData(
        obs=obs,
        var=pd.DataFrame({keys.gene_index(): np.arange(genes, dtype=np.int32)}, index=data.genes.labels),
        layers={keys.ATTRIBUTION: matrix},
    )
    adata.uns[keys.ATTRIBUTION] = data.record().to_dict()
    return adata


class Questions:
    """Questions that nobody asked before, and one that everybody asks."""

    def __init__(self, setting: Setting) -> None:
        data = Data(Matrix(setting.cells, 1, studies=setting.studies, values_per_cell=setting.values_per_cell))
        self.names, self.share = data.genes.labels, data.rate / data.rate.sum()
        self.rng, self.number = np.random.default_rng(setting.seed), count()

    def new(self) -> str:
        """Ask another signature; of the cells of all types, of some, or of a tissue."""
        picked = self.rng.choice(self.names.size, GENES_ASKED, replace=False, p=self.share)
        number = next(self.number)
        filters = (
            [],
            [f"cell_type:cell type {i}" for i in (1, 4, 7)],
            [f"tissue:{TISSUES[number % 4]}", "cell_type:cell type 3"],
        )[number % 3]
        return self._address(",".join(self.names[np.sort(picked)]), filters)

    def common(self) -> str:
        """Ask what everybody asks."""
        return self._address("GENE1,GENE2,GENE3,GENE4", [])

    @staticmethod
    def _address(genes: str, filters: list[str]) -> str:
        return (
            f"/api/atlases/atlas/search?{urlencode({'genes': genes, 'filter': filters, 'min_coverage': 0}, doseq=True)}"
        )


@contextmanager
def served(atlas: Path) -> Iterator[tuple[int, int]]:
    """Start `insignia serve` in a process of its own; give its port and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "insignia", "serve", str(atlas), "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                if ask(port, "/api/signatures")[0] == 200:
                    break
            except OSError:
                time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def ask(port: int, address: str) -> tuple[int, float]:
    """Ask one question; give the status and the milliseconds that the answer took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    began = time.perf_counter()
    try:
        connection.request("GET", address)
        response = connection.getresponse()
        response.read()
        return response.status, 1e3 * (time.perf_counter() - began)
    finally:
        connection.close()


def memory(pid: int) -> dict[str, int]:
    """Megabytes that a process has for itself, and of files that it has mapped."""
    found = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: int(found[key].split()[0]) // 1024 for name, key in {"own": "RssAnon", "mapped": "RssFile"}.items()}


def cpu_seconds(pid: int) -> float:
    """Seconds of processors that a process has used, which other load on the machine does not change."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(port: int, pid: int, users: int, addresses: list[tuple[str, str]]) -> dict[str, Any]:
    """Let users ask all questions, each one after another."""
    began, used = time.perf_counter(), cpu_seconds(pid)
    with ThreadPoolExecutor(users) as pool:
        answers = list(pool.map(lambda one: ask(port, one[1]), addresses))
    seconds = time.perf_counter() - began
    found: dict[str, Any] = {"users": users, "questions": len(answers), "errors": sum(s != 200 for s, _ in answers)}
    for kind in ("new", "common"):
        times = [ms for (name, _), (_, ms) in zip(addresses, answers, strict=True) if name == kind]
        found[kind] = {"median_ms": round(statistics.median(times)), "p99_ms": round(float(np.percentile(times, 99)))}
    found["cpu_ms_each"] = round(1e3 * (cpu_seconds(pid) - used) / sum(name == "new" for name, _ in addresses))
    return {**found, "per_second": round(len(answers) / seconds, 1)}


def run(setting: Setting) -> dict[str, Any]:
    """Serve the atlas and ask."""
    atlas, questions = simulated(setting), Questions(setting)
    with served(atlas) as (port, pid):
        first = [ask(port, questions.new()) for _ in range(4)]
        start = memory(pid)
        rows = []
        for users, n in setting.questions.items():
            kinds = ["common" if i % 4 == 3 else "new" for i in range(n)]
            addresses = [(kind, getattr(questions, kind)()) for kind in kinds]
            rows.append({**load(port, pid, users, addresses), "memory_mb": memory(pid)})
            print(_line(rows[-1]), flush=True)
    return {
        "benchmark": "serve",
        "cells": setting.cells,
        "values": setting.cells * setting.values_per_cell,
        "genes_asked": GENES_ASKED,
        "first_questions_ms": [round(ms) for _, ms in first],
        "errors": sum(status != 200 for status, _ in first) + sum(row["errors"] for row in rows),
        "memory_mb_at_start": start,
        "load": rows,
        "load_of_machine": round(os.getloadavg()[0], 2),
        **surroundings(),
        "threads": num_threads(),
    }


def _line(row: dict[str, Any]) -> str:
    new, common, used = row["new"], row["common"], row["memory_mb"]
    return (
        f"{row['users']:>3} users: median {new['median_ms']:>6,} ms, 99 % {new['p99_ms']:>6,} ms; asked before "
        f"{common['median_ms']:>5,} ms; {row['per_second']:>5} a second; {row['cpu_ms_each']:,} ms of processors each; "
        f"{row['errors']} errors; {used['own']:,} MB and {used['mapped']:,} MB mapped"
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="50,000 cells and few questions")
    quick = parser.parse_args().quick
    found = run(QUICK if quick else FULL)
    print(f"first questions after the start: {found['first_questions_ms']} ms")
    print(json.dumps({**found, "quick": quick}))


if __name__ == "__main__":
    main()
