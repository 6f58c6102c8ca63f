"""What must not change attributions and scores: orders of cells and genes, further genes, how a matrix is held."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from tests.attribution.conftest import make_cells, scimilarity_look_alike
from tests.strategies import QUICK, STORED, stored

from insignia import tl
from insignia.core import keys

pytestmark = pytest.mark.filterwarnings("ignore")
MODEL = scimilarity_look_alike()
SIGNATURE = {"GENE1": 1.0, "GENE2": -0.5, "GENE3": 2.0}


def attributed(adata):
    tl.attribute(adata, MODEL)
    values = adata.layers[keys.ATTRIBUTION]
    return pd.DataFrame(values.toarray(), index=adata.obs_names, columns=adata.var_names)


def scored(adata, weights=SIGNATURE):
    tl.score(adata, weights, key_added="score")
    return adata.obs["score"]


def close(found, expected):
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-4, atol=1e-3)


@QUICK
@given(seed=st.integers(0, 2**16), how=st.sampled_from(sorted(STORED)), kind=st.sampled_from(["f4", "f8", "i4"]))
def test_orders_and_storage_change_no_attribution_and_no_score(seed, how, kind):
    rng = np.random.default_rng(seed)
    adata = make_cells(8, seed=seed)
    expected, score = attributed(adata), scored(adata)
    cells, genes = rng.permutation(adata.n_obs), rng.permutation(adata.n_vars)
    moved = adata[cells][:, genes].copy()
    other = AnnData(stored(moved.X.toarray().astype(kind), how), obs=moved.obs[[]], var=moved.var[[]])
    close(attributed(other).loc[expected.index, expected.columns], expected)
    close(scored(other).loc[score.index], score)


@QUICK
@given(seed=st.integers(0, 2**16), n_more=st.integers(1, 5), cut=st.integers(1, 7))
def test_genes_that_the_model_lacks_and_a_division_of_the_cells_change_nothing(seed, n_more, cut):
    rng = np.random.default_rng(seed)
    adata = make_cells(8, seed=seed)
    expected, score = attributed(adata), scored(adata)
    more = AnnData(
        sparse.hstack([adata.X, rng.poisson(1.0, (8, n_more)).astype(np.float32)], format="csr"),
        obs=adata.obs[[]],
        var=pd.DataFrame(index=[*adata.var_names, *(f"UNKNOWN{i}" for i in range(n_more))]),
    )
    found = attributed(more)
    close(found[expected.columns], expected)
    assert not found.drop(columns=expected.columns).to_numpy().any()
    parts = [adata[:cut].copy(), adata[cut:].copy()]
    close(pd.concat([attributed(part) for part in parts]), expected)
    close(pd.concat([scored(part) for part in parts]), score)


@QUICK
@given(seed=st.integers(0, 2**16), factor=st.sampled_from([1e-3, 0.5, 7.0, 1e4]))
def test_scale_of_weights_and_genes_of_no_weight_change_no_score(seed, factor):
    adata = make_cells(8, seed=seed)
    attributed(adata)
    score = scored(adata)
    close(scored(adata, {gene: factor * weight for gene, weight in SIGNATURE.items()}), score)
    close(scored(adata, {**SIGNATURE, "GENE9": 0.0}), score)
    close(-scored(adata, {gene: -weight for gene, weight in SIGNATURE.items()}), score)
