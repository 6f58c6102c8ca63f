"""Killed at any step of any change, an atlas is as it was before or after it, and the next change cleans up."""

import sys

import numpy as np
import pytest
from benchmarks.attack import dying
from benchmarks.attack.atlas_cells import assert_scores, cells, make_atlas

from insignia.atlas import Atlas, versions
from insignia.atlas.manifest import Manifest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children are forked and killed")
WEIGHTS = {"GENE3": 1.0, "GENE8": 2.0}
S = {name: cells(name, n) for name, n in (("S1", 6), ("S2", 4), ("S3", 5))}
NEW = {"S2": cells("S2", 3, seed=8), "S4": cells("S4", 4)}
CHANGES = {
    "add": (lambda path: Atlas.open(path).add(NEW["S4"]), [*S.values(), NEW["S4"]]),
    "replace": (lambda path: Atlas.open(path).replace(NEW["S2"]), [S["S1"], S["S3"], NEW["S2"]]),
    "remove": (lambda path: Atlas.open(path).remove("S1"), [S["S2"], S["S3"]]),
    "compact": (lambda path: Atlas.open(path).compact(), [*S.values()]),
}


@pytest.fixture(autouse=True)
def _local(monkeypatch):
    monkeypatch.setattr(versions, "_is_local", lambda path: True)


def make(path):
    return make_atlas(path, [S["S1"], S["S2"]], S["S3"]).path


def holds(path, parts):
    """Whether the atlas holds exactly these cells; searches equal dense numpy if so."""
    atlas = Atlas.open(path)
    if atlas.obs()["barcode"].tolist() != [name for part in parts for name in part.obs_names]:
        return False
    assert_scores(atlas.search(WEIGHTS).scores, parts, WEIGHTS)
    return True


def assert_clean(path):
    manifest = Manifest.read(path)
    for kind, named in (("segments", {entry.id for entry in manifest.segments}), ("screens", set(manifest.screens))):
        assert {p.name for p in (path / kind).iterdir()} == named
    assert [p.name for p in (path / "versions").iterdir()] == [versions.version_file(path, manifest).name]
    names = {p.name for p in path.iterdir()}
    assert names == {"atlas.json", "genes.parquet", "segments", "screens", "versions", "writer.lock"}


@pytest.mark.parametrize("name", list(CHANGES))
def test_killed_at_any_step(tmp_path, name):
    """Every few steps in `make test`, every one in `benchmarks.faults`."""
    change, after = CHANGES[name]
    steps = dying.count_steps(make(tmp_path / "count"), change)
    assert steps > 30, "renames, openings for writing and fsyncs are counted"
    outcomes = set()
    stride = max(1, steps // 9)
    last = range(steps - 8, steps)
    for step in sorted({*range(0, steps, stride), *last}):
        path = make(tmp_path / f"a{step}")
        assert dying.die_at(path, change, step), f"step {step} of {steps} was not reached"
        before, done = holds(path, list(S.values())), holds(path, after)
        assert before or done, f"killed at step {step}, neither the old nor the new cells are there"
        outcomes.add(done if name != "compact" else len(Manifest.read(path).segments) == 1)
        assert Atlas.open(path).verify().is_sound
        Atlas.open(path).add(cells("S9", 2))
        assert_clean(path)
        assert holds(path, [*(after if done else S.values()), cells("S9", 2)])
    assert outcomes == {True, False}, "some deaths come before the change takes effect, and some after"


@pytest.mark.parametrize("name", list(CHANGES))
def test_killed_at_any_moment(tmp_path, name):
    change, after = CHANGES[name]
    rng = np.random.default_rng([ord(letter) for letter in name])
    for number, seconds in enumerate(rng.uniform(0, 0.15, 3)):
        path = make(tmp_path / f"a{number}")
        dying.kill_after(path, change, float(seconds))
        assert holds(path, list(S.values())) or holds(path, after), seconds
        assert Atlas.open(path).verify().is_sound


def test_a_child_that_is_not_killed_changes_the_atlas(tmp_path):
    """The children of these tests do the work."""
    change, after = CHANGES["add"]
    path = make(tmp_path / "a")
    assert not dying.die_at(path, change, 10**6)
    assert holds(path, after)


@pytest.mark.parametrize("name", ["add", "replace", "remove", "compact"])
@pytest.mark.parametrize("limit", [200, 3_000, 4_200])
def test_a_full_disk_is_an_error_and_no_loss(tmp_path, name, limit):
    """No file may grow beyond a limit, which fails as a full disk does."""
    import resource

    change, after = CHANGES[name]
    path = make(tmp_path / "a")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))
    try:
        with pytest.raises(OSError, match=r"File too large|cannot be|Error writing") as caught:
            change(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert "The atlas a is as it was." in getattr(caught.value, "__notes__", [])
    assert holds(path, list(S.values()))
    assert_clean(path)
    change(path)
    assert holds(path, after)
