"""Metadata of an atlas: mapping files on the way in, sets of diseases, and nothing that merges."""

import numpy as np
import pandas as pd
import pytest
from benchmarks.attack.atlas_cells import cells, make_atlas

from insignia.atlas import CellFilters
from insignia.core.errors import InputError
from insignia.data import MetadataMap, standardise_obs

WEIGHTS = {"GENE3": 1.0, "GENE5": 2.0, "GENE8": 0.5}


def test_a_mapping_serves_add(tmp_path):
    """Bools, numbers and text of a source that lacks a column beside one that has it."""
    one = cells("GSE1", 6, in_vivo=[True, False] * 3, prediction_nn_dist=0.01, sex_cleaned=["f", None] * 3)
    two = cells("GSE2", 4, n_genes_by_counts=[500, 600, 700, 800])
    for adata in (one, two):
        adata.obs = adata.obs.rename(columns={"cell_type": "prediction"})
    atlas = make_atlas(tmp_path / "a", [one, two], mapping="scimilarity")
    obs = atlas.obs()
    assert obs["in_vivo"].tolist()[:6] == [True, False] * 3
    assert obs["in_vivo"].isna().tolist() == [False] * 6 + [True] * 4
    assert obs["n_genes"].isna().tolist() == [True] * 6 + [False] * 4
    assert obs["sex"].tolist()[:6:2] == ["f"] * 3
    assert set(obs["cell_type"]) <= {"B cell", "monocyte", "T cell"}
    assert {"in_vivo": "bool", "n_genes": "number", "sex": "text", "pred_distance": "number"}.items() <= (
        atlas._snapshot.manifest.columns.items()
    )
    result = atlas.search(WEIGHTS, filters=CellFilters(in_vivo=True, max_distance=0.02))
    assert [(step.name, step.dropped, step.unknown) for step in result.filters] == [
        ("max_distance", 4, 4),
        ("in_vivo", 3, 0),
    ]
    atlas.add(cells("GSE3", 3, in_vivo=[True, True, False]), mapping="scimilarity")
    assert atlas.obs("in_vivo")["study"].tolist() == ["GSE1"] * 3 + ["GSE3"] * 2
    with pytest.raises(InputError, match="'in_vivo' holds text here and bool in the atlas"):
        atlas.add(cells("GSE4", 3, in_vivo=["yes", "no", "yes"]), mapping="scimilarity")
    atlas.add(cells("GSE5", 3), mapping=MetadataMap(values={"disease": {"normal": "healthy"}}))
    assert set(atlas.obs("study = 'GSE5'")["disease"]) == {"healthy", "sepsis"}


def test_diseases_are_matched_as_sets(tmp_path):
    disease = ["COVID-19;sepsis", "sepsis || COVID-19", "sepsis", "normal", "post-COVID-19", None]
    atlas = make_atlas(tmp_path / "a", cells("S1", 6, disease=disease))

    def rows(where):
        return atlas.search(WEIGHTS, where=where).rows.tolist()

    assert rows("has(disease, 'COVID-19')") == rows("has(diseases, 'COVID-19')") == [0, 1]
    assert rows("has(disease, 'sepsis')") == [0, 1, 2]
    assert rows("disease = 'COVID-19 || sepsis'") == [0, 1]
    assert rows("len(diseases) = 2 AND NOT has(disease, 'normal')") == [0, 1]
    assert rows("list_has_any(diseases, ['normal', 'post-COVID-19'])") == [3, 4]
    assert rows("diseases[1] = 'sepsis'") == [2]
    assert rows("disease = 'unknown'") == [5]


def test_an_atlas_of_an_older_version_reads_the_same(tmp_path, monkeypatch):
    """Its fields hold whatever was given then."""
    monkeypatch.setattr("insignia.data.metadata.join_labels", lambda text: "b;a" if text == "a || b" else text)
    adata = cells("S1", 60, disease=["a || b", "a"] * 30, sample="s", donor="d")
    atlas = make_atlas(tmp_path / "a", adata)
    assert set(atlas.obs()["disease"]) == {"b;a", "a"}
    assert len(atlas.search(WEIGHTS, where="has(disease, 'b')")) == 30
    table = atlas.search(WEIGHTS).call("percentile", q=50).by_sample(min_cells=1).table
    assert table["disease"].tolist() == ["a", "a || b"]
    assert table["cells"].tolist() == [30, 30]


def test_a_donor_of_two_diseases_is_a_case_of_each_and_never_of_the_reference(tmp_path):
    disease = ["normal"] * 8 + ["sepsis"] * 6 + ["sepsis;normal"] * 1 + ["flu;sepsis"] * 1 + ["flu"] * 6
    obs = pd.DataFrame({"donor": [f"d{i}" for i in range(22)], "disease": disease}).loc[np.repeat(np.arange(22), 30)]
    adata = cells(
        "S1", len(obs), donor=obs["donor"].tolist(), sample=obs["donor"].tolist(), disease=obs["disease"].tolist()
    )
    atlas = make_atlas(tmp_path / "a", adata)
    samples = atlas.search(WEIGHTS).call("percentile", q=70).by_sample()
    table = samples.compare(n_boot=9, rng=0).table.set_index("group")
    assert table["reference_donors"].tolist() == [8, 8]
    assert table.loc["sepsis", "donors"] == 8
    assert table.loc["flu", "donors"] == 7
    assert "2 of the donors belong to several groups and count in each" in table.loc["sepsis", "note"]
    assert "1 of the donors belong to several groups" in table.loc["flu", "note"]


def test_equal_sample_names_of_two_studies_never_merge(tmp_path):
    """R10: 15 cells each of "s1" do not pass a limit of 25 together; nor do donors of two studies."""
    one, two = (cells(name, 15, sample="s1", donor="d1", disease="normal") for name in ("A", "B"))
    hits = make_atlas(tmp_path / "a", [one, two]).search(WEIGHTS).call("percentile", q=90)
    table = hits.by_sample(min_cells=25)
    assert len(table) == 0
    assert table.excluded["cells"].tolist() == [15, 15]
    pooled = hits.by_sample(min_cells=1).pool_donors().table
    assert pooled["study"].tolist() == ["A", "B"]


def test_missing_tissue_is_unknown_and_its_samples_stay(tmp_path):
    """R10: 8 samples in, 8 out."""
    tissue = np.repeat(["blood", "nan", "lung", ""], 60)
    adata = cells("S1", 240, sample=[f"s{i // 30}" for i in range(240)], donor="d", tissue=tissue, disease="normal")
    table = make_atlas(tmp_path / "a", adata).search(WEIGHTS).call("percentile", q=90).by_sample().table
    assert len(table) == 8
    assert table["tissue"].tolist() == ["blood"] * 2 + ["unknown"] * 2 + ["lung"] * 2 + ["unknown"] * 2


@pytest.mark.parametrize("name", ["pooled", "Pooled", "unknown", "Unknown", None])
def test_a_pool_or_an_unknown_donor_is_no_unit(tmp_path, name):
    adata = cells("S1", 60, donor=[name, "d1"] * 30, sample=["s1", "s2"] * 30, disease="normal")
    pooled = make_atlas(tmp_path / "a", adata).search(WEIGHTS).call("percentile", q=90).by_sample().pool_donors()
    assert pooled.table["donor"].tolist() == ["d1"]
    assert pooled.excluded["reason"].str.contains("is not one person").tolist() == [True]


def test_rows_are_told_by_number_whatever_the_order(tmp_path, monkeypatch):
    from insignia.atlas import filters

    parts = [cells(f"S{k}", 30, age=range(30)) for k in range(3)]
    atlas = make_atlas(tmp_path / "a", parts, extra=["age"], max_cells_per_segment=20)
    expected = atlas.obs("age % 7 = 3")["barcode"].tolist()
    plain = filters._query
    monkeypatch.setattr(filters, "_query", lambda *a: f'{plain(*a)} ORDER BY hash("insignia row")')
    assert atlas.obs("age % 7 = 3")["barcode"].tolist() == expected
    assert len(expected) == 12


def test_standardised_twice_is_standardised_once():
    obs = cells("S1", 6, disease=["b;a", "normal", "nan"] * 2).obs
    once = standardise_obs(obs)
    pd.testing.assert_frame_equal(standardise_obs(once), once)
