"""Signatures on imputed spots: plain sums of the imputed genes, with intervals that hold for the sums."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from tests.spatial.section_stacks import changed, section_stack

from insignia.core.errors import DuplicateNames, GeneMatchError
from insignia.genes import Signature
from insignia.report import gene_maps_figure
from insignia.spatial.impute import impute
from insignia.spatial.left_out import LeftOut
from insignia.spatial.panel import normalise
from insignia.spatial.signature_scores import SignatureScores, read_signatures
from insignia.spatial.uncertainty import calibrate

SEEN = {"even": {"gene00": 1.0, "gene02": -2.0, "gene04": 1.0}, "odd": ["gene01", "gene03", "gene05"]}


@pytest.fixture(scope="module")
def stack():
    return section_stack(side=11)


@pytest.fixture(scope="module")
def imputed(stack):
    return impute(stack, known=["s0"], method="blend", genes=4, sections="all", signatures=SEEN, baselines=False)


def by_hand(imputed, weights):
    """Each gene against the three others that come closest in mean count, one gene after the other."""
    level = np.log(imputed.var["mean_count"] + 1e-3)
    total = 0.0
    for gene, weight in weights.items():
        controls = (level - level[gene]).abs().drop(list(weights)).sort_values(kind="stable").index[:3]
        beside = np.asarray(imputed[:, list(controls)].X).mean(axis=1)
        total += weight * (np.asarray(imputed[:, gene].X).ravel() - beside)
    return total / sum(abs(weight) for weight in weights.values())


def test_the_score_sets_each_gene_against_its_controls(imputed, stack):
    np.testing.assert_allclose(imputed.obs["even"], by_hand(imputed, SEEN["even"]), atol=1e-6)
    np.testing.assert_allclose(imputed.obs["odd"], by_hand(imputed, dict.fromkeys(SEEN["odd"], 1.0)), atol=1e-6)
    known = imputed.obs["is_known"].to_numpy()
    assert (imputed.obs["even_sd"][known] == 0).all()
    assert (imputed.obs["even_sd"][~known] > 0).all()
    counts = normalise(np.asarray(stack["s0"].spots[:, list(imputed.var_names)].X))
    measured = counts @ imputed.varm["signature_weights"]["even"].to_numpy()
    np.testing.assert_allclose(imputed.obs["even"][known], measured, atol=1e-5)


def test_the_genes_of_a_signature_join_the_panel_and_are_marked(imputed, stack):
    wanted = {f"gene0{i}" for i in range(6)}
    assert wanted <= set(imputed.var_names)
    top = impute(stack, known=["s0"], method="mean", genes=4, baselines=False)
    assert list(imputed.var_names[:4]) == list(top.var_names)
    assert list(imputed.var["source"][4:]) == ["signature"] * (imputed.n_vars - 4)
    assert list(top.var["source"]) == ["top by mean count"] * 4


def test_a_score_does_not_tell_how_deep_a_spot_was_sequenced(stack):
    """Counts thinned to a third in half of the spots: the plain mean of rare genes follows, the score does not."""
    rng = np.random.default_rng(0)
    section = stack["s0"]
    spots = section.spots.copy()
    rare = rng.poisson(0.3, (spots.n_obs, 60)).astype(np.float32)
    counts = np.hstack([np.asarray(spots.X), rare])
    thinned = np.arange(len(counts)) % 2 == 0
    counts[thinned] = rng.binomial(counts[thinned].astype(int), 1 / 3)
    names = [*spots.var_names, *(f"rare{i:02}" for i in range(60))]
    deep = AnnData(counts, obs=spots.obs, var=pd.DataFrame(index=names), obsm=dict(spots.obsm))
    some = {"rare": [f"rare{i:02}" for i in range(10)]}
    wide = changed(stack, "s0", spots=deep)
    every = impute(wide, known=["s0"], method="mean", genes=12, sections="all", signatures=some, baselines=False)
    known = every[every.obs["is_known"].to_numpy()]
    plain = np.asarray(known[:, some["rare"]].X).mean(axis=1)
    assert abs(np.corrcoef(plain, thinned)[0, 1]) > 0.9
    assert abs(np.corrcoef(known.obs["rare"], thinned)[0, 1]) < 0.3


def test_hidden_spots_say_which_signature_can_be_seen(imputed):
    table = imputed.uns["imputation"]["signatures"]
    assert table.loc["even", "predictable"]
    assert table.loc["even", "cv_pcc"] > 0.5
    assert list(table["coverage"]) == [1, 1]


def test_intervals_hold_for_scores_of_genes_that_err_together():
    """Genes with one common error: taking them as independent would cover half as much as is said."""
    rng = np.random.default_rng(0)
    n, genes = 600, 16
    weights = np.full((genes, 1), 1 / genes)
    scores = SignatureScores(("one",), weights, np.ones(1))

    def drawn(n):
        mean = rng.normal(size=(n, genes))
        return mean, mean + rng.normal(size=(n, 1)) + 0.2 * rng.normal(size=(n, genes))

    mean, truth = drawn(n)
    hidden = LeftOut(
        rows=np.arange(n), fold=np.zeros(n, dtype=int), truth=truth, mean=mean, sd=np.ones_like(mean),
        profile=np.zeros((1, genes)), support=np.zeros(n), section=np.zeros(n, dtype=int),
    )  # fmt: skip
    mean, truth = drawn(2000)
    found = scores.scored(
        mean, np.ones_like(mean), scores.calibration(hidden, level=0.9, depth_slope=0.0), np.zeros(2000),
        np.zeros(2000), is_known=np.zeros(2000, dtype=bool),
    )  # fmt: skip
    measured = (truth @ weights)[:, 0]
    inside = (found["one_lower"] <= measured) & (measured <= found["one_upper"])
    assert 0.87 < inside.mean() < 0.93
    assert found["one_sd"].mean() == pytest.approx(1.0, rel=0.1)
    naive = calibrate(None, 1).apply(scores.of_hidden(hidden).mean, scores.of_hidden(hidden).sd, np.zeros(n))
    covered = (naive[1] <= (hidden.truth @ weights)) & ((hidden.truth @ weights) <= naive[2])
    assert covered.mean() < 0.5


def test_the_maps_show_a_signature_as_they_show_a_gene(imputed, stack):
    figure = gene_maps_figure(imputed, ["even", "gene00"], measured=stack)
    assert any("even" in text.get_text() for text in figure.texts)
    with pytest.raises(GeneMatchError, match="the signatures even, odd"):
        gene_maps_figure(imputed, ["uneven"])


def test_what_cannot_be_scored_is_refused(stack):
    with pytest.raises(GeneMatchError, match="below min_coverage"):
        impute(stack, known=["s0"], method="mean", signatures={"x": ["gene00", "A", "B"]})
    low = impute(stack, known=["s0"], method="mean", signatures={"x": ["gene00", "A", "B"]}, min_coverage=0.3)
    assert low.uns["imputation"]["signatures"].loc["x", "coverage"] == pytest.approx(1 / 3)
    with pytest.raises(GeneMatchError, match="there is none to compare with"):
        impute(stack, known=["s0"], method="mean", genes=["gene00", "gene01"], signatures={"x": ["gene00", "gene01"]})
    one = Signature.from_genes(["gene00"], name="x")
    with pytest.raises(DuplicateNames, match="names that differ"):
        read_signatures([one, replace(one, genes=("gene01",))])
