"""Exported and added again, an atlas is what it was."""

import anndata
import numpy as np
import pytest
from benchmarks.attack.atlas_cells import GENES, RECORD, cells, dense, make_atlas

from insignia.atlas import Atlas, block_rows, layout
from insignia.core import keys
from insignia.core.errors import InputError

WEIGHTS = {"GENE3": 1.0, "GENE8": -2.0}


def again(path, exported, **options):
    atlas = Atlas.create(path, genes=GENES, record=RECORD)
    atlas.add(exported, **options)
    return atlas


def assert_same(one, other):
    np.testing.assert_array_equal(
        one.search(WEIGHTS, min_coverage=0).scores, other.search(WEIGHTS, min_coverage=0).scores
    )
    assert one.obs().astype(str).equals(other.obs().astype(str))
    assert one.info()["values"] == other.info()["values"]


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
@pytest.mark.parametrize("encoding", ["fast", "compact"])
def test_a_file_holds_what_was_added_and_may_be_added_again(tmp_path, suffix, encoding, monkeypatch):
    monkeypatch.setattr(block_rows, "_VALUES_AT_ONCE", 40)
    parts = [cells("S1", 20), cells("S2", 9), cells("S3", 3, density=0.0)]
    atlas = Atlas.create(tmp_path / "a", genes=GENES, record=RECORD, encoding=encoding)
    atlas.add(parts, max_cells_per_segment=13)
    report = atlas.export(tmp_path / f"out{suffix}")
    assert (report.cells, report.values) == (32, atlas.info()["values"])
    read = anndata.read_h5ad if suffix == ".h5ad" else anndata.read_zarr
    adata = read(report.files[0])
    values = np.concatenate([dense(part)[0] for part in parts])
    found = adata.layers[keys.ATTRIBUTION]
    np.testing.assert_allclose(found.toarray(), values, rtol=1e-3 if encoding == "fast" else 2e-2)
    assert found.has_sorted_indices
    assert adata.obs_names.tolist() == [name for part in parts for name in part.obs_names]
    assert adata.uns[keys.ATTRIBUTION] == RECORD.to_dict()
    if encoding == "fast":
        assert_same(again(tmp_path / "b", report.files[0]), atlas)


def test_a_selection(tmp_path):
    parts = [cells("S1", 20), cells("S2", 9)]
    atlas = make_atlas(tmp_path / "a", *parts)
    report = atlas.export(tmp_path / "out.h5ad", where="disease = 'sepsis'")
    adata = anndata.read_h5ad(report.files[0])
    wanted = [name for part in parts for name in part.obs_names[part.obs["disease"] == "sepsis"]]
    assert adata.obs_names.tolist() == wanted
    values = np.concatenate([dense(part[part.obs["disease"] == "sepsis"])[0] for part in parts])
    np.testing.assert_allclose(adata.layers[keys.ATTRIBUTION].toarray(), values, rtol=1e-3)


def test_studies_of_different_genes_need_a_folder_and_stay_apart(tmp_path):
    atlas = make_atlas(tmp_path / "a", [cells("S1", 9), cells("S2", 7, genes=[30, 3, 5, 8]), cells("S3", 5)])
    with pytest.raises(InputError, match="2 different sets of genes"):
        atlas.export(tmp_path / "out.h5ad")
    assert not (tmp_path / "out.h5ad").exists()
    report = atlas.export(tmp_path / "out")
    assert [path.name for path in report.files] == ["part-000.h5ad", "part-001.h5ad"]
    assert anndata.read_h5ad(report.files[1]).var_names.tolist() == ["GENE3", "GENE5", "GENE8", "GENE30"]
    back = again(tmp_path / "b", tmp_path / "out")
    for study in ("S1", "S2", "S3"):
        one, other = (x.search(WEIGHTS, where=f"study = '{study}'", min_coverage=0) for x in (atlas, back))
        np.testing.assert_array_equal(one.scores, other.scores)
        assert [entry.genes for entry in one.studies] == [entry.genes for entry in other.studies]


def test_barcodes_that_repeat_between_studies(tmp_path):
    parts = [cells("S1", 4), cells("S2", 4)]
    for part in parts:
        part.obs_names = list("abcd")
    atlas = make_atlas(tmp_path / "a", parts)
    report = atlas.export(tmp_path / "out.h5ad")
    assert anndata.read_h5ad(report.files[0]).obs_names[4] == "S2:a"
    assert_same(again(tmp_path / "b", report.files[0], columns={"barcode": "barcode"}), atlas)


def test_extra_columns_with_gaps(tmp_path):
    atlas = make_atlas(tmp_path / "a", cells("S0", 2))
    extra = {"age": [1.5, 2, np.nan], "flag": [True, False, True], "batch": ["x", "y", "x"]}
    atlas.add(cells("S1", 3, **extra), extra=list(extra))
    report = atlas.export(tmp_path / "out.h5ad")
    back = again(tmp_path / "b", report.files[0], extra=list(extra))
    assert_same(back, atlas)


def test_blocks_of_many_cells(tmp_path):
    n = layout.BLOCK + 5
    values = np.zeros((n, len(GENES)), dtype=np.float32)
    values[np.arange(n), np.arange(n) % len(GENES)] = 1000
    atlas = make_atlas(tmp_path / "a", cells("big", n, values=values))
    report = atlas.export(tmp_path / "out.h5ad", where="barcode LIKE '%7'")
    adata = anndata.read_h5ad(report.files[0])
    rows = np.array([int(name.rpartition("-")[2]) for name in adata.obs_names])
    assert (rows >= layout.BLOCK).sum() == 1
    np.testing.assert_array_equal(adata.layers[keys.ATTRIBUTION].toarray(), values[rows])
    report = atlas.export(tmp_path / "end.h5ad", where=f"barcode IN ('big-3', 'big-{n - 1}')")
    adata = anndata.read_h5ad(report.files[0])
    np.testing.assert_array_equal(adata.layers[keys.ATTRIBUTION].toarray(), values[[3, n - 1]])


def test_what_is_there_is_not_overwritten(tmp_path):
    atlas = make_atlas(tmp_path / "a", cells("S1", 4))
    (tmp_path / "out.h5ad").write_text("mine")
    with pytest.raises(InputError, match="There is something at"):
        atlas.export(tmp_path / "out.h5ad")
    with pytest.raises(InputError, match="no cells"):
        make_atlas(tmp_path / "none").export(tmp_path / "new.h5ad")
    assert not (tmp_path / "new.h5ad").exists()
