"""`tl.compare_scores`: several scores of one signature, equal to each scorer alone, and labels told apart per donor."""

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from tests.attribution.conftest import NAMES, make_cells, scimilarity_look_alike

from insignia import tl
from insignia.core import keys
from insignia.core.errors import (
    CoverageWarning,
    GeneMatchError,
    InputError,
    LeftOutWarning,
    MissingDependency,
    MissingMetadata,
    UnknownName,
)
from insignia.genes import GeneVocabulary
from insignia.models import fakes
from insignia.stats import auroc_by_donor

OWN = ["attribution", "log_expression", "z_score", "tf_idf"]
SET = ["GENE1", "GENE2", "GENE3", "GENE8"]


@pytest.fixture
def cells():
    """Three donors; the set is up in half of the cells of two, the third has no such cell."""
    adata = make_cells(60)
    dense = adata.X.toarray()
    state = np.where((np.arange(60) < 40) & (np.arange(60) % 2 == 0), "high", "low")
    rng = np.random.default_rng(3)
    dense[np.ix_(state == "high", [1, 2, 3, 8])] += rng.poisson(4.0, ((state == "high").sum(), 4))
    adata.X = dense
    adata.obs["state"] = pd.Categorical(state)
    adata.obs["donor"] = np.repeat(["a", "b", "c"], 20)
    tl.attribute(adata, scimilarity_look_alike(), show_progress=False)
    return adata


def test_each_column_is_what_its_scorer_gives(cells):
    tl.compare_scores(cells, SET, methods=OWN, key_added="s")
    places = [NAMES.index(gene) for gene in SET]
    counts = cells.X.astype(float)
    logged = np.log1p(counts / np.maximum(counts.sum(1, keepdims=True), 1) * 1e4)
    np.testing.assert_allclose(cells.obs["s_log_expression"], logged[:, places].mean(1), rtol=1e-5)
    attributed = cells.layers[keys.ATTRIBUTION].toarray()[:, places].mean(1)
    np.testing.assert_allclose(cells.obs["s_attribution"], attributed, rtol=1e-5)
    tl.score(cells, SET, key_added="alone")
    np.testing.assert_allclose(cells.obs["s_attribution"], cells.obs["alone"], rtol=1e-6)


def test_the_summary_holds_rank_correlations_and_aurocs_of_every_donor(cells):
    tl.compare_scores(cells, SET, methods=OWN, labels="state", positive="high", donors="donor", key_added="s")
    facts = cells.uns["s"]
    found = facts["spearman"].loc["attribution", "tf_idf"]
    assert found == pytest.approx(spearmanr(cells.obs["s_attribution"], cells.obs["s_tf_idf"]).statistic, abs=1e-9)
    table = facts["auroc"].set_index(["method", "donor"])["auroc"]
    for donor in "ab":
        here = cells.obs["donor"] == donor
        expected = roc_auc_score(cells.obs["state"][here] == "high", cells.obs["s_z_score"][here])
        assert table["z_score", donor] == pytest.approx(expected)
    assert np.isnan(table["z_score", "c"])
    assert table["log_expression", "a"] > 0.9


def test_donors_that_differ_do_not_count_as_agreement():
    """Scores that only tell donors apart have no AUROC within them, whatever they have over all cells."""
    rng = np.random.default_rng(0)
    donors = np.repeat(["a", "b"], 300)
    positive = rng.random(600) < np.where(donors == "a", 0.9, 0.1)
    scores = (donors == "a") * 5.0 + rng.normal(size=600)
    within = auroc_by_donor(scores, positive, donors)
    together = auroc_by_donor(scores, positive)
    assert within["auroc"].between(0.35, 0.65).all()
    assert together["auroc"].iloc[0] > 0.85
    assert together["shuffled"].iloc[0] < 0.6


def test_all_methods_score_the_genes_that_the_model_knows(cells):
    del cells.layers[keys.ATTRIBUTION], cells.var[keys.gene_index()]
    known = GeneVocabulary.from_names(NAMES[:5], organism="human")
    tl.attribute(cells, fakes.linear_encoder(known), show_progress=False)
    with pytest.warns(CoverageWarning, match="GENE8"):
        tl.compare_scores(cells, SET, methods=["attribution", "log_expression"], key_added="s")
    counts = cells.X.astype(float)
    logged = np.log1p(counts / np.maximum(counts.sum(1, keepdims=True), 1) * 1e4)
    np.testing.assert_allclose(cells.obs["s_log_expression"], logged[:, [1, 2, 3]].mean(1), rtol=1e-5)
    tl.compare_scores(cells, SET, methods=["log_expression"], key_added="all")
    np.testing.assert_allclose(cells.obs["all_log_expression"], logged[:, [1, 2, 3, 8]].mean(1), rtol=1e-5)


def test_what_cannot_run_is_left_out_by_name_unless_it_was_asked_for(cells, monkeypatch):
    import sys

    for package in ("pyucell", "decoupler"):
        monkeypatch.setitem(sys.modules, package, None)
    del cells.layers[keys.ATTRIBUTION]
    with pytest.warns(LeftOutWarning, match=r"4 of 8 methods left out.*attribution.*aucell.*ucell.*ulm"):
        tl.compare_scores(cells, SET, key_added="s")
    assert cells.uns["s"]["methods"] == ["log_expression", "score_genes", "tf_idf", "z_score"]
    assert set(cells.uns["s"]["left_out"]) == {"attribution", "aucell", "ucell", "ulm"}
    with pytest.raises(MissingDependency, match="pip install 'insignia"):
        tl.compare_scores(cells, SET, methods=["ucell"])
    with pytest.raises(MissingMetadata, match=r"Run ins\.tl\.attribute"):
        tl.compare_scores(cells, SET, methods=["attribution"])


def test_results_survive_a_file_and_copies_leave_the_input_alone(cells, tmp_path):
    copied = tl.compare_scores(
        cells, SET, methods=OWN, labels="state", positive="high", donors="donor", key_added="s", copy=True
    )
    assert "s" not in cells.uns
    copied.write_h5ad(tmp_path / "cells.h5ad")
    back = anndata.read_h5ad(tmp_path / "cells.h5ad")
    pd.testing.assert_frame_equal(back.uns["s"]["spearman"], copied.uns["s"]["spearman"], check_names=False)
    assert list(back.uns["s"]["methods"]) == OWN


def test_comparisons_that_cannot_be_are_refused(cells):
    with pytest.raises(UnknownName, match="no scorer 'gsva'"):
        tl.compare_scores(cells, SET, methods=["gsva"])
    with pytest.raises(InputError, match="named once"):
        tl.compare_scores(cells, SET, methods=["z_score", "z_score"])
    with pytest.raises(InputError, match="positive= takes values"):
        tl.compare_scores(cells, SET, methods=["z_score"], labels="state")
    with pytest.raises(InputError, match=r"'low'\]; found \['none of these'\]"):
        tl.compare_scores(cells, SET, methods=["z_score"], labels="state", positive="none of these")
    with pytest.raises(MissingMetadata, match="no column 'person'"):
        tl.compare_scores(cells, SET, methods=["z_score"], labels="state", positive="high", donors="person")
    with pytest.raises(GeneMatchError, match="min_coverage=50%"):
        tl.compare_scores(cells, ["GENE1", "NOPE1", "NOPE2"], methods=["z_score"])
    only_low = cells[cells.obs["donor"] == "c"].copy()
    only_low.obs["state"] = "low"
    with pytest.raises(InputError, match="both marked and other cells"):
        tl.compare_scores(only_low, SET, methods=["z_score"], labels="state", positive="low")
