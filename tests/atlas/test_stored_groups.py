"""Group means kept with an atlas: the same as from the cells, complete, rebuilt at will, and damage is noticed."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import cells, make_atlas

from insignia.atlas import Atlas
from insignia.atlas.screens import grouping
from insignia.atlas.screens.grouping import GROUP_COLUMNS
from insignia.core.errors import AtlasDamaged, CoverageWarning, FilterError, MissingMetadata
from insignia.core.files import sha256_file

DESCRIPTORS = Path("/proc/self/fd")
SETS = {"three": ["GENE3", "GENE5", "GENE8"], "signed": {"GENE8": 0.5, "GENE30": -2.0, "GENE39": 1.5}}


@pytest.fixture
def studies():
    return [cells("S1", 90), cells("S2", 60, seed=4, genes=range(35)), cells("S3", 40, disease="flu")]


@pytest.fixture
def atlas(tmp_path, studies):
    return make_atlas(tmp_path / "a", studies, max_cells_per_segment=70)


@pytest.fixture
def computed(monkeypatch):
    """Count the segments whose means are computed from cells."""
    made = []
    plain = grouping.segment_means
    monkeypatch.setattr(grouping, "segment_means", lambda *some: made.append(1) or plain(*some))
    return made


def screened(atlas, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        return atlas.screen(SETS, **options)


def without_groups(atlas):
    """Same atlas, as an older version would have left it."""
    path = atlas.path / "atlas.json"
    content = json.loads(path.read_text("utf-8"))
    content["screens"] = {}
    resign(path, content)
    return Atlas.open(atlas.path)


def resign(path, content):
    import hashlib

    content.pop("sha256")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    path.write_text(json.dumps({**content, "sha256": hashlib.sha256(text.encode()).hexdigest()}), "utf-8")


def screens(atlas):
    return json.loads((atlas.path / "atlas.json").read_text("utf-8"))["screens"]


def test_every_segment_has_its_groups_as_it_is_added(atlas, computed):
    entries = screens(atlas)
    assert len(entries) == 3
    assert all(entry["columns"] == list(GROUP_COLUMNS) and entry["where"] is None for entry in entries.values())
    stored = screened(atlas)
    assert not computed
    assert stored.groups["cells"].sum() == 190
    from_cells = screened(without_groups(atlas))
    assert len(computed) == 3
    np.testing.assert_array_equal(stored.scores, from_cells.scores)
    assert stored.groups.equals(from_cells.groups)


def test_filters_that_take_whole_groups_read_them(atlas, computed):
    screened(atlas, where="disease = 'sepsis'")
    assert not computed
    screened(atlas, where="study = 'S3' AND attribution_gap > 0.5")
    assert len(computed) == 1


def test_computed_means_are_kept_in_memory(atlas, computed):
    old = without_groups(atlas)
    first, again = screened(old), screened(old)
    assert len(computed) == 3
    np.testing.assert_array_equal(first.scores, again.scores)


def test_regroup_stores_other_columns_and_filters(atlas, computed):
    expected = screened(atlas, columns=["cell_type"], where="attribution_gap > 0.3")
    report = atlas.regroup(["cell_type"], where="attribution_gap > 0.3")
    assert (report.columns, report.segments, report.replaced) == (("study", "cell_type"), 3, 0)
    assert report.groups == sum(entry["pieces"] for entry in screens(atlas).values() if entry["where"])
    assert report.bytes > 0
    computed.clear()
    again = screened(Atlas.open(atlas.path), columns=["cell_type"], where="attribution_gap > 0.3")
    assert not computed
    np.testing.assert_array_equal(again.scores, expected.scores)
    assert again.groups.equals(expected.groups)
    (entry,) = {(tuple(e["columns"]), e["where"]) for e in screens(atlas).values() if e["where"]}
    assert entry == (("study", "cell_type"), "attribution_gap > 0.3")
    assert atlas.regroup(["cell_type"], where="attribution_gap > 0.3").replaced == 3
    assert len(screens(atlas)) == 6


def test_regroup_brings_an_old_atlas_up_to_date(atlas, computed):
    before = screened(atlas)
    old = without_groups(atlas)
    assert old.regroup().segments == 3
    computed.clear()
    np.testing.assert_array_equal(screened(old).scores, before.scores)
    assert not computed


def test_studies_added_later_join(atlas, computed):
    atlas.regroup(["cell_type"])
    computed.clear()
    atlas.add(cells("S4", 20, seed=9))
    assert len(computed) == 1
    assert len(screens(atlas)) == 3 + 3 + 1
    assert screened(atlas).groups["cells"].sum() == 210
    assert screened(atlas, columns=["cell_type"]).groups["cells"].sum() == 210


def test_groups_of_a_segment_that_is_gone_go_too(atlas):
    from dataclasses import replace

    from insignia.atlas.commit import changing

    with changing(atlas.path, "drop") as change:
        manifest = change.manifest
        gone = manifest.segments[-1].id
        studies = {
            name: tuple(part for part in parts if part.segment != gone) for name, parts in manifest.studies.items()
        }
        change.commit(replace(manifest, segments=manifest.segments[:-1], studies=studies))
    assert {entry["segment"] for entry in screens(atlas).values()} == {s.id for s in manifest.segments[:-1]}


def test_the_manifest_vouches_for_every_file(atlas):
    for name, entry in screens(atlas).items():
        folder = atlas.path / "screens" / name
        assert sorted(entry["files"]) == sorted(path.name for path in folder.iterdir())
        for file, facts in entry["files"].items():
            assert facts == {"bytes": (folder / file).stat().st_size, "sha256": sha256_file(folder / file)}


@pytest.mark.parametrize("name", ["table.parquet", "of_cells.npy", "offsets.npy", "pieces.npy", "means.npy"])
def test_damage_is_noticed_and_mended(atlas, name):
    expected = screened(atlas)
    path = atlas.path / "screens" / sorted(screens(atlas))[0] / name
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(AtlasDamaged, match=r"The cells are not affected: Atlas\.regroup\(\)"):
        screened(Atlas.open(atlas.path))
    mended = Atlas.open(atlas.path)
    mended.regroup()
    np.testing.assert_array_equal(screened(mended).scores, expected.scores)


def test_entries_that_point_nowhere_are_refused(atlas):
    folder = atlas.path / "screens" / sorted(screens(atlas))[0]
    pieces = np.load(folder / "pieces.npy")
    pieces[3] = 999
    np.save(folder / "pieces.npy", pieces)
    with pytest.raises(AtlasDamaged, match="an entry belongs to no piece"):
        screened(Atlas.open(atlas.path))


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts open files by /proc")
def test_few_files_are_open_at_once(tmp_path):
    many = make_atlas(tmp_path / "a", [cells(f"S{k}", 12, seed=k) for k in range(30)], max_cells_per_segment=12)
    before = len(list(DESCRIPTORS.iterdir()))
    assert len(screened(many).groups["study"].unique()) == 30
    assert len(list(DESCRIPTORS.iterdir())) - before < 170


def test_refusals(atlas):
    with pytest.raises(MissingMetadata, match="no column 'celltype' to group cells by"):
        atlas.regroup(["celltype"])
    with pytest.raises(FilterError, match="No cell of the atlas"):
        atlas.regroup(where="study = 'S9'")
    assert len(screens(atlas)) == 3
