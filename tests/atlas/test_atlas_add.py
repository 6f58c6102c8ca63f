"""Adding: what is refused leaves no trace, what crashes leaves the old atlas, what is added is all there."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from benchmarks.attack.atlas_cells import GENES, N_GENES, RECORD, cells, listing, make_atlas

from insignia.atlas import Atlas, add
from insignia.atlas.manifest import Manifest
from insignia.atlas.sources import find_sources
from insignia.core import keys
from insignia.core.errors import (
    AtlasError,
    AtlasMismatch,
    DuplicateNames,
    DuplicateStudy,
    FileFormatError,
    InputError,
    MissingMetadata,
)
from insignia.data import write_h5ad
from insignia.genes import GeneVocabulary


@pytest.fixture
def atlas(tmp_path):
    return make_atlas(tmp_path / "atlas", cells("S1", 20))


def other_record(**changes):
    return cells("S2", 5, record=replace(RECORD, **changes))


def without(adata, column):
    del adata.obs[column]
    return adata


def spoiled(value):
    adata = cells("S2", 5)
    adata.layers[keys.ATTRIBUTION].data[3] = value
    return adata


def named(study, barcodes):
    adata = cells(study, len(barcodes))
    adata.obs_names = barcodes
    return adata


@pytest.mark.parametrize(
    ("sources", "options", "error", "match"),
    [
        (
            lambda: other_record(model="scvi", fingerprint="0" * 64),
            {},
            AtlasMismatch,
            "'linear' and in memory with 'scvi'",
        ),
        (lambda: other_record(fingerprint="0" * 64), {}, AtlasMismatch, "fingerprint 'f{24}' and '0{24}'"),
        (lambda: other_record(method="deeplift"), {}, AtlasMismatch, "method 'integrated_gradients' and 'deeplift'"),
        (lambda: other_record(genes_sha256="0" * 64), {}, AtlasMismatch, "genes_sha256"),
        (lambda: other_record(sign="signed"), {}, AtlasMismatch, "build a second atlas"),
        (lambda: [cells("S2", 5), cells("S1", 5, seed=9)], {}, DuplicateStudy, r"e.g. \['S1'\]"),
        (lambda: [cells("S2", 5), cells("S2", 5, seed=9)], {}, DuplicateNames, "S2/S2-0"),
        (lambda: [named("S2", ["a"]), named("S2", ["a"])], {}, DuplicateNames, "no file is given twice"),
        (lambda: without(cells("S2", 5), "tissue"), {}, MissingMetadata, "tissue"),
        (lambda: cells("S2", 5), {"extra": ["batch"]}, MissingMetadata, "no obs column 'batch', named in extra"),
        (lambda: cells("S2", 5), {"extra": ["tissue"]}, InputError, "one that every atlas has"),
        (lambda: spoiled(np.nan), {}, InputError, "NaN or infinite"),
        (lambda: spoiled(np.inf), {}, InputError, "NaN or infinite"),
        (lambda: spoiled(5e4), {}, InputError, "do not add up to 1000"),
        (list, {}, InputError, "list of sources is empty"),
        (lambda: [3], {}, InputError, "found int"),
        (lambda: cells("S2", 5)[:0], {}, InputError, "hold no cells"),
        (lambda: "nowhere.h5ad", {}, FileFormatError, "does not exist"),
        (lambda: cells("S2", 5), {"key": "ig"}, MissingMetadata, "layer 'ig' is absent"),
        (lambda: cells("S2", 5), {"max_cells_per_segment": 0}, InputError, "at least 1"),
    ],
)
def test_what_is_refused_leaves_no_trace(atlas, sources, options, error, match):
    before = listing(atlas.path)
    with pytest.raises(error, match=match):
        atlas.add(sources(), **options)
    assert listing(atlas.path) == before
    assert atlas.studies == {"S1": 20}


def test_values_beyond_float16_are_refused(tmp_path):
    record = replace(RECORD, scale=0.0)
    atlas = Atlas.create(tmp_path / "a", genes=GENES, record=record)
    values = np.zeros((3, N_GENES), dtype=np.float32)
    values[1, 1] = 65_504.0
    atlas.add(cells("S1", 3, values=values, record=record))
    values[1, 1] = 65_600.0
    before = listing(atlas.path)
    with pytest.raises(InputError, match="beyond 65,504"):
        atlas.add(cells("S2", 3, values=values, record=record))
    assert listing(atlas.path) == before


def test_an_empty_folder_and_a_folder_of_parts(atlas, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(FileFormatError, match=r"holds no .h5ad"):
        atlas.add(tmp_path / "none")
    (tmp_path / "parts").mkdir()
    write_h5ad(cells("S2", 4), tmp_path / "parts" / "a.h5ad")
    write_h5ad(cells("S3", 4), tmp_path / "parts" / "b.h5ad")
    report = atlas.add(tmp_path / "parts")
    assert report.studies == {"S2": 4, "S3": 4}


def test_files_are_closed_at_once(tmp_path):
    write_h5ad(cells("S2", 4), tmp_path / "a.h5ad")
    (source,) = find_sources(tmp_path / "a.h5ad", key=keys.ATTRIBUTION, n_genes=N_GENES)
    with source.opened() as attributed:
        assert next(attributed.blocks(4)).shape == (4, N_GENES)
    with pytest.raises((ValueError, KeyError, RuntimeError, InputError)):
        next(attributed.blocks(4))


def test_the_same_file_under_another_study_is_refused(atlas, tmp_path):
    write_h5ad(cells("S2", 4), tmp_path / "a.h5ad")
    atlas.add(tmp_path / "a.h5ad")
    before = listing(atlas.path)
    with pytest.raises(DuplicateStudy, match=r"a.h5ad is in the atlas already, added for \['S2'\]"):
        atlas.add(tmp_path / "a.h5ad", constants={"study": "S9"})
    assert listing(atlas.path) == before


def test_report_and_info_agree(atlas):
    extra = cells("S2", 7)
    report = atlas.add([extra, cells("S3", 3)], progress=False)
    assert report.cells == 10
    assert report.studies == {"S2": 7, "S3": 3}
    assert "Added 10 cells of 2 studies" in report.summary()
    info = atlas.info()
    assert info["cells"] == len(atlas) == 30
    assert (info["studies"], info["segments"], info["genes"]) == (3, 2, N_GENES)
    assert info["values"] == np.load(next(atlas.path.glob("segments/0001*/values.npy"))).size + report.values
    assert info["record"] == RECORD.to_dict()
    assert info["bytes"] == sum(p.stat().st_size for p in (atlas.path / "segments").rglob("*") if p.is_file())
    assert repr(atlas) == "Atlas('atlas': 30 cells of 3 studies, 40 genes, linear, integrated_gradients)"


@pytest.mark.parametrize("broken", ["write", "read"])
def test_a_crash_before_the_manifest_leaves_the_old_atlas(atlas, monkeypatch, broken):
    before = listing(atlas.path)
    want = atlas.search(["GENE3"]).scores
    with monkeypatch.context() as patched:
        if broken == "write":
            patched.setattr(Manifest, "write", crash)
        else:
            patched.setattr(add.SegmentWriter, "finish", crash)
        with pytest.raises(KeyboardInterrupt):
            atlas.add(cells("S2", 5))
    assert listing(atlas.path) == before
    np.testing.assert_array_equal(Atlas.open(atlas.path).search(["GENE3"]).scores, want)
    atlas.add(cells("S2", 5))
    assert len(Atlas.open(atlas.path).search(["GENE3"])) == 25


def crash(*args, **kwargs):
    raise KeyboardInterrupt


def test_a_failure_after_the_manifest_keeps_the_new_segments(atlas, monkeypatch):
    whole = Manifest.write

    def write_then_crash(self, folder):
        whole(self, folder)
        raise OSError("the disk went away")

    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "write", write_then_crash)
        with pytest.raises(OSError, match="went away"):
            atlas.add(cells("S2", 5))
    assert len(Atlas.open(atlas.path).search(["GENE3"])) == 25


def test_what_a_killed_process_left_disturbs_nobody(atlas, tmp_path, monkeypatch):
    old = (atlas.path / "atlas.json").read_bytes()
    atlas.add(cells("S2", 5))
    (atlas.path / "atlas.json").write_bytes(old)
    (atlas.path / "segments" / ".0002-temp").mkdir()
    (atlas.path / ".atlas-temp.json").write_text("{")
    reopened = Atlas.open(atlas.path)
    assert len(reopened.search(["GENE3"])) == 20
    reopened.add(cells("S2", 5))
    assert len(Atlas.open(atlas.path).search(["GENE3"])) == 25


def test_a_writer_starts_from_the_newest_version(atlas):
    other = Atlas.open(atlas.path)
    other.add(cells("S2", 5))
    atlas.add(cells("S3", 5))
    assert atlas.studies == Atlas.open(atlas.path).studies == {"S1": 20, "S2": 5, "S3": 5}
    assert other.studies == {"S1": 20, "S2": 5}
    with pytest.raises(DuplicateStudy, match=r"e.g. \['S3'\]"):
        other.add(cells("S3", 5))


def test_a_reader_keeps_its_version(atlas):
    reader = Atlas.open(atlas.path)
    result = reader.search(["GENE3"])
    atlas.add(cells("S2", 5))
    assert len(reader.search(["GENE3"])) == len(result.obs) == 20
    assert len(Atlas.open(atlas.path)) == 25


def test_metadata_that_is_missing_categorical_or_foreign(tmp_path):
    adata = cells("Étude ΔF508", 6, density=1.0)
    adata.obs["tissue"] = pd.Categorical(["blood", None, "Blut–纵隔", "blood", None, "blood"])
    adata.obs["disease"] = ["a || b", np.nan, "a", "a", "a", "a"]
    adata.obs = adata.obs.rename(columns={"sample": "gsm", "donor": "patient"})
    adata.obs["age"] = [1.5, np.nan, 3, 4, 5, 6]
    adata.obs["batch"] = pd.Categorical(["x", None, "y", "y", "x", "x"])
    adata.obs["is_primary"] = [True, False] * 3
    atlas = make_atlas(tmp_path / "a", adata, extra=["age", "batch", "is_primary"])
    obs = atlas.obs()
    assert obs["study"].unique().tolist() == ["Étude ΔF508"]
    assert obs["tissue"].astype(str).tolist() == ["blood", "unknown", "Blut–纵隔", "blood", "unknown", "blood"]
    assert obs["disease"].astype(str).tolist() == ["a || b", "unknown", "a", "a", "a", "a"]
    assert obs["sample"].astype(str).tolist() == ["s0", "s1", "s2", "s0", "s1", "s2"]
    assert obs["age"].isna().tolist() == [False, True, False, False, False, False]
    assert obs["batch"].isna().tolist() == [False, True, False, False, False, False]
    assert obs["is_primary"].tolist() == [True, False] * 3
    assert obs["cell_type"].dtype == "category"
    np.testing.assert_array_equal(obs["attribution_sum"], adata.obs[keys.row_sum()])


def test_columns_and_constants_place_metadata(tmp_path):
    adata = cells("S1", 4)
    adata.obs = adata.obs[["cell_type"]].assign(who=["p1", "p1", "p2", "p2"])
    constants = {"study": "GSE1", "sample": "m", "tissue": "lung", "disease": "normal"}
    atlas = make_atlas(tmp_path / "a", adata, columns={"who": "donor"}, constants=constants)
    assert atlas.studies == {"GSE1": 4}
    assert atlas.obs()["donor"].astype(str).tolist() == ["p1", "p1", "p2", "p2"]
    assert atlas.obs()["attribution_sum"].isna().all()


def test_extra_columns_may_differ_between_additions_but_not_in_kind(atlas):
    first, second = cells("S2", 4, age=[1, 2, 3, 4]), cells("S3", 4, age=list("abcd"))
    atlas.add(first, extra=["age"])
    assert atlas.obs()["age"].tolist()[20:] == [1, 2, 3, 4]
    assert atlas.obs()["age"].isna().sum() == 20
    with pytest.raises(InputError, match="'age' holds text here and number in the atlas"):
        atlas.add(second, extra=["age"])
    atlas.add(cells("S4", 2, age=[0.5, 1.5]), extra=["age"])
    assert len(atlas.obs("age < 1.0")) == 1


def test_create_refuses_what_is_there(tmp_path, atlas):
    with pytest.raises(AtlasError, match=r"open it with Atlas.open"):
        Atlas.create(atlas.path, genes=GENES, record=RECORD)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(AtlasError, match="already holds something"):
        Atlas.create(tmp_path / "full", genes=GENES, record=RECORD)
    with pytest.raises(AtlasMismatch, match="gene table"):
        Atlas.create(tmp_path / "new", genes=GeneVocabulary.from_names(["A1BG", "CD79A"]), record=RECORD)
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    assert len(Atlas.create(tmp_path / "empty", genes=GENES, record=RECORD)) == 0


def test_a_source_that_changes_between_the_passes_is_noticed(atlas, tmp_path, monkeypatch):
    write_h5ad(cells("S2", 6, density=0.3), tmp_path / "a.h5ad")
    write_h5ad(cells("S2", 6, density=0.9), tmp_path / "b.h5ad")
    before = listing(atlas.path)
    second = add.write_values

    def swap(*args):
        shutil.copy(tmp_path / "b.h5ad", tmp_path / "a.h5ad")
        second(*args)

    monkeypatch.setattr(add, "write_values", swap)
    with pytest.raises(InputError, match="changed while it was added"):
        atlas.add(tmp_path / "a.h5ad")
    assert listing(atlas.path) == before


def test_genes_survive_the_round_trip(tmp_path):
    genes = GeneVocabulary.from_names(["CD79A", "", "ACTB"], ids=["ENSG00000105369", "ENSG00000000003", ""])
    atlas = Atlas.create(tmp_path / "a", genes=genes, record=replace(RECORD, genes_sha256=genes.sha256))
    assert Atlas.open(atlas.path).genes.sha256 == genes.sha256
