"""Does an atlas survive being killed, and is damage found? Kills at every step, kills at any moment, flipped bytes.

    python -m benchmarks.faults [--quick | --full] [--folder DIR]

A child process runs add, replace, remove or compact and is killed (SIGKILL): at each step towards the disk (opening
for writing, renaming, deleting, fsync) in turn, and at random moments. After each kill the atlas must open as it was
before or after the change, verify in full, and answer searches like dense numpy; then another change must clean up.
`lost` counts atlases that did not. Flips change one byte to another value, or cut a file at a place, in every file;
`flips_missed` counts those that `verify` does not report, `crashes` readers that raise anything but `AtlasError`.

The last line is JSON.
"""

import argparse
import json
import shutil
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from benchmarks.attack import dying
from benchmarks.attack.atlas_cells import GENES, RECORD, assert_scores, cells, make_atlas
from insignia.atlas import Atlas
from insignia.atlas.verify import verify_atlas
from insignia.core.errors import AtlasError

WEIGHTS = {"GENE3": 1.0, "GENE8": 2.0}
OLD = {name: cells(name, n) for name, n in (("S1", 60), ("S2", 40), ("S3", 50))}
NEW = {"S2": cells("S2", 30, seed=8), "S4": cells("S4", 40)}
CHANGES = {
    "add": (lambda path: Atlas.open(path).add(NEW["S4"]), [*OLD.values(), NEW["S4"]]),
    "replace": (lambda path: Atlas.open(path).replace(NEW["S2"]), [OLD["S1"], OLD["S3"], NEW["S2"]]),
    "remove": (lambda path: Atlas.open(path).remove("S1"), [OLD["S2"], OLD["S3"]]),
    "compact": (lambda path: Atlas.open(path).compact(), [*OLD.values()]),
}


def holds(path, parts):
    """Whether an atlas holds these cells and answers like dense numpy."""
    atlas = Atlas.open(path)
    if atlas.obs()["barcode"].tolist() != [name for part in parts for name in part.obs_names]:
        return False
    assert_scores(atlas.search(WEIGHTS).scores, parts, WEIGHTS)
    return True


def survived(path, after):
    """Whether the atlas is as before or after the change, and the next change cleans up."""
    try:
        done = holds(path, after)
        if not done and not holds(path, list(OLD.values())):
            return False
        more = cells("S9", 5)
        Atlas.open(path).add(more)
        report = verify_atlas(path)
        return report.is_sound and not report.left_over and holds(path, [*(after if done else OLD.values()), more])
    except (AtlasError, AssertionError, OSError) as error:
        print(f"lost: {error!r}", flush=True)
        return False


def kills(folder, stride, n_random, rng):
    """Kill each change at every `stride`-th step, and at random moments."""
    start = make_atlas(folder / "start", [OLD["S1"], OLD["S2"]], OLD["S3"]).path
    n_kills = n_lost = 0
    for name, (change, after) in CHANGES.items():
        path = shutil.copytree(start, folder / "copy")
        began = time.perf_counter()
        steps = dying.count_steps(path, change)
        seconds = time.perf_counter() - began
        ways = [(dying.die_at, step) for step in range(0, steps, stride)]
        ways += [(dying.kill_after, float(moment)) for moment in rng.uniform(0, 1.2 * seconds, n_random)]
        for way, when in ways:
            shutil.rmtree(path)
            shutil.copytree(start, path)
            n_kills += way(path, change, when)
            n_lost += not survived(path, after)
        shutil.rmtree(path)
        print(f"{name}: {steps} steps, {len(ways)} attempts, {n_kills} kills so far, {n_lost} lost", flush=True)
    return n_kills, n_lost


def flips(folder, per_file, rng):
    """Change bytes of every file of both encodings; count what `verify` misses and what readers crash over."""
    n_flips = n_missed = n_crashes = 0
    for encoding in ("fast", "compact"):
        path = folder / encoding
        atlas = Atlas.create(path, genes=GENES, record=RECORD, encoding=encoding)
        atlas.add([cells("S1", 30), cells("S2", 20, genes=[30, 3, 5, 8])])
        for file in sorted(p for p in path.rglob("*") if p.is_file() and p.name != "writer.lock"):
            whole = file.read_bytes()
            for place in rng.integers(0, len(whole), per_file).tolist():
                data = bytearray(whole)
                data[place] ^= int(rng.integers(1, 256))
                file.write_bytes(data if rng.random() < 0.8 else whole[:place])
                n_flips += 1
                if not found(path):
                    n_missed += 1
                    print(f"missed: {file.relative_to(path)} at {place}", flush=True)
                n_crashes += crashes(path)
            file.write_bytes(whole)
    return n_flips, n_missed, n_crashes


def found(path):
    """Whether `verify` reports a problem."""
    try:
        return not verify_atlas(path).is_sound
    except AtlasError:  # e.g. another version of the format
        return True


def crashes(path):
    """Whether a reader fails with anything but an error of atlases."""
    try:
        atlas = Atlas.open(path)
        atlas.search(WEIGHTS, where="tissue = 'blood'", min_coverage=0).obs  # noqa: B018
        atlas.gene_matrix(["GENE1"])
    except AtlasError:
        return False
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
        print(f"crash: {error!r}", flush=True)
        return True
    return False


def main():
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="every 4th step, few random kills and flips")
    size.add_argument("--full", action="store_true", help="thousands of random kills and flips")
    parser.add_argument("--folder", type=Path, help="where to work, e.g. on another file system")
    options = parser.parse_args()
    stride, n_random, per_file = (4, 5, 5) if options.quick else (1, 500, 400) if options.full else (1, 50, 40)
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        n_kills, n_lost = kills(Path(name), stride, n_random, rng)
        n_flips, n_missed, n_crashes = flips(Path(name), per_file, rng)
    counts = {"kills": n_kills, "lost": n_lost, "flips": n_flips, "flips_missed": n_missed, "crashes": n_crashes}
    print(json.dumps({**counts, "seconds": round(time.perf_counter() - began, 1)}))


if __name__ == "__main__":
    main()
