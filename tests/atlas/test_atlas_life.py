"""Removing, replacing and packing: what is left is what an atlas made without the detour holds."""

import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from benchmarks.attack.atlas_cells import GENES, N_GENES, RECORD, assert_scores, cells, listing, make_atlas

from insignia.atlas import Atlas, kernels, layout, merge, rewrite, versions
from insignia.atlas.manifest import Manifest
from insignia.atlas.snapshot import Snapshot
from insignia.core.errors import AtlasDamaged, DuplicateStudy, InputError
from insignia.core.files import sha256_file
from insignia.data import write_h5ad

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="atlases are changed where there is flock")
WEIGHTS = {"GENE3": 1.0, "GENE8": 2.0, "GENE17": -0.5}


@pytest.fixture(autouse=True)
def _local(monkeypatch):
    monkeypatch.setattr(versions, "_is_local", lambda path: True)


@pytest.fixture
def studies():
    return {
        "S1": cells("S1", 30),
        "S2": cells("S2", 25, genes=[30, 3, 5, 8], disease="a || b"),
        "S3": cells("S3", 1),
        "S4": cells("S4", 12, density=0.0),
        "S5": cells("S5", 20, seed=4),
    }


def folders(atlas):
    return {path.name for path in (atlas.path / "segments").iterdir()}


def assert_holds(atlas, parts):
    """The atlas holds these cells in this order, as does whoever opens it anew, and nothing else lies around."""
    assert list(atlas.studies) == list(dict.fromkeys(part.obs["study"].iloc[0] for part in parts))
    for one in (atlas, Atlas.open(atlas.path)):
        result = one.search(WEIGHTS, min_coverage=0.1)
        assert_scores(result.scores, parts, WEIGHTS, min_coverage=0.1)
        obs = one.obs()
        assert obs["barcode"].tolist() == [name for part in parts for name in part.obs_names]
        for column in ("study", "sample", "donor", "disease", "cell_type"):
            assert obs[column].astype(str).tolist() == [str(v) for part in parts for v in part.obs[column]]
        matrix = one.gene_matrix(["GENE3", "GENE0"])[0].toarray()
        assert matrix.shape == (sum(part.n_obs for part in parts), 2)
    manifest = Manifest.read(atlas.path)
    assert folders(atlas) == {entry.id for entry in manifest.segments}
    assert len(list((atlas.path / "versions").iterdir())) == 1
    covered = sorted((part.segment, part.start, part.stop) for parts in manifest.studies.values() for part in parts)
    assert sum(stop - start for _, start, stop in covered) == manifest.cells


@pytest.mark.parametrize("encoding", ["fast", "compact"])
@pytest.mark.parametrize("gone", [["S1"], ["S2"], ["S3", "S5"], ["S1", "S2", "S3", "S4"]])
def test_removing_studies_leaves_the_others(tmp_path, studies, gone, encoding):
    atlas = Atlas.create(tmp_path / "a", genes=GENES, record=RECORD, encoding=encoding)
    atlas.add([studies["S1"], studies["S2"], studies["S3"]])
    atlas.add([studies["S4"], studies["S5"]])
    want = {name: atlas.search(WEIGHTS, where=f"study = '{name}'", min_coverage=0).scores for name in studies}
    report = atlas.remove(gone)
    left = {name: part for name, part in studies.items() if name not in gone}
    assert report.studies == {name: studies[name].n_obs for name in gone}
    assert report.bytes[1] == sum(p.stat().st_size for p in (atlas.path / "segments").rglob("*") if p.is_file())
    for name in left:
        found = atlas.search(WEIGHTS, where=f"study = '{name}'", min_coverage=0).scores
        np.testing.assert_array_equal(found, want[name])
    if encoding == "fast":
        assert_holds(atlas, list(left.values()))


def test_nothing_of_a_removed_study_is_left_on_disk(tmp_path):
    secret = cells("Secret study", 9, donor="SECRETDONOR")
    atlas = make_atlas(tmp_path / "a", [cells("S1", 20), secret])
    atlas.remove("Secret study")
    for path in atlas.path.rglob("*"):
        if path.is_file():
            assert b"SECRETDONOR" not in path.read_bytes()
            assert b"Secret study" not in path.read_bytes()
            assert path.suffix != ".parquet" or path.name == "genes.parquet" or no_secret(path)


def no_secret(path):
    return not any("SECRET" in str(value) for column in pq.read_table(path).columns for value in column.unique())


def test_all_studies_can_go_and_come_back(tmp_path, studies):
    write_h5ad(studies["S1"], tmp_path / "s1.h5ad")
    atlas = make_atlas(tmp_path / "a", [tmp_path / "s1.h5ad", studies["S2"]])
    atlas.remove(["S1", "S2"])
    assert (len(atlas), atlas.studies, folders(atlas)) == (0, {}, set())
    assert Manifest.read(atlas.path).ingests == ()
    assert atlas.obs().empty
    atlas.add(tmp_path / "s1.h5ad")
    assert_holds(atlas, [studies["S1"]])


def test_a_file_may_come_back_only_once_its_own_studies_are_gone(tmp_path, studies):
    for name in ("S1", "S2"):
        write_h5ad(studies[name], tmp_path / f"{name}.h5ad")
    atlas = make_atlas(tmp_path / "a", [tmp_path / "S1.h5ad", tmp_path / "S2.h5ad"])
    atlas.remove("S1")
    with pytest.raises(DuplicateStudy, match=r"S2.h5ad is in the atlas already"):
        atlas.add(tmp_path / "S2.h5ad", constants={"study": "other"})
    atlas.add(tmp_path / "S1.h5ad")
    assert_holds(atlas, [studies["S2"], studies["S1"]])


def test_unknown_studies_are_refused(tmp_path, studies):
    atlas = make_atlas(tmp_path / "a", [studies["S1"], studies["S2"]])
    before = listing(atlas.path)
    with pytest.raises(InputError, match=r"no study 'S11'. It has 2, close ones: S1"):
        atlas.remove(["S1", "S11"])
    with pytest.raises(InputError, match="no study ''"):
        atlas.remove([])
    assert listing(atlas.path) == before


def test_replacing_is_one_change(tmp_path, studies):
    atlas = make_atlas(tmp_path / "a", [studies["S1"], studies["S2"]], studies["S3"])
    reader, before = Atlas.open(atlas.path), Manifest.read(atlas.path)
    new = cells("S2", 7, seed=11)
    with pytest.raises(DuplicateStudy, match=r"replace\(\)"):
        atlas.add(new)
    report = atlas.replace([new, studies["S4"]])
    assert report.replaced == ("S2",)
    assert "2 studies, 1 of them in place of older ones" in report.summary()
    assert Manifest.read(atlas.path).version == before.version + 1
    assert_scores(
        reader.search(WEIGHTS, min_coverage=0.1).scores, list(studies.values())[:3], WEIGHTS, min_coverage=0.1
    )
    del reader
    atlas.add(cells("S9", 1))
    assert_holds(atlas, [studies["S1"], studies["S3"], new, studies["S4"], cells("S9", 1)])


def test_the_same_file_may_replace_its_study(tmp_path, studies):
    write_h5ad(studies["S1"], tmp_path / "s1.h5ad")
    atlas = make_atlas(tmp_path / "a", tmp_path / "s1.h5ad", studies["S3"])
    atlas.replace(tmp_path / "s1.h5ad")
    assert_holds(atlas, [studies["S3"], studies["S1"]])


def test_a_replacement_that_fails_changes_nothing(tmp_path, studies):
    atlas = make_atlas(tmp_path / "a", [studies["S1"], studies["S2"]])
    before = listing(atlas.path)
    bad = cells("S2", 5)
    bad.layers["attribution"].data[0] = np.nan
    with pytest.raises(InputError, match="NaN or infinite"):
        atlas.replace(bad)
    assert listing(atlas.path) == before


@pytest.mark.parametrize("encoding", ["fast", "compact"])
def test_packing_keeps_rows_values_and_scores(tmp_path, studies, encoding, monkeypatch):
    monkeypatch.setattr(merge, "_VALUES_AT_ONCE", 50)
    atlas = Atlas.create(tmp_path / "a", genes=GENES, record=RECORD, encoding=encoding)
    for part in studies.values():
        atlas.add(part, max_cells_per_segment=8)
    want = atlas.search(WEIGHTS, min_coverage=0.1).scores
    before, values = atlas.obs(), atlas.info()["values"]
    report = atlas.compact()
    assert report.segments == (14, 1)
    assert report.rewritten == 88
    np.testing.assert_array_equal(atlas.search(WEIGHTS, min_coverage=0.1).scores, want)
    assert before.astype(str).equals(atlas.obs().astype(str))
    assert atlas.info()["values"] == values
    if encoding == "fast":
        assert_holds(atlas, list(studies.values()))
        whole = make_atlas(tmp_path / "b", list(studies.values()))
        for name in (layout.CELLS, layout.VALUES, layout.OFFSETS, layout.MEASURED):
            ours, theirs = (next(one.path.glob(f"segments/*/{name}")) for one in (atlas, whole))
            assert sha256_file(ours) == sha256_file(theirs), name
    assert atlas.compact().rewritten == 0, "there is nothing more to pack"


def test_only_small_neighbours_are_packed(tmp_path):
    sizes = [3, 2, 9, 4, 4, 4, 12, 1]
    atlas = make_atlas(tmp_path / "a", *(cells(f"S{k}", n) for k, n in enumerate(sizes)))
    groups = rewrite.pack_groups(Snapshot.open(atlas.path), 12)
    found = [[piece.entry.cells for piece in group.pieces] for group in groups]
    assert found == [[3, 2], [4, 4, 4]]
    atlas.compact(max_cells_per_segment=12)
    assert [entry.cells for entry in Manifest.read(atlas.path).segments] == [5, 9, 12, 12, 1]
    assert_holds(atlas, [cells(f"S{k}", n) for k, n in enumerate(sizes)])


def test_a_study_over_several_segments_becomes_one_run_again(tmp_path):
    parts = [cells("S1", 20), cells("S1", 15, seed=1, genes=[3, 8, 17])]
    parts[1].obs_names = [f"second-{name}" for name in parts[1].obs_names]
    atlas = make_atlas(tmp_path / "a", parts, max_cells_per_segment=9)
    assert len(Manifest.read(atlas.path).studies["S1"]) == 4
    atlas.compact()
    (run,) = Manifest.read(atlas.path).studies["S1"]
    assert (run.start, run.stop) == (0, 35)
    snapshot = atlas._snapshot
    segment = snapshot.segments.get(run.segment)
    assert [(part.panel, part.start, part.stop) for part in segment.ranges] == [(0, 0, 20), (1, 20, 35)]
    assert_holds(atlas, parts)


def test_more_rows_than_a_block(tmp_path):
    """Cells get another block when rows before them go, and when segments join."""
    n = layout.BLOCK - 3
    values = np.zeros((n, N_GENES), dtype=np.float32)
    values[np.arange(n), np.arange(n) % N_GENES] = 1000
    big, small = cells("big", n, values=values), cells("small", 11, density=1.0)
    atlas = make_atlas(tmp_path / "a", cells("first", 5), big, small)
    atlas.compact()
    assert_holds(atlas, [cells("first", 5), big, small])
    (entry,) = Manifest.read(atlas.path).segments
    assert layout.n_blocks(entry.cells) == 2
    atlas.remove("first")
    assert_holds(atlas, [big, small])
    atlas.remove("big")
    assert_holds(atlas, [small])


def test_extra_columns_survive(tmp_path):
    parts = [
        cells("S1", 5, age=[1, 2, 3, 4, 5]),
        cells("S2", 4, batch=list("xyxy")),
        cells("S3", 2, flag=[True, False]),
    ]
    atlas = make_atlas(tmp_path / "a")
    for part, extra in zip(parts, ("age", "batch", "flag"), strict=True):
        atlas.add(part, extra=[extra])
    atlas.compact()
    obs = atlas.obs()
    assert obs["age"].tolist()[:5] == [1, 2, 3, 4, 5]
    assert obs["age"].isna().sum() == 6
    assert obs["batch"].tolist()[5:9] == list("xyxy")
    assert obs["flag"].tolist()[9:] == [True, False]
    assert len(atlas.obs("batch = 'x'")) == 2


def test_a_damaged_segment_is_not_packed(tmp_path):
    atlas = make_atlas(tmp_path / "a", cells("S1", 5), cells("S2", 5))
    before = listing(atlas.path)
    path = next(iter(sorted((atlas.path / "segments").iterdir()))) / "cells.npy"
    np.save(path, np.full_like(np.load(path), 40_000))
    with pytest.raises(AtlasDamaged, match="beyond the last one"):
        Atlas.open(atlas.path).compact()
    after = listing(atlas.path)
    changed = [name for name in after if after[name] != before.get(name)]
    assert [name.rpartition("/")[2] for name in changed] == ["cells.npy"]


def test_counting_stops_at_a_row_that_is_not_there():
    offsets, cells_ = np.array([[0, 2]]), np.array([0, 7], dtype=np.uint16)
    counts = np.zeros((1, 1), dtype=np.int64)
    assert not kernels.count_moved(offsets, cells_, np.arange(5), counts)
    assert kernels.count_moved(offsets, cells_, np.arange(8), counts)


def test_embeddings_go_with_their_cells_and_nothing_is_shortened_on_the_way(tmp_path):
    rng = np.random.default_rng(3)
    parts = [cells(f"S{k}", 6 + k) for k in range(5)]
    for part in parts[:3]:
        part.obsm["X_e"] = rng.normal(size=(part.n_obs, 4)).astype(np.float16)
    atlas = make_atlas(tmp_path / "a")
    for part in parts:
        atlas.add(part, embedding="X_e" if "X_e" in part.obsm else None)
    atlas.add(cells("S5", 3), encoding="compact")
    atlas.compact()
    found = [atlas._snapshot.segments.get(entry.id) for entry in Manifest.read(atlas.path).segments]
    assert [segment.n_cells for segment in found] == [6 + 7 + 8, 9 + 10, 3]
    assert [segment.encoding for segment in found] == ["fast", "fast", "compact"]
    whole = np.concatenate([part.obsm["X_e"] for part in parts[:3]])
    np.testing.assert_array_equal(found[0].per_cell()["embedding.npy"], whole)
    atlas.remove("S1")
    (entry, *_) = Manifest.read(atlas.path).segments
    left = atlas._snapshot.segments.get(entry.id).per_cell()["embedding.npy"]
    np.testing.assert_array_equal(left, np.concatenate([parts[0].obsm["X_e"], parts[2].obsm["X_e"]]))
    assert atlas.verify().is_sound
