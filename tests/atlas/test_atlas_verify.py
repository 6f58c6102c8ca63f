"""Every byte of an atlas counts: whatever is changed or cut is found, and no reader crashes over it."""

import json
import shutil
from contextlib import suppress

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import GENES, N_GENES, RECORD, cells, make_atlas

from insignia.atlas import Atlas
from insignia.atlas.commit import changing
from insignia.atlas.segment import Segment
from insignia.atlas.snapshot import Snapshot
from insignia.atlas.verify import verify_atlas
from insignia.core.errors import AtlasDamaged, AtlasError, InsigniaError
from insignia.core.files import canonical_json, sha256_file, sha256_text


@pytest.fixture(scope="module", params=["fast", "compact"])
def atlas(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("verify") / "atlas"
    made = Atlas.create(path, genes=GENES, record=RECORD, encoding=request.param)
    made.add([cells("S1", 9), cells("S2", 8, genes=[30, 3, 5, 8])])
    made.add(cells("S3", 5))
    return made


def files_of(path):
    return sorted(p for p in path.rglob("*") if p.is_file() and p.name != "writer.lock")


def ask(path):
    """Use all that a reader uses."""
    atlas = Atlas.open(path)
    atlas.search(["GENE3", "GENE30"], where="tissue = 'blood'").obs  # noqa: B018
    atlas.gene_matrix(["GENE1"])
    atlas.obs()


@pytest.fixture
def broken(atlas, tmp_path):
    return shutil.copytree(atlas.path, tmp_path / "broken")


def test_a_sound_atlas(atlas):
    report = atlas.verify()
    assert report.problems == ()
    assert report.is_sound
    assert report.left_over == 0
    assert report.files == len(files_of(atlas.path))
    assert report.bytes == sum(p.stat().st_size for p in files_of(atlas.path))
    assert "all is as it was written" in report.summary()
    quick = atlas.verify(full=False)
    assert (quick.is_sound, quick.files, quick.full) == (True, report.files, False)


def test_every_flipped_byte_is_found_and_crashes_nobody(atlas, broken):
    """Each file in turn, at its start, its end and some places between; `benchmarks.faults` does many more."""
    rng = np.random.default_rng(0)
    for original in files_of(atlas.path):
        path, whole = broken / original.relative_to(atlas.path), original.read_bytes()
        ends = {0, len(whole) - 1}
        for place in sorted(ends | set(rng.integers(0, len(whole), 4).tolist())):
            data = bytearray(whole)
            data[place] ^= int(rng.integers(1, 256))
            path.write_bytes(data)
            report = verify_or_problem(broken)
            assert report, (path.name, place)
            with suppress(AtlasError):
                ask(broken)
        path.write_bytes(whole)
    assert verify_atlas(broken).is_sound


def verify_or_problem(path):
    try:
        return verify_atlas(path).problems
    except AtlasError as error:  # another version of the format
        return (str(error),)


@pytest.mark.parametrize("full", [False, True])
def test_every_file_cut_short_or_gone_is_found(atlas, broken, full):
    for original in files_of(atlas.path):
        path, whole = broken / original.relative_to(atlas.path), original.read_bytes()
        for size in (0, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:size])
            assert verify_atlas(broken, full=full).problems, (path.name, size)
        path.unlink()
        if path.name != "atlas.json" and path.parent.name != "versions":
            assert any(path.name in problem for problem in verify_atlas(broken, full=full).problems), path.name
        path.write_bytes(whole)


def test_headers_of_arrays_crash_nobody(tmp_path):
    """Whatever stands in the header of an array, a reader says that the file is damaged."""
    path = make_atlas(tmp_path / "a", cells("S1", 9)).path
    (array,) = path.glob("segments/*/offsets.npy")
    snapshot, whole, refused = Snapshot.open(path), array.read_bytes(), 0
    (entry,) = snapshot.manifest.segments
    for place in range(128):
        for value in (0, 255, whole[place] ^ 32, whole[place] ^ 1, 34, 57):
            data = bytearray(whole)
            data[place] = value
            array.write_bytes(data)
            try:
                Segment.open(path, entry, N_GENES)
            except AtlasDamaged:
                refused += 1
    assert refused > 200


def resign(path, segment=None):
    """Make every hash right again, so that only the content itself can be found wrong."""
    content = json.loads((path / "atlas.json").read_text("utf-8"))
    for entry in content["segments"]:
        folder = path / "segments" / entry["id"]
        header = json.loads((folder / "segment.json").read_text("utf-8"))
        for name, about in header["files"].items():
            about.update(bytes=(folder / name).stat().st_size, sha256=sha256_file(folder / name))
        (folder / "segment.json").write_text(json.dumps(header), "utf-8")
        entry.update(sha256=sha256_file(folder / "segment.json"), bytes=sum(p.stat().st_size for p in folder.iterdir()))
    content.pop("sha256")
    content["sha256"] = sha256_text(canonical_json(content))
    shutil.rmtree(path / "versions", ignore_errors=True)
    (path / "atlas.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")


def change_array(path, change):
    array = np.load(path)
    change(array)
    np.save(path, array)


def double(values):
    values[:] = values * 2


def swap(array):
    array[0], array[1] = array[1].copy(), array[0].copy()


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("cells.npy", swap, "cells do not ascend"),
        ("cells.npy", lambda a: a.__setitem__(np.s_[-1], 60_000), "a cell is beyond the last one"),
        ("values.npy", lambda a: a.__setitem__(3, 0), "a value is 0 or not finite"),
        ("values.npy", lambda a: a.__setitem__(3, np.nan), "a value is 0 or not finite"),
        ("values.npy", double, "do not add up to 1000"),
        ("measured.npy", lambda a: a.__setitem__((0, 3), False), "has values where it was not measured"),
        ("offsets.npy", lambda a: a.__setitem__((0, 1), a[0, 1] + 1), "offsets do not follow each other"),
        ("offsets.npy", lambda a: a.__setitem__((0, 0), 1), "offsets do not follow each other"),
    ],
)
def test_content_that_no_writer_writes_is_found_though_every_hash_is_right(tmp_path, name, change, problem):
    path = make_atlas(tmp_path / "a", cells("S1", 9, density=0.9)).path
    resign(path)
    assert verify_atlas(path).is_sound
    change_array(next(iter(path.glob(f"segments/*/{name}"))), change)
    resign(path)
    assert any(problem in told for told in verify_atlas(path).problems), verify_atlas(path).problems


def test_ranges_and_studies_must_fit_the_metadata(tmp_path):
    path = make_atlas(tmp_path / "a", [cells("S1", 9), cells("S2", 4)]).path
    header = next(iter(path.glob("segments/*/segment.json")))
    content = json.loads(header.read_text("utf-8"))
    content["ranges"][0]["stop"] = content["ranges"][1]["start"] = 7
    header.write_text(json.dumps(content), "utf-8")
    resign(path)
    told = "\n".join(verify_atlas(path).problems)
    assert "rows 7 to 13 are not all of study 'S2'" in told
    assert "The rows of study 'S1' in segment" in told


def test_sidecars_and_left_overs(tmp_path):
    atlas = make_atlas(tmp_path / "a", cells("S1", 9))
    with changing(atlas.path, "screen") as change:
        folder = change.screen("mine")
        (folder / "means.npy").write_bytes(b"12345")
        about = {"files": {"means.npy": {"bytes": 5, "sha256": sha256_file(folder / "means.npy")}}}
        manifest = change.manifest
        change.commit(type(manifest)(**{**vars(manifest), "screens": {**manifest.screens, "mine": about}}))
    assert atlas.verify().is_sound
    (atlas.path / "segments" / "half").mkdir()
    assert (atlas.verify().is_sound, atlas.verify().left_over) == (True, 1)
    (atlas.path / "screens" / "mine" / "means.npy").write_bytes(b"12346")
    assert atlas.verify().problems == ("screens/mine/means.npy is not what was written: its sha256 differs.",)
    assert atlas.verify(full=False).is_sound
    assert "1 left-overs" in atlas.verify().summary()


def test_what_is_no_atlas_is_refused(tmp_path):
    with pytest.raises(InsigniaError, match=r"not an atlas"):
        verify_atlas(tmp_path)
