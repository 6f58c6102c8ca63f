"""Does an atlas survive being killed, and is damage found? Kills at every step, kills at any moment, flipped bytes.

    python -m benchmarks.faults [--quick | --full] [--folder DIR]

A child process runs add, replace, remove or compact and is killed (SIGKILL): at each step towards the disk (opening
for writing, renaming, deleting, fsync) in turn, and at random moments. After each kill the atlas must open as it was
before or after the change, verify in full, and answer searches like dense numpy; then another change must clean up.
`lost` counts atlases that did not. Flips change one byte to another value, or cut a file at a place, in every file;
`flips_missed` counts those that `verify` does not report, `crashes` readers that raise anything but `AtlasError`.

Then every family of `benchmarks.attack` puts hostile inputs under the commands that read them: files that are damaged,
that lie about their sizes, that unpack to gigabytes, that name other places, that want code to be run. Each is tried in
a child process with limits to memory and time, and must be answered rightly or refused in words of ours with a
documented exit code, with nothing left half-written; else it is lost, and the line says why.

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
from benchmarks.attack.campaign import attack, families
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


def hostile_inputs(names, amount, sample, seconds):
    """Attack with all families, each within its share of the time; the count of each."""
    found = {}
    for name in names:
        tally = attack(name, amount=amount, sample=sample, seconds=seconds / len(names))
        found[name] = {part: getattr(tally, part) for part in ("tried", "answered", "refused", "lost")}
        print(f"{name}: " + ", ".join(f"{count:,} {part}" for part, count in found[name].items()), flush=True)
    return found


def main():
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", action="store_true", help="every 4th step, few random kills and flips, a sample of inputs"
    )
    size.add_argument("--full", action="store_true", help="thousands of random kills, flips and inputs")
    parser.add_argument("--folder", type=Path, help="where to work, e.g. on another file system")
    parser.add_argument("--family", action="append", help="attack with this family of inputs alone; repeat for more")
    parser.add_argument("--seconds", type=float, help="end the attack after this time, shared by the families")
    options = parser.parse_args()
    stride, n_random, per_file = (4, 5, 5) if options.quick else (1, 500, 400) if options.full else (1, 50, 40)
    amount, sample, seconds = (1, 8, 60) if options.quick else (20, None, np.inf) if options.full else (2, 100, np.inf)
    warnings.simplefilter("ignore")
    tempfile.tempdir = None if options.folder is None else str(options.folder)
    rng = np.random.default_rng(0)
    began = time.perf_counter()
    counts = {}
    if not options.family:
        with tempfile.TemporaryDirectory() as name:
            n_kills, n_lost = kills(Path(name), stride, n_random, rng)
            n_flips, n_missed, n_crashes = flips(Path(name), per_file, rng)
        counts = {"kills": n_kills, "lost": n_lost, "flips": n_flips, "flips_missed": n_missed, "crashes": n_crashes}
    inputs = hostile_inputs(options.family or families(), amount, sample, options.seconds or seconds)
    totals = {part: sum(one[part] for one in inputs.values()) for part in ("tried", "answered", "refused", "lost")}
    print(
        json.dumps({**counts, "inputs": totals, "families": inputs, "seconds": round(time.perf_counter() - began, 1)})
    )


if __name__ == "__main__":
    main()
