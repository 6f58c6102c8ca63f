"""Filters, mapping files and kept cut-offs from the command line."""

import json

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import cells, make_atlas

GENES = "GENE3,GENE5,GENE8"


@pytest.fixture
def atlas(tmp_path):
    parts = [
        cells("S1", 150, n_genes=np.arange(150), in_vivo=[True, False, True] * 50),
        cells("S2", 90, seed=4, disease="normal", n_genes=np.arange(90), in_vivo=True),
    ]
    make_atlas(tmp_path / "a", parts, extra=["n_genes", "in_vivo"])
    return tmp_path / "a"


@pytest.fixture
def result(insignia):
    def call(*arguments):
        code, out, err = insignia(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return call


def test_a_cutoff_is_kept_listed_used_and_forgotten(insignia, result, atlas):
    options = ("--rule", "healthy_quantile", "--cut", "0.9", "--min-cells", "1")
    made = result("search", atlas, GENES, *options, "--save-cutoff", "healthy")
    kept = result("atlas", "cutoffs", atlas)
    assert {label: entry["cutoff"] for label, entry in kept["healthy"]["strata"].items()} == made["cutoffs"]
    used = result("search", atlas, GENES, "--cutoff", "healthy", "--min-cells", "1")
    assert (used["hits"], used["cutoffs"], used["rule"]) == (made["hits"], made["cutoffs"], "healthy_quantile")
    code, out, _ = insignia("atlas", "cutoffs", atlas)
    assert code == 0
    assert out.startswith("healthy: custom, healthy_quantile at ")
    code, _, err = insignia("search", atlas, GENES, "--cutoff", "other")
    assert code == 2
    assert "no cut-off 'other'. It has: healthy" in err
    code, _, err = insignia("search", atlas, GENES, "--cutoff", "healthy", "--cut", "0.5")
    assert code == 2
    assert "used as it is" in err
    assert result("atlas", "cutoffs", atlas, "--delete", "healthy") == {}
    code, out, _ = insignia("atlas", "cutoffs", atlas)
    assert "keeps no cut-offs" in out


def test_filters_are_counted(insignia, result, atlas, tmp_path):
    found = result("search", atlas, GENES, "--min-genes", "50", "--in-vivo", "--min-cells", "1")
    assert [(step["name"], step["dropped"]) for step in found["filters"]] == [("min_genes", 100), ("in_vivo", 33)]
    assert found["cells"] == 107
    report = tmp_path / "r.html"
    code, out, _ = insignia("search", atlas, GENES, "--min-genes", "50", "--min-cells", "1", "-o", report)
    assert code == 0
    assert "filter min_genes: dropped 100 of 240 cells" in out
    page = report.read_text()
    assert "filter min_genes" in page
    assert "dropped 100 of 240 cells" in page
    assert "CellFilters(min_genes=50.0)" in page
    code, _, err = insignia("search", atlas, GENES, "--max-distance", "0.02")
    assert code == 2
    assert "needs a column pred_distance" in err


def test_a_mapping_file_serves_atlas_add(result, atlas, tmp_path):
    (tmp_path / "lab.toml").write_text(
        '[constants]\nstudy = "LAB"\n[columns]\npatient = "donor"\n'
        '[values.disease]\nill = "sepsis"\n[extra]\ndepth = "n_genes"\n'
    )
    adata = cells("x", 12, disease=["ill", "ill;flu", "normal"] * 4, depth=[5.0] * 12)
    adata.obs = adata.obs.drop(columns="study").rename(columns={"donor": "patient"})
    adata.write_h5ad(tmp_path / "x.h5ad")
    assert result("atlas", "add", atlas, tmp_path / "x.h5ad", "--mapping", tmp_path / "lab.toml")["studies"] == {
        "LAB": 12
    }
    found = result(
        "search",
        atlas,
        GENES,
        "--where",
        "study = 'LAB' AND has(disease, 'sepsis') AND n_genes = 5",
        "--min-cells",
        "1",
    )
    assert found["cells"] == 8
    assert {row["disease"] for row in found["groups"]} == {"sepsis", "flu || sepsis"}
