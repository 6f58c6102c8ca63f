"""`tl.score`, `tl.embed`, `pp`: thin faces over the parts, with the same numbers."""

import numpy as np
import pytest
import scanpy as sc
from scipy.sparse import csr_matrix

from insignia import pp, tl
from insignia.core import keys
from insignia.core.errors import CoverageWarning, GeneMatchError, InputError, MissingMetadata, SignatureError
from insignia.data import Expression
from insignia.genes import GeneVocabulary
from insignia.models import fakes
from insignia.workflows import create_atlas
from tests.attribution.conftest import NAMES, make_cells, scimilarity_look_alike, vocabulary

GENES = {"GENE3": 1.0, "GENE7": -2.0, "GENE11": 0.5}


@pytest.fixture
def attributed():
    adata = make_cells(40)
    tl.attribute(adata, scimilarity_look_alike(), show_progress=False)
    return adata


def test_a_score_is_the_weighted_mean_over_absolute_weights(attributed):
    dense = attributed.layers[keys.ATTRIBUTION].toarray()
    places = [NAMES.index(gene) for gene in GENES]
    weights = np.array(list(GENES.values()))
    tl.score(attributed, GENES, key_added="mine")
    np.testing.assert_allclose(attributed.obs["mine"], dense[:, places] @ weights / np.abs(weights).sum(), rtol=1e-5)
    tl.score(attributed, GENES, key_added="mine", agg="sum")
    np.testing.assert_allclose(attributed.obs["mine"], dense[:, places] @ weights, rtol=1e-4, atol=1e-4)
    tl.score(attributed, list(GENES), layer=None, key_added="plain")
    np.testing.assert_allclose(attributed.obs["plain"], attributed.X.toarray()[:, places].mean(1), rtol=1e-5)
    assert list(attributed.uns["mine"]["genes"]["status"]) == ["matched"] * 3


def test_scores_in_memory_equal_scores_of_an_atlas(attributed, tmp_path):
    attributed.obs["sample"] = "s"
    atlas = create_atlas(tmp_path / "atlas", scimilarity_look_alike())
    constants = {"study": "a", "disease": "normal", "tissue": "blood", "cell_type": "B"}
    atlas.add(attributed, constants=constants, progress=False)
    found = atlas.search(GENES).scores
    tl.score(attributed, GENES, key_added="mine")
    np.testing.assert_allclose(found, attributed.obs["mine"], rtol=2e-3, atol=1e-3)


def test_genes_that_the_model_does_not_know_are_missing_and_not_zero():
    known = GeneVocabulary.from_names(NAMES[:10], organism="human")
    adata = make_cells()
    tl.attribute(adata, fakes.linear_encoder(known), show_progress=False)
    with pytest.warns(CoverageWarning, match="GENE20"):
        tl.score(adata, ["GENE3", "GENE4", "GENE20"], key_added="mine")
    dense = adata.layers[keys.ATTRIBUTION].toarray()
    np.testing.assert_allclose(adata.obs["mine"], dense[:, [3, 4]].mean(1), rtol=1e-5)
    assert "mine" not in adata.var


def test_copies_leave_the_input_alone(attributed):
    before = list(attributed.obs)
    copied = tl.score(attributed, GENES, key_added="mine", copy=True)
    assert "mine" in copied.obs
    assert list(attributed.obs) == before


def test_scores_that_cannot_be_are_refused(attributed):
    with pytest.raises(MissingMetadata, match="pass layer=None to score"):
        tl.score(make_cells(), GENES)
    with pytest.raises(GeneMatchError, match="min_coverage=50%"):
        tl.score(attributed, ["GENE1", "NOPE1", "NOPE2"])
    with pytest.raises(SignatureError, match="add up to 0"):
        tl.score(attributed, {"GENE1": 1.0, "GENE2": -1.0}, agg="weighted_mean")
    with pytest.raises(SignatureError):
        tl.score(attributed, [])


def test_embeddings_stand_in_obsm(attributed):
    model = scimilarity_look_alike()
    tl.embed(attributed, model)
    expected = model.embed(Expression.from_adata(attributed).block(0, attributed.n_obs))
    np.testing.assert_array_equal(attributed.obsm["X_scimilarity"], expected)


def test_the_ranking_is_what_scanpy_reads(attributed):
    attributed.obs["group"] = np.where(np.arange(40) % 2, "odd", "even")
    tl.rank_genes(attributed, "group", n_genes=10)
    table = sc.get.rank_genes_groups_df(attributed, group=None, key=keys.RANK_GENES)
    assert len(table) == 20
    assert set(table["group"]) == {"odd", "even"}
    dense = attributed.layers[keys.ATTRIBUTION].toarray()
    odd = np.arange(40) % 2 == 1
    difference = dense[odd].mean(0) - dense[~odd].mean(0)
    best = table[table["group"] == "odd"].iloc[0]
    assert best["names"] == attributed.var_names[difference.argmax()]
    assert best["scores"] == pytest.approx(difference.max(), rel=1e-4)


def test_scanpy_draws_the_ranking(attributed):
    import matplotlib

    matplotlib.use("Agg")
    attributed.obs["group"] = np.where(np.arange(40) % 2, "odd", "even")
    attributed.obs["group"] = attributed.obs["group"].astype("category")
    tl.rank_genes(attributed, "group")
    sc.pl.rank_genes_groups(attributed, key=keys.RANK_GENES, n_genes=5, show=False)
    axes = sc.pl.rank_genes_groups_dotplot(
        attributed, key=keys.RANK_GENES, n_genes=3, layer=keys.ATTRIBUTION, show=False, dendrogram=False
    )
    assert "mainplot_ax" in axes


def test_ranking_needs_attributions_and_two_groups(attributed):
    with pytest.raises(MissingMetadata, match="no layer 'attribution'"):
        tl.rank_genes(make_cells(), "group")
    with pytest.raises(MissingMetadata, match="no column 'group'"):
        tl.rank_genes(attributed, "group")
    attributed.obs["group"] = "one"
    with pytest.raises(InputError, match="at least two groups"):
        tl.rank_genes(attributed, "group")


def test_a_check_says_what_attribution_would_meet():
    report = pp.check(make_cells(), fakes.linear_encoder(vocabulary()))
    assert (report.n_cells, report.n_genes, report.input_space) == (12, 60, "counts")
    assert "60 of 60" in str(report)
    strange = make_cells()
    strange.var_names = [f"XYZ{i}" for i in range(60)]
    with pytest.raises(GeneMatchError, match="0 of 60"):
        pp.check(strange, fakes.linear_encoder(vocabulary()))


def test_metadata_are_written_under_the_names_of_an_atlas():
    adata = make_cells()
    adata.obs["patient"] = "p1"
    adata.obs["cluster"] = "B"
    pp.standardise_obs(
        adata,
        columns={"cluster": "cell_type"},
        constants={"study": "GSE1", "sample": "s1", "tissue": "blood", "disease": "normal"},
    )
    assert set(keys.METADATA) <= set(adata.obs)
    assert (adata.obs["donor"] == "p1").all()
    assert isinstance(adata.X, csr_matrix)
