"""Time a screen of many signatures over all groups of cells against searching them one by one.

Run ``python -m benchmarks.screen`` (200,000 cells, 2,000 signatures) or ``python -m benchmarks.screen --quick`` (20,000
cells, 300 signatures). The baseline is what one would do without group means: `Atlas.search` for each signature, and
the mean of its scores in every group, the groups of the cells being known beforehand. It is timed on some of the
signatures and multiplied. The last line is one JSON object.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.parts import surroundings
from benchmarks.search_layouts import Data, Setting
from insignia.atlas import Atlas
from insignia.atlas.screens.grouping import GROUP_COLUMNS
from insignia.atlas.screens.means import group_codes
from insignia.core.errors import CoverageWarning
from insignia.core.settings import cache_dir
from insignia.genes import Signature

TIMED = 24


class DonorData(Data):
    """Data of `benchmarks.search` in which half of the donors of every study are ill, so that they can be compared."""

    def adata(self, number: int, matrix: Any) -> Any:
        """One study as attributed cells."""
        made = super().adata(number, matrix)
        made.obs["disease"] = np.where(made.obs["donor"].str[-1].astype(int) % 2, "sepsis", "normal")
        return made


def signatures(data: Data, n: int) -> list[Signature]:
    """Signatures of 20 to 200 genes, drawn by how often these are detected; every fourth is signed."""
    rng = np.random.default_rng(data.setting.seed + 2)
    share = data.rate / data.rate.sum()
    made = []
    for k in range(n):
        size = int(rng.integers(20, 200))
        genes = [f"GENE{g}" for g in rng.choice(data.setting.n_genes, size, replace=False, p=share)]
        weights = rng.choice([-1.0, 1.0], size) if k % 4 == 0 else np.ones(size)
        made.append(Signature(f"set {k}", tuple(genes), tuple(weights)))
    return made


def atlas_of(data: Data, folder: Path) -> tuple[Atlas, float]:
    """Build the atlas, and time it."""
    atlas = Atlas.create(folder / "atlas", genes=data.genes, record=data.record())
    sources = [data.adata(number, data.study(number)) for number in range(data.setting.studies)]
    began = time.perf_counter()
    atlas.add(sources, progress=False)
    return atlas, time.perf_counter() - began


def timed(run: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """Shortest seconds of some runs, and what the last gave."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        found = run()
        times.append(time.perf_counter() - began)
    return min(times), found


def one_by_one(atlas: Atlas, sets: list[Signature]) -> tuple[float, np.ndarray]:
    """Search each signature and average its scores over groups: seconds, and (groups, signatures)."""
    groups, codes = group_codes(atlas.obs()[list(GROUP_COLUMNS)])
    sizes = np.bincount(codes, minlength=len(groups))

    def score(one: Signature) -> np.ndarray:
        return np.bincount(codes, atlas.search(one).scores, minlength=len(groups)) / sizes

    seconds, scores = timed(lambda: [score(one) for one in sets], 2)
    return seconds, np.stack(scores, axis=1)


def run(setting: Setting, n_signatures: int) -> dict[str, Any]:
    """Build, screen, search and compare."""
    data = DonorData(setting)
    with tempfile.TemporaryDirectory(dir=_scratch()) as name:
        atlas, add_s = atlas_of(data, Path(name))
        sets = signatures(data, n_signatures)
        warnings.simplefilter("ignore", CoverageWarning)
        atlas.screen(sets[:3])  # compiles
        cold_s, _ = timed(lambda: Atlas.open(atlas.path).screen(sets), 1)
        screen_s, screen = timed(lambda: atlas.screen(sets))
        slow_s, slow = one_by_one(atlas, sets[:TIMED])
        per_search = slow_s / TIMED
        found = screen.scores[:, :TIMED].astype(np.float64)
        error = float(np.abs(found - slow).max() / np.abs(slow).max())
        regroup_s, report = timed(atlas.regroup, 1)
        compare_s, comparison = timed(lambda: screen.compare(min_cells=20), 1)
        return {
            "benchmark": "screen",
            "cells": setting.cells,
            "values": atlas.info()["values"],
            "signatures": n_signatures,
            "genes_a_signature": round(float(np.mean([len(one) for one in sets])), 1),
            "groups": len(screen.groups),
            "screen_s": screen_s,
            "screen_cold_s": cold_s,
            "signature_groups_per_s": n_signatures * len(screen.groups) / screen_s,
            "search_s_each": per_search,
            "one_by_one_s": per_search * n_signatures,
            "speedup": per_search * n_signatures / screen_s,
            "largest_difference": error,
            "baseline": f"Atlas.search and group means, one by one; {TIMED} timed",
            "add_s": add_s,
            "regroup_s": regroup_s,
            "group_bytes_share": report.bytes / atlas.info()["bytes"],
            **_compared(comparison.table, compare_s),
            "load": round(os.getloadavg()[0], 1),
            **surroundings(),
        }


def _compared(table: Any, seconds: float) -> dict[str, Any]:
    """Say how fast donors are compared, and how many are called where nothing was planted."""
    return {
        "compare_s": seconds,
        "comparisons": len(table),
        "comparisons_per_s": len(table) / seconds,
        "called_without_effect": int((table["q"] <= 0.05).sum()),
    }


def _scratch() -> Path:
    folder = cache_dir() / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("screen-*"):
        shutil.rmtree(old, ignore_errors=True)
    return folder


def table(result: dict[str, Any]) -> str:
    """Say it for people."""
    pace = f"{result['signature_groups_per_s']:,.0f} signatures x groups a second"
    each = f"{1e3 * result['search_s_each']:.1f} ms each; {result['baseline']}"
    share = f"{100 * result['group_bytes_share']:.1f} % of the bytes of the cells"
    donors = f"{result['comparisons']:,} of donors, {result['called_without_effect']} called where nothing was planted"
    rows = [
        ("screen, warm", result["screen_s"], pace),
        ("screen, just opened", result["screen_cold_s"], ""),
        ("one by one", result["one_by_one_s"], each),
        ("making group means", result["regroup_s"], share),
        ("comparison", result["compare_s"], donors),
    ]
    head = (
        f"{result['signatures']:,} signatures of {result['genes_a_signature']:g} genes in {result['groups']:,} groups "
        f"of {result['cells']:,} cells ({result['values']:,} values)"
    )
    lines = [f"{name:22}{seconds:9.2f} s   {note}" for name, seconds, note in rows]
    return "\n".join([head, *lines, f"largest difference {result['largest_difference']:.1e} of the largest score"])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20,000 cells, 300 signatures")
    quick = parser.parse_args().quick
    setting = Setting(cells=20_000 if quick else 200_000, repeats=3, studies=8 if quick else 40)
    result = {"quick": quick, **run(setting, 300 if quick else 2_000)}
    print(table(result))
    for name, sign, target in (("speedup", ">=", 5 if quick else 20), ("largest_difference", "<=", 1e-5)):
        met = result[name] >= target if sign == ">=" else result[name] <= target
        print(f"{name}: {result[name]:.3g}, target {sign} {target:g}: {'met' if met else 'MISSED'}")
    print(json.dumps({name: round(value, 9) if isinstance(value, float) else value for name, value in result.items()}))


if __name__ == "__main__":
    main()
