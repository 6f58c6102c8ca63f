"""`where` chooses cells as pandas would, and does nothing else."""

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import cells, make_atlas

from insignia.core.errors import FilterError

WEIGHTS = {"GENE3": 1.0, "GENE5": 2.0, "GENE8": 0.5}


@pytest.fixture
def atlas(tmp_path):
    studies = [cells("S1", 30, age=range(30)), cells("O'Neil", 20, age=range(20)), cells("S3", 15, age=range(15))]
    return make_atlas(tmp_path / "a", studies[:2], studies[2:], extra=["age"], max_cells_per_segment=20)


@pytest.mark.parametrize(
    ("where", "choose"),
    [
        ("cell_type = 'monocyte'", lambda obs: obs["cell_type"] == "monocyte"),
        ("cell_type LIKE '%cell' AND age < 9", lambda obs: (obs["cell_type"] != "monocyte") & (obs["age"] < 9)),
        ("study = 'O''Neil'", lambda obs: obs["study"] == "O'Neil"),
        ("study IN ('S3', 'S1')", lambda obs: obs["study"].isin(["S1", "S3"])),
        ("NOT disease = 'normal'", lambda obs: obs["disease"] == "sepsis"),
        ("age BETWEEN 3 AND 5 OR age = 17", lambda obs: obs["age"].isin([3, 4, 5, 17])),
        ("attribution_gap < 0.5", lambda obs: obs["attribution_gap"] < 0.5),
        ('"DONOR" = \'d1\'', lambda obs: obs["donor"] == "d1"),
        ("barcode = 'S3-7' -- the one", lambda obs: obs["barcode"] == "S3-7"),
        ("true", lambda obs: obs["age"] >= 0),
    ],
)  # fmt: skip
def test_where_equals_pandas(atlas, where, choose):
    everything = atlas.search(WEIGHTS)
    mask = choose(everything.obs).to_numpy(dtype=bool)
    assert mask.any()
    chosen = atlas.search(WEIGHTS, where=where)
    np.testing.assert_array_equal(chosen.scores, everything.scores[mask])
    assert chosen.obs["barcode"].tolist() == everything.obs["barcode"][mask].tolist()
    assert atlas.obs(where)["barcode"].tolist() == everything.obs["barcode"][mask].tolist()
    assert chosen.coverage["cells"].sum() == mask.sum()
    matrix, obs, _ = atlas.gene_matrix(["GENE5"], where=where)
    np.testing.assert_array_equal(matrix.toarray(), atlas.gene_matrix(["GENE5"])[0].toarray()[mask])
    assert obs["barcode"].tolist() == chosen.obs["barcode"].tolist()


@pytest.mark.parametrize(
    "where",
    [
        "1=1; DROP TABLE cells",
        "study = 'S1'; SELECT 1",
        "study IN (SELECT content FROM read_text('/etc/passwd'))",
        "study IN (SELECT column0 FROM read_csv('/etc/passwd'))",
        "EXISTS (FROM glob('/etc/*'))",
        "COPY cells TO 'stolen.csv'",
        "ATTACH 'stolen.db'",
        "1=1 UNION SELECT 1",
        "true) OR (true",
        "true LIMIT 1",
        "study = 'S1', age = 3",
        "nonsense = 1",
        "sum(age) > 3",
        "study",
        "study = ",
        "",
        "age > (SELECT count(*) FROM atlas)",
        "(SET enable_external_access = true)",
    ],
)
def test_what_is_not_one_expression_over_the_metadata_is_refused(atlas, where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FilterError, match=r"Expected one expression such as .* columns study, sample, .*, age"):
        atlas.search(WEIGHTS, where=where)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_chosen_names_what_there_is(atlas):
    with pytest.raises(FilterError, match="cell_type has 3 values, close ones: monocyte"):
        atlas.search(WEIGHTS, where="cell_type = 'monocytes'")
    with pytest.raises(FilterError, match="disease has 2 values, mostly: normal, sepsis"):
        atlas.search(WEIGHTS, where="disease = 'COVID-19'")


def test_where_on_an_empty_atlas(tmp_path):
    with pytest.raises(FilterError, match="No cell of the atlas"):
        make_atlas(tmp_path / "a").search(WEIGHTS, where="study = 'S1'")
