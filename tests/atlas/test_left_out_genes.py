"""Leaving a gene out of a comparison is what searching, calling and comparing without it gives."""

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import N_GENES, cells, make_atlas, scaled

from insignia.atlas.left_out_genes import scores_without_each_gene
from insignia.core.errors import InputError

GENES = ["GENE3", "GENE7", "GENE11", "GENE20", "GENE31"]
CARRIER = "GENE7"


def study(name, *, genes=None, boost=1.0, seed=0):
    """Six cases and six healthy donors of 30 cells; the cases carry one gene of the signature."""
    genes = np.arange(N_GENES) if genes is None else genes
    rng = np.random.default_rng([seed, *name.encode()])
    n = 360
    case = np.arange(n) // 30 % 2 == 0
    values = rng.gamma(0.5, size=(n, genes.size)) * (rng.random((n, genes.size)) < 0.5)
    # as much goes to another gene in the healthy, since rows add up to 1,000 and more of one gene is less of the rest
    values[np.arange(n), np.where(case, np.flatnonzero(genes == 7), np.flatnonzero(genes == 39))] += boost * rng.gamma(
        2.0, size=n
    )
    donors = [f"d{i // 30}" for i in range(n)]
    return cells(name, n, genes=genes, values=scaled(values), donor=donors, sample=donors,
                 disease=np.where(case, "sepsis", "normal"))  # fmt: skip


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    without_two = np.setdiff1d(np.arange(N_GENES), [3, 31])
    studies = [study("A"), study("B", genes=without_two), study("C")]
    return make_atlas(tmp_path_factory.mktemp("left") / "atlas", *studies)


@pytest.mark.parametrize("agg", ["mean", "sum", "weighted_mean"])
@pytest.mark.parametrize("where", [None, "study != 'A' AND donor <> 'd3'"])
def test_scores_equal_a_search_for_the_other_genes(atlas, agg, where):
    weights = {"GENE3": 1.0, "GENE7": 0.5, "GENE11": -2.0, "GENE20": 1.0, "GENE31": 3.0}
    result = atlas.search(weights, agg=agg, where=where)
    left = dict(scores_without_each_gene(result))
    assert list(left) == sorted(weights, key=lambda gene: int(gene[4:]))
    for gene, scores in left.items():
        others = {name: weight for name, weight in weights.items() if name != gene}
        expected = atlas.search(others, agg=agg, where=where, min_coverage=0.0).scores
        np.testing.assert_allclose(scores, expected, rtol=2e-4, atol=2e-3)


def test_each_row_is_the_comparison_of_the_other_genes(atlas):
    hits = atlas.search(GENES).call("percentile", q=85)
    found = hits.by_sample(min_cells=5).compare(reference="normal")
    table = found.without_each_gene(hits)
    assert set(table["without"]) == set(GENES)
    for gene in GENES:
        others = atlas.search([g for g in GENES if g != gene], min_coverage=0.0).call("percentile", q=85)
        expected = others.by_sample(min_cells=5).compare(reference="normal").table.iloc[0]
        row = table[table["without"] == gene].iloc[0]
        assert row["p"] == pytest.approx(expected["p"], rel=0.2)
        assert row["shift"] == pytest.approx(expected["shift"], abs=0.02)
        assert row["shift_change"] == pytest.approx(row["shift"] - found.table.loc[0, "shift"])


def test_what_genes_take_from_a_sum_adds_up_to_the_score(atlas):
    """Law: without division, leaving each gene out once takes the whole difference away once."""
    hits = atlas.search(GENES, agg="sum").call("quantile", q=0.9)
    found = hits.by_sample(min_cells=5).compare(reference="normal")
    table = found.without_each_gene(hits)
    scores = hits.by_sample(min_cells=5).table.groupby(["study", "disease"])["mean_score"].mean()
    by_disease = scores.groupby("disease").mean()
    whole = by_disease["sepsis"] - by_disease["normal"]
    assert table["score_change"].sum() == pytest.approx(-whole, rel=1e-3)


def test_the_gene_that_carries_the_difference_is_what_it_hangs_on(atlas):
    hits = atlas.search(GENES).call("percentile", q=85)
    found = hits.by_sample(min_cells=5).compare(reference="normal")
    assert found.table.loc[0, "q"] < 0.001
    left = found.leave_one_gene_out(hits).iloc[0]
    assert left["hangs_on"] == CARRIER
    assert left["p_highest"] > 0.05
    assert left["shift_lowest"] < 0.05 < left["shift_highest"]
    assert (left["rank_best"], left["rank_worst"]) == (1, 1)
    changes = found.without_each_gene(hits).set_index("without")["score_change"]
    assert changes.idxmin() == CARRIER


def test_a_cut_off_of_another_search_stays_where_it_is(atlas):
    frozen = atlas.search(GENES, where="study = 'A'").call("percentile", q=90)
    hits = frozen.apply_to(atlas.search(GENES, where="study <> 'A'"))
    assert not hits.is_own
    found = hits.by_sample(min_cells=5).compare(reference="normal")
    table = found.without_each_gene(hits)
    for gene, scores in scores_without_each_gene(hits.result):
        here = hits.result.metadata(["disease", "study", "donor"]).assign(hit=scores > hits.cutoff)
        fraction = here.groupby(["study", "donor", "disease"], observed=True)["hit"].mean().reset_index()
        grouped = fraction.dropna().groupby(["study", "disease"], observed=True)["hit"]
        arms = {key: rows.to_numpy() for key, rows in grouped}
        pairs = [np.subtract.outer(arms[name, "sepsis"], arms[name, "normal"]).ravel() for name in "BC"]
        row = table[table["without"] == gene].iloc[0]
        assert row["shift"] == pytest.approx(np.median(np.concatenate(pairs)), abs=1e-9)


def test_strata_pooled_samples_and_put_aside_rows_keep_their_cells(atlas):
    hits = atlas.search(GENES).call("quantile", q=0.9, within="cell_type", reference="disease = 'normal'")
    samples = hits.by_sample("cell_type", min_cells=8)
    assert len(samples.excluded)
    found = samples.compare(reference="normal")
    table = found.without_each_gene(hits)
    assert set(table["stratum"]) == {"B cell", "monocyte", "T cell"}
    assert len(table) == 3 * len(GENES)
    assert (table.groupby("stratum")["score_change"].min() < 0).all()


def test_a_signature_of_one_gene_has_nothing_to_leave_out(atlas):
    hits = atlas.search(["GENE7"]).call("percentile", q=85)
    found = hits.by_sample(min_cells=5).compare(reference="normal")
    assert found.without_each_gene(hits).empty
    assert found.leave_one_gene_out(hits).empty


def test_hits_that_were_not_compared_are_refused(atlas):
    hits = atlas.search(GENES).call("percentile", q=85)
    found = hits.by_sample(min_cells=5).compare(reference="normal")
    with pytest.raises(InputError, match="not made from these hits"):
        found.leave_one_gene_out(atlas.search(GENES).call("percentile", q=60))
