"""Slices of a CELLxGENE Census, laid out as the real one, become studies of an atlas."""

import numpy as np
import pandas as pd
import pytest
from tests.attribution.conftest import make_cells, scimilarity_look_alike
from tests.lookalikes.census import build

from insignia.core.errors import AtlasMismatch, FileFormatError, FilterError, InputError, MissingDependency
from insignia.data import read_census
from insignia.workflows import add_cells, create_atlas, import_census


@pytest.fixture(scope="module")
def census(tmp_path_factory):
    """Two datasets of 12 and 9 cells; the second measured all genes but the first five."""
    pytest.importorskip("tiledbsoma", reason="the extra 'census' is not installed")
    path = tmp_path_factory.mktemp("census") / "census"
    counts = np.vstack([make_cells(12, seed=1).X.toarray(), make_cells(9, seed=2).X.toarray()]).astype(np.float32)
    symbols = make_cells(2).var_names
    counts[12:, :5] = 0
    n_cells, n_genes = counts.shape
    dataset = np.repeat(["d2", "d1"], [12, 9])
    obs = pd.DataFrame(
        {
            "dataset_id": dataset,
            "donor_id": [f"p{i % 3}" for i in range(n_cells)],
            "tissue": np.where(np.arange(n_cells) % 4, "blood", "lung"),
            "disease": "PATO:0000461",
            "cell_type": [("B cell", "monocyte")[i % 2] for i in range(n_cells)],
            "is_primary_data": True,
        }
    )
    var = pd.DataFrame({"feature_id": [f"ENSG{i:011d}" for i in range(n_genes)], "feature_name": symbols})
    build(path, counts, obs, var, unmeasured={"d1": range(5), "d2": ()})
    return path, counts, obs, symbols


def test_each_dataset_has_the_genes_that_it_measured(census):
    path, counts, obs, symbols = census
    first, second = read_census(path)
    assert set(first.obs["dataset_id"]) == {"d1"}
    np.testing.assert_array_equal(first.X.toarray(), counts[12:, 5:])
    assert first.var["feature_name"].tolist() == list(symbols[5:])
    np.testing.assert_array_equal(second.X.toarray(), counts[:12])
    assert second.var_names[3] == "ENSG00000000003"
    assert second.obs["cell_type"].tolist() == obs["cell_type"].tolist()[:12]


def test_a_slice_takes_what_where_says(census):
    path, counts, obs, _ = census
    wanted = ((obs["tissue"] == "lung") & (obs["cell_type"] == "B cell")).to_numpy()
    slices = list(
        read_census(path / "census_data" / "homo_sapiens", where="tissue == 'lung' and cell_type == 'B cell'")
    )
    assert sum(len(one) for one in slices) == wanted.sum() > 0
    got = pd.concat([pd.DataFrame(one.X.sum(axis=1), index=one.obs_names.astype(int)) for one in slices])
    # an experiment by itself does not say what was measured
    np.testing.assert_array_equal(got.sort_index()[0], counts[wanted].sum(axis=1))
    assert {one.n_vars for one in slices} == {counts.shape[1]}


def test_an_imported_slice_is_what_adding_the_cells_gives(census, tmp_path):
    path = census[0]
    model = scimilarity_look_alike()
    atlas, other = create_atlas(tmp_path / "a", model), create_atlas(tmp_path / "b", model)
    report = import_census(atlas, path, model=model, where="cell_type == 'B cell'", show_progress=False)
    assert report.studies == {"d1": 5, "d2": 6}
    for adata in read_census(path, where="cell_type == 'B cell'"):
        add_cells(other, adata, model=model, mapping="cellxgene", show_progress=False)
    genes = ["GENE1", "GENE3", "GENE9", "GENE20"]
    np.testing.assert_array_equal(
        atlas.gene_matrix(genes)[0].toarray(), other.gene_matrix(genes)[0].toarray(), strict=True
    )
    found = atlas.obs()
    assert set(found["disease"]) == {"normal"}
    assert set(found["donor"]) == {"p0", "p1", "p2"}
    # GENE1 and GENE3 are among the genes that d1 did not measure
    unmeasured = np.isnan(atlas.gene_matrix(["GENE1", "GENE20"])[0].toarray())
    np.testing.assert_array_equal(unmeasured[:, 0], (found["study"] == "d1").to_numpy())
    assert not unmeasured[:, 1].any()


def test_refusals(census, tmp_path):
    path = census[0]
    with pytest.raises(FilterError, match="chooses no cell of the Census"):
        list(read_census(path, where="tissue == 'brain'"))
    with pytest.raises(FilterError, match="cannot be read by SOMA"):
        list(read_census(path, where="tissue = = 'brain'"))
    with pytest.raises(InputError, match=r"no organism 'mus_musculus'. It has: homo_sapiens"):
        list(read_census(path, organism="mus_musculus"))
    with pytest.raises(FileFormatError, match=r"no X\['normalized'\] in the measurement 'RNA'"):
        list(read_census(path, layer="normalized"))
    with pytest.raises(FileFormatError, match="is no SOMA collection"):
        list(read_census(tmp_path))
    with pytest.raises(FileFormatError, match="a SOMA collection but no Census: it holds datasets"):
        list(read_census(path / "census_info"))
    other = create_atlas(tmp_path / "a", scimilarity_look_alike((16, 8)))
    with pytest.raises(AtlasMismatch, match="Use the model it was made with"):
        import_census(other, path, model=scimilarity_look_alike(), show_progress=False)


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tiledbsoma", None)
    with pytest.raises(MissingDependency, match=r"Reading a Census needs .* 'insignia\[census\]'"):
        next(read_census(tmp_path))
