"""The one door for changes: one writer, readers that keep their version, and manifests that lose nothing."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import RECORD, assert_scores, cells, listing, make_atlas

from insignia.atlas import Atlas, versions
from insignia.atlas.commit import changing, tidy
from insignia.atlas.manifest import Manifest
from insignia.atlas.snapshot import Snapshot
from insignia.core.errors import AtlasBusy, AtlasDamaged, AtlasError
from insignia.core.files import canonical_json, sha256_text

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="atlases are changed where there is flock")


@pytest.fixture
def atlas(tmp_path):
    return make_atlas(tmp_path / "atlas", cells("S1", 20), cells("S2", 10))


@pytest.fixture(autouse=True)
def _local(monkeypatch):
    """Wherever the tests run, what one machine has to itself is tested."""
    monkeypatch.setattr(versions, "_is_local", lambda path: True)


def drop(path, number=0):
    """Take one segment and its studies out of the manifest."""
    with changing(path, "drop") as change:
        gone = change.manifest.segments[number].id
        return change.commit(
            replace(
                change.manifest,
                segments=tuple(entry for entry in change.manifest.segments if entry.id != gone),
                studies={name: p for name, p in change.manifest.studies.items() if p[0].segment != gone},
            )
        )


def folders(path):
    return sorted(p.name for p in (path / "segments").iterdir())


def resigned(path, change):
    content = json.loads(path.read_text("utf-8"))
    change(content)
    content.pop("sha256")
    path.write_text(
        json.dumps({**content, "sha256": sha256_text(canonical_json(content))}, ensure_ascii=False), "utf-8"
    )


def test_a_second_writer_is_told_who_holds_the_lock(atlas):
    before = listing(atlas.path)
    with changing(atlas.path, "count sheep"):
        with pytest.raises(AtlasBusy, match=rf"being changed: count sheep by process {os.getpid()} on .* since 20"):
            atlas.add(cells("S3", 5))
        tidy(atlas.path)
    assert listing(atlas.path) == before
    atlas.add(cells("S3", 5))


def test_the_lock_dies_with_its_holder(atlas):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom insignia.atlas.commit import changing\n"
        f"with changing(Path({str(atlas.path)!r}), 'hang') as change:\n"
        "    (change.segment('half') / 'cells.npy').write_bytes(b'half')\n    print('locked', flush=True)\n"
        "    time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "locked\n"
        with pytest.raises(AtlasBusy, match=f"hang by process {child.pid} on"):
            atlas.add(cells("S3", 5))
        child.kill()
    assert "half" in folders(atlas.path)
    assert json.loads((atlas.path / "writer.lock").read_text())["pid"] == child.pid
    atlas.add(cells("S3", 5))
    assert "half" not in folders(atlas.path)
    assert_scores(atlas.search(["GENE3"]).scores, [cells("S1", 20), cells("S2", 10), cells("S3", 5)], {"GENE3": 1})


def fail(folder):
    (folder / "means.npy").write_bytes(b"1")
    raise FileExistsError


def test_without_a_commit_nothing_stays(atlas):
    before = listing(atlas.path)
    with changing(atlas.path, "think again") as change:
        (change.segment("new") / "cells.npy").write_bytes(b"1")
    with pytest.raises(FileExistsError), changing(atlas.path, "fail") as change:
        fail(change.screen("new"))
    assert listing(atlas.path) == before


def test_an_error_of_the_disk_says_how_the_atlas_is(atlas, monkeypatch):
    with pytest.raises(OSError, match="no space") as caught, changing(atlas.path, "fail"):
        raise OSError(28, "no space left")
    assert caught.value.__notes__ == ["The atlas atlas is as it was."]
    whole = Manifest.write

    def write_and_fail(self, folder):
        whole(self, folder)
        raise OSError(5, "input/output error")

    monkeypatch.setattr(Manifest, "write", write_and_fail)
    with pytest.raises(OSError, match="input/output") as caught, changing(atlas.path, "fail") as change:
        change.commit(replace(change.manifest, cutoffs={"a": 1}))
    assert not hasattr(caught.value, "__notes__")
    assert Manifest.read(atlas.path).cutoffs == {"a": 1}


def test_a_reader_keeps_its_segments(atlas):
    reader = Atlas.open(atlas.path)
    gone = Manifest.read(atlas.path).segments[0].id
    drop(atlas.path)
    tidy(atlas.path)
    assert gone in folders(atlas.path)
    assert_scores(reader.search(["GENE3"]).scores, [cells("S1", 20), cells("S2", 10)], {"GENE3": 1})
    assert len(Atlas.open(atlas.path).search(["GENE3"])) == 10
    result = reader.search(["GENE3"])
    del reader
    tidy(atlas.path)
    assert gone in folders(atlas.path), "the fixture holds it as well"
    atlas.add(cells("S3", 5))
    tidy(atlas.path)
    assert len(result.obs) == 30, "a result holds its version"
    del result
    tidy(atlas.path)
    assert gone not in folders(atlas.path)
    assert len(list((atlas.path / "versions").iterdir())) == 1


def test_a_reader_in_another_process_keeps_its_segments(atlas):
    code = (
        f"import sys\nfrom insignia.atlas import Atlas\natlas = Atlas.open({str(atlas.path)!r})\n"
        "print('open', flush=True)\nsys.stdin.readline()\nprint(len(atlas.search(['GENE3']).obs))"
    )
    path = atlas.path
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "open\n"
        atlas._turn_to(drop(path))
        assert len(folders(path)) == 2
        assert child.communicate("go\n")[0] == "30\n"
    tidy(path)
    assert len(folders(path)) == 1


def test_a_snapshot_sent_to_a_worker_holds_its_version_there(atlas):
    snapshot = Snapshot.open(atlas.path)
    snapshot.segments.get(snapshot.manifest.segments[0].id)
    copy = pickle.loads(pickle.dumps(snapshot))
    assert copy == snapshot
    del snapshot
    atlas._turn_to(drop(atlas.path))
    assert len(folders(atlas.path)) == 2
    del copy
    tidy(atlas.path)
    assert len(folders(atlas.path)) == 1


def test_where_locks_may_not_be_seen_a_day_must_pass(atlas, monkeypatch):
    monkeypatch.setattr(versions, "_is_local", lambda path: False)
    atlas._turn_to(drop(atlas.path))
    assert len(folders(atlas.path)) == 2
    current = versions.version_file(atlas.path, Manifest.read(atlas.path))
    long_ago = current.stat().st_mtime - versions.GRACE_S - 60
    (old,) = set((atlas.path / "versions").iterdir()) - {current}
    os.utime(old, (long_ago, long_ago))
    tidy(atlas.path)
    assert len(folders(atlas.path)) == 2, "the day counts from when the version was replaced, not from when it was made"
    os.utime(current, (long_ago, long_ago))
    tidy(atlas.path)
    assert len(folders(atlas.path)) == 1


def test_an_atlas_without_copies_of_its_manifest_is_read_and_gets_one(atlas):
    (only,) = (atlas.path / "versions").iterdir()
    only.unlink()
    reader = Atlas.open(atlas.path)
    assert len(reader.search(["GENE3"])) == 30
    atlas.add(cells("S3", 5))
    assert versions.version_file(atlas.path, Manifest.read(atlas.path)).is_file()


def test_a_reader_that_comes_while_the_version_is_replaced_gets_the_new_one(tmp_path, monkeypatch):
    path = make_atlas(tmp_path / "a", cells("S1", 20), cells("S2", 10)).path
    read, calls = Manifest.read, []

    def read_then_lose(folder):
        manifest = read(folder)
        if not calls:
            calls.append(1)
            drop(path)
            tidy(path)
        return manifest

    monkeypatch.setattr(Manifest, "read", read_then_lose)
    snapshot = Snapshot.open(path)
    assert snapshot.hold is not None
    assert snapshot.manifest.cells == 10


def test_file_systems_without_locks(atlas, monkeypatch):
    def no_locks(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("insignia.atlas.lock.fcntl.flock", no_locks)
    assert len(Atlas.open(atlas.path).search(["GENE3"])) == 30
    with pytest.raises(AtlasError, match=r"no file locks \(Function not implemented\).*-o flock"):
        atlas.add(cells("S3", 5))


def test_entries_of_a_later_minor_version_are_kept(atlas):
    def novelties(content):
        content.update(format_version="1.9", novelty=[1])
        content["segments"][0].update(colour="red")
        content["genes"].update(release=44)
        content["ingests"][0].update(by="hand")
        content["record"].update(mood="good")
        content["screens"] = {"hallmarks": {"files": {}, "n": 2}}

    resigned(atlas.path / "atlas.json", novelties)
    (atlas.path / "screens" / "hallmarks").mkdir(parents=True)
    Atlas.open(atlas.path).add(cells("S3", 5))
    content = json.loads((atlas.path / "atlas.json").read_text("utf-8"))
    assert (content["format_version"], content["novelty"]) == ("1.9", [1])
    assert content["segments"][0]["colour"] == "red"
    assert content["genes"]["release"] == 44
    assert content["ingests"][0]["by"] == "hand"
    assert content["record"] == {**RECORD.to_dict(), "mood": "good"}
    assert content["screens"]["hallmarks"] == {"files": {}, "n": 2}
    assert (atlas.path / "screens" / "hallmarks").is_dir()
    assert len(Atlas.open(atlas.path).search(["GENE3"])) == 35


def test_an_atlas_of_format_1_0_is_read_and_changed(atlas):
    def older(content):
        content["format_version"] = "1.0"
        for name in ("version", "cutoffs", "screens"):
            del content[name]
        for ingest in content["ingests"]:
            for source in ingest["sources"]:
                del source["studies"]

    resigned(atlas.path / "atlas.json", older)
    Atlas.open(atlas.path).add(cells("S3", 5))
    assert Manifest.read(atlas.path).version == 3
    assert Atlas.open(atlas.path).studies == {"S1": 20, "S2": 10, "S3": 5}


@pytest.mark.parametrize("name", ["../etc", "", ".hidden", "a/b"])
def test_a_screen_is_a_folder_of_the_atlas(atlas, name):
    resigned(atlas.path / "atlas.json", lambda content: content["screens"].update({name: {}}))
    with pytest.raises(AtlasDamaged, match="is not the name of a folder"):
        Atlas.open(atlas.path)


def test_the_manifest_stands_twice(atlas):
    copy = versions.version_file(atlas.path, Manifest.read(atlas.path))
    assert copy.read_bytes() == (atlas.path / "atlas.json").read_bytes()
    (atlas.path / "atlas.json").write_text("{")
    with pytest.raises(AtlasDamaged, match=r"the newest one of atlas/versions"):
        Atlas.open(atlas.path)
    (atlas.path / "atlas.json").write_bytes(copy.read_bytes())
    assert np.isfinite(Atlas.open(atlas.path).search(["GENE3"]).scores).all()


@pytest.mark.full
def test_four_hundred_segments_open_at_once_and_need_few_descriptors(tmp_path):
    path = make_atlas(tmp_path / "a", cells("many", 400), max_cells_per_segment=1).path
    code = (
        "import os, resource, time, numba, duckdb\n"
        "from insignia.atlas import Atlas\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        f"path = {str(path)!r}\n"
        "Atlas.open(path)\n"
        "began = time.process_time()\natlas = Atlas.open(path)\nseconds = time.process_time() - began\n"
        "readers = [Atlas.open(path) for _ in range(20)]\n"
        "print(seconds < 0.2, len(atlas.search(['GENE3']).obs), atlas.gene_matrix(['GENE3'])[0].shape[0])\n"
        "print(atlas.compact().segments[1], len(readers[0].search(['GENE3'])), atlas.verify().is_sound, seconds)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split()[:6] == ["True", "400", "400", "1", "400", "True"], done.stdout + done.stderr
