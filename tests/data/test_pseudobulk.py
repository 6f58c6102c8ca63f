"""Pseudobulk: sums by pandas, what decoupler and PyDESeq2 expect, and metadata that means what it says."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from insignia import pp
from insignia.core.errors import InputError, MissingMetadata

N, GENES = 240, 30


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    donor = rng.integers(0, 4, N)
    counts = rng.poisson(0.7, (N, GENES)).astype(np.float32)
    obs = pd.DataFrame(
        {
            "donor": [f"d{k}" for k in donor],
            "cell_type": rng.choice(["B cell", "T cell"], N),
            "disease": np.where(donor < 2, "sepsis", "normal"),
            "age": 30.0 + donor,
            "n_counts": counts.sum(axis=1),
        },
        index=[f"c{k}" for k in range(N)],
    )
    return AnnData(sparse.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=[f"GENE{k}" for k in range(GENES)]))


def test_sums_are_those_of_pandas(adata):
    found = pp.pseudobulk(adata)
    by = ["donor", "cell_type"]
    frame = pd.DataFrame(adata.X.toarray(), columns=adata.var_names)
    expected = frame.groupby([adata.obs[name].to_numpy() for name in by])
    assert found.X.dtype == np.int64
    np.testing.assert_array_equal(found.X, expected.sum())
    np.testing.assert_allclose(found.layers["psbulk_props"], (frame > 0).groupby(
        [adata.obs[name].to_numpy() for name in by]).mean(), rtol=1e-6)  # fmt: skip
    assert list(found.obs_names[:2]) == ["d0_B cell", "d0_T cell"]
    np.testing.assert_array_equal(found.obs["psbulk_cells"], expected.size())
    np.testing.assert_array_equal(found.obs["psbulk_counts"], found.X.sum(axis=1))
    assert list(found.var_names) == list(adata.var_names)


def test_metadata_that_varies_is_dropped_by_name(adata):
    found = pp.pseudobulk(adata)
    assert found.uns["pseudobulk"] == {"mode": "sum", "by": ["donor", "cell_type"], "dropped": ["n_counts"]}
    assert list(found.obs) == ["donor", "cell_type", "disease", "age", "psbulk_cells", "psbulk_counts"]
    assert found.obs["age"].dtype == float
    assert set(found.obs.loc[found.obs["donor"] == "d1", "disease"]) == {"sepsis"}
    assert set(found.obs.loc[found.obs["donor"] == "d3", "age"]) == {33.0}
    with pytest.raises(InputError, match=r"The column 'disease' varies within groups, e\.g\. within (B|T) cell"):
        pp.pseudobulk(adata, ["cell_type"], columns=["disease"])
    assert list(pp.pseudobulk(adata, columns=["age"]).obs)[2:] == ["age", "psbulk_cells", "psbulk_counts"]


def test_donors_of_two_studies_stay_apart(adata):
    adata.obs["study"] = np.where(np.arange(N) < N // 2, "S1", "S2")
    found = pp.pseudobulk(adata)
    assert len(found) == 2 * 4 * 2
    assert found.uns["pseudobulk"]["by"] == ["study", "donor", "cell_type"]


def test_missing_values_are_a_constant_too(adata):
    adata.obs["age"] = np.where(adata.obs["donor"] == "d0", np.nan, adata.obs["age"])
    adata.obs["sometimes"] = pd.Series(np.where(np.arange(N) % 2, "yes", None), index=adata.obs_names)
    found = pp.pseudobulk(adata)
    assert found.uns["pseudobulk"]["dropped"] == ["n_counts", "sometimes"]
    assert found.obs.loc[found.obs["donor"] == "d0", "age"].isna().all()


def test_log_values_are_averaged(adata):
    logged = adata.copy()
    logged.X = sparse.csr_matrix(np.log1p(1e4 * adata.X.toarray() / adata.X.toarray().sum(axis=1, keepdims=True)))
    found = pp.pseudobulk(logged)
    assert found.uns["pseudobulk"]["mode"] == "mean"
    here = ((adata.obs["donor"] == "d2") & (adata.obs["cell_type"] == "T cell")).to_numpy()
    np.testing.assert_allclose(found["d2_T cell"].X[0], logged.X.toarray()[here].mean(axis=0), rtol=1e-5)


def test_small_groups_are_left_out_and_layers_read(adata):
    adata.layers["counts"] = adata.X.copy()
    adata.X = sparse.csr_matrix(adata.X.shape, dtype=np.float32)
    sizes = adata.obs.groupby(["donor", "cell_type"]).size()
    found = pp.pseudobulk(adata, layer="counts", min_cells=int(sizes.median()) + 1)
    assert len(found) == (sizes > sizes.median()).sum()
    assert found.X.sum() > 0


def test_decoupler_makes_the_same(adata):
    decoupler = pytest.importorskip("decoupler")
    theirs = decoupler.pp.pseudobulk(adata, sample_col="donor", groups_col="cell_type", mode="sum")
    ours = pp.pseudobulk(adata)[theirs.obs_names]
    np.testing.assert_array_equal(ours.X, theirs.X)
    np.testing.assert_allclose(ours.layers["psbulk_props"], theirs.layers["psbulk_props"], atol=1e-6)
    for name in ("psbulk_cells", "psbulk_counts"):
        np.testing.assert_array_equal(ours.obs[name], theirs.obs[name])


def test_it_has_what_decoupler_and_deseq_read(adata):
    """The documented shape, where the packages are not installed."""
    found = pp.pseudobulk(adata)
    assert {"psbulk_cells", "psbulk_counts"} <= set(found.obs)
    assert found.layers["psbulk_props"].shape == found.shape
    assert isinstance(found.X, np.ndarray)
    assert found.X.min() >= 0
    assert found.obs["disease"].dtype == "category"
    assert found.obs_names.is_unique


def test_refusals(adata):
    with pytest.raises(MissingMetadata, match=r"no column 'donor' to group cells by"):
        pp.pseudobulk(AnnData(adata.X, obs=adata.obs[["cell_type"]], var=adata.var))
    with pytest.raises(MissingMetadata, match="no column 'patient'"):
        pp.pseudobulk(adata, ["patient"])
    with pytest.raises(MissingMetadata, match="no column 'sex' to keep"):
        pp.pseudobulk(adata, columns=["sex"])
    with pytest.raises(InputError, match=r"None of 8 groups has 1000 cells \(the largest has"):
        pp.pseudobulk(adata, min_cells=1000)
