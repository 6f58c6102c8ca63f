"""Mean attributions of groups as AnnData: those of the cells, and never 0 where nothing was measured."""

import numpy as np
import pandas as pd
import pytest
from benchmarks.attack.atlas_cells import cells, make_atlas

from insignia.core.errors import InputError, MissingMetadata


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    studies = [
        cells("S1", 90, age=[20.0 + i % 2 for i in range(90)]),
        cells("S2", 60, seed=4, genes=range(35), age=50.0),
        cells("S2", 40, seed=5, genes=range(5, 40), age=50.0),
    ]
    studies[2].obs_names = [f"more-{name}" for name in studies[2].obs_names]
    return make_atlas(tmp_path_factory.mktemp("bulk") / "a", studies, extra=["age"], max_cells_per_segment=80)


def expected_means(atlas, where=None):
    matrix, obs, match = atlas.gene_matrix([f"GENE{k}" for k in range(40)], where=where)
    values = pd.DataFrame(matrix.toarray(), columns=match.query)
    return values.groupby([obs[name].astype(str) for name in ("study", "donor", "cell_type")]).mean()


@pytest.mark.parametrize("where", [None, "attribution_gap > 0.4"])
def test_means_are_those_of_the_cells_and_nan_where_not_measured(atlas, where):
    found = atlas.pseudobulk(where=where, genes="all")
    expected = expected_means(atlas, where)
    np.testing.assert_allclose(found.X.toarray(), expected, rtol=1e-5, atol=1e-7)
    index = list(map(tuple, found.obs[["study", "donor", "cell_type"]].astype(str).to_numpy()))
    assert index == list(expected.index)
    assert found.obs_names[0] == "_".join(expected.index[0])


def test_a_group_that_measured_nothing_of_a_gene_has_nan_and_not_0(tmp_path):
    apart = make_atlas(tmp_path / "a", [cells("S1", 30, genes=range(8)), cells("S2", 30, genes=range(5, 12))])
    found = apart.pseudobulk(["study"], genes="all")
    assert list(found.var_names) == [f"GENE{k}" for k in range(12)]
    np.testing.assert_array_equal(np.isnan(found.X.toarray()), [[False] * 8 + [True] * 4, [True] * 5 + [False] * 7])
    np.testing.assert_array_equal(np.isnan(found.layers["psbulk_props"].toarray()), np.isnan(found.X.toarray()))


def test_shared_genes_have_no_nan(atlas):
    found = atlas.pseudobulk(min_cells=12)
    assert list(found.var_names) == [f"GENE{k}" for k in range(5, 35)]
    assert not np.isnan(found.X.toarray()).any()
    assert (found.obs["psbulk_cells"] >= 12).all()
    assert len(found) < len(atlas.pseudobulk())
    shares = found.layers["psbulk_props"].toarray()
    assert ((shares > 0) == (found.X.toarray() > 0)).all()
    assert list(atlas.pseudobulk(where="study = 'S1'").var_names) == [f"GENE{k}" for k in range(40)]


def test_metadata_that_is_constant_comes_along(atlas):
    found = atlas.pseudobulk(["study", "sample", "donor"])
    assert {"tissue", "psbulk_cells"} <= set(found.obs)
    assert found.uns["pseudobulk"]["dropped"] == ["cell_type"]
    assert "disease" in found.obs
    by_age = atlas.pseudobulk(["study", "age"])
    assert set(by_age.obs["age"]) == {"20.0", "21.0", "50.0"}
    assert found.obs["psbulk_cells"].sum() == by_age.obs["psbulk_cells"].sum() == 190


def test_decoupler_scores_it(atlas):
    decoupler = pytest.importorskip("decoupler")
    made = atlas.pseudobulk(min_cells=12)
    net = pd.DataFrame(
        {
            "source": ["a"] * 6 + ["b"] * 6,
            "target": [f"GENE{k}" for k in [*range(5, 11), *range(20, 26)]],
            "weight": 1.0,
        }
    )
    decoupler.mt.ulm(made, net, tmin=3)
    # a slope over genes: higher where the genes of the set are above the others
    inside = made.X[:, :6].toarray().mean(axis=1) - made.X[:, 6:].toarray().mean(axis=1)
    assert np.corrcoef(made.obsm["score_ulm"]["a"], inside)[0, 1] > 0.8


def test_refusals(atlas, tmp_path):
    with pytest.raises(MissingMetadata, match="no column 'patient' to group cells by"):
        atlas.pseudobulk(["patient"])
    with pytest.raises(InputError, match=r"has 1000 cells \(the largest has"):
        atlas.pseudobulk(min_cells=1000)
    with pytest.raises(InputError, match="genes is 'shared' or 'all'; found 'some'"):
        atlas.pseudobulk(genes="some")
    apart = make_atlas(tmp_path / "a", [cells("S1", 9, genes=range(5)), cells("S2", 9, genes=range(5, 9))])
    with pytest.raises(InputError, match="share no gene that all of them measured"):
        apart.pseudobulk()
