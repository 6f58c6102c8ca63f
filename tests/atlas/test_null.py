"""Scores beside matched random gene sets: exact, calibrated where nothing is there, and powerful where something is."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from benchmarks.attack.atlas_cells import RECORD, scaled
from scipy import sparse, stats

from insignia.atlas import Atlas
from insignia.core import keys
from insignia.core.errors import CoverageWarning, InputError, MissingMetadata
from insignia.data import AttributionRecord
from insignia.genes import GeneVocabulary

N_GENES = 600
GENES = GeneVocabulary.from_names([f"GENE{i}" for i in range(N_GENES)], organism="human")
PROGRAM = [f"GENE{i}" for i in range(100, 500, 9)]
UNMEASURED = range(2, 600, 3)
"""Genes that the second study did not measure, beside two of the program."""


def study(name, n, seed, *, planted=(), active=0.0, genes=None):
    """Cells whose genes differ in detection and size; `planted` genes are raised in a share `active` of the cells."""
    rng = np.random.default_rng([7])
    level, share = rng.lognormal(0, 1, N_GENES), rng.uniform(0.05, 0.9, N_GENES)
    rng = np.random.default_rng(seed)
    values = rng.gamma(1.5, level, size=(n, N_GENES)) * (rng.random((n, N_GENES)) < share)
    is_active = rng.random(n) < active
    for gene in planted:
        values[is_active, int(gene[4:])] += rng.gamma(3.0, 2 * level[int(gene[4:])], is_active.sum())
    genes = np.arange(N_GENES) if genes is None else genes
    obs = pd.DataFrame(
        {
            "study": name,
            "sample": "s",
            "donor": [f"d{i % 4}" for i in range(n)],
            "tissue": "blood",
            "disease": "normal",
            "cell_type": np.where(is_active, "active", "quiet"),
        },
        index=[f"{name}-{i}" for i in range(n)],
    )
    var = pd.DataFrame({keys.gene_index(): genes.astype(np.int32)}, index=[f"GENE{g}" for g in genes])
    adata = AnnData(obs=obs, var=var, layers={keys.ATTRIBUTION: sparse.csr_matrix(scaled(values[:, genes]))})
    adata.uns[keys.ATTRIBUTION] = record().to_dict()
    return adata


def record():
    return AttributionRecord.from_dict({**RECORD.to_dict(), "genes_sha256": GENES.sha256})


def make(path, *adatas, **options):
    atlas = Atlas.create(path, genes=GENES, record=record())
    atlas.add(list(adatas), **options)
    return atlas


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("null")
    few = np.setdiff1d(np.arange(N_GENES), [100, 133, *UNMEASURED])
    parts = [
        study("S1", 250, 1, planted=PROGRAM, active=0.2),
        study("S2", 250, 2, planted=PROGRAM, active=0.2, genes=few),
    ]
    return make(folder / "a", *parts, max_cells_per_segment=300)


@pytest.mark.parametrize("agg", ["mean", "sum", "weighted_mean"])
def test_null_scores_are_those_of_searching_each_set(atlas, agg):
    weights = {"GENE3": 1.0, "GENE100": 2.0, "GENE150": -0.5, "GENE300": 1.0}
    result = atlas.search(weights, agg=agg, where="barcode <> 'S1-4'")
    null = result.null(n_sets=5, n_cells=60, pool=4, rng=3)
    assert null.null.shape == (60, 5)
    np.testing.assert_array_equal(null.scores, result.scores[null.rows].astype(float))
    assert (np.diff(null.rows) > 0).all()
    # the same sets, found again with dense numpy; a search of each gives the same sums
    drawn, ratios = _sets(result, null)
    own = _weights(result)
    w = np.array(list(weights.values()))
    has = np.tile([True] * 4, (len(result), 1))
    has[:, 1] = result.metadata(["study"])["study"] == "S1"
    divisor = {"mean": has @ np.abs(w), "weighted_mean": has @ w, "sum": np.ones(len(has))}[agg]
    for column, (genes, ratio) in enumerate(zip(drawn, ratios, strict=True)):
        scaled_weights = {gene: float(w * r) for gene, w, r in zip(genes, own, ratio, strict=True)}
        everywhere = atlas.search(scaled_weights, agg="sum", where=result.where).scores
        # where GENE100 was not measured, its stand-in does not count
        stand_in = np.nan_to_num(atlas.gene_matrix([genes[1]], where=result.where)[0].toarray()[:, 0])
        alone = scaled_weights[genes[1]] * stand_in
        expected = (everywhere - alone * ~has[:, 1]).astype(float) / divisor
        np.testing.assert_allclose(null.null[:, column], expected[null.rows], rtol=1e-3, atol=1e-4)
    assert null.genes["gene"].tolist() == ["GENE3", "GENE100", "GENE150", "GENE300"]


def _weights(result):
    from insignia.atlas.screens.divisors import SignatureMatrix

    return [float(w) for w in SignatureMatrix.of([result.signature], [result.match]).weights]


def _sets(result, null):
    """Draw the sets again, with dense numpy for everything that decides who stands in for whom."""
    from insignia.stats import closest_in_mean, draw_sets, nearest_in_detection

    o = null.options
    rng = np.random.default_rng(o.rng)
    order = rng.permutation(len(result))
    places = np.sort(order[: o.n_cells])
    np.testing.assert_array_equal(places, null.rows)
    snapshot = result.snapshot
    everything, _, _ = Atlas(snapshot).gene_matrix([f"GENE{i}" for i in range(N_GENES)])
    dense = everything.toarray()
    measured = ~np.isnan(dense)
    share = (np.nan_to_num(dense) != 0).sum(axis=0) / measured.sum(axis=0)
    genes = np.array([3, 100, 150, 300])
    rows = result.rows[places]
    allowed = np.array([(measured[rows] | ~measured[rows][:, [g]]).all(axis=0) for g in genes])
    candidates = nearest_in_detection(share, genes, allowed, n=3 * o.pool)
    mean = np.nanmean(np.abs(dense[rows]), axis=0)
    sets = draw_sets(closest_in_mean(mean, genes, candidates, n=o.pool), n_sets=o.n_sets, rng=rng)
    assert not set(UNMEASURED) & set(sets[:, [0, 2, 3]].ravel()), "stand-ins are measured wherever the gene is"
    return [[f"GENE{g}" for g in row] for row in sets], mean[genes] / mean[sets]


def test_without_an_effect_p_is_uniform(tmp_path):
    adata = study("S1", 200, 5)
    adata.obs["cell_type"] = ["a", "b"] * 100
    atlas = make(tmp_path / "a", adata)
    rng = np.random.default_rng(0)
    of_groups, of_cells, z = [], [], []
    for seed in range(80):
        genes = rng.choice(N_GENES, 15, replace=False)
        null = atlas.search([f"GENE{g}" for g in genes]).null(within="cell_type", n_sets=99, n_cells=40, rng=seed)
        of_groups.append(null.groups().set_index("group").loc["a", "p"])
        of_cells.append(null.p[0])
        z.append(null.groups().set_index("group").loc["a", "z"])
    for p in (of_groups, of_cells):
        assert stats.kstest(p, "uniform").pvalue > 0.01
        assert 0.35 < np.mean(p) < 0.65
    assert abs(np.mean(z)) < 0.4
    assert 0.7 < np.std(z) < 1.4


def test_one_group_has_nothing_to_stand_out_from(atlas):
    null = atlas.search(PROGRAM).null(n_sets=50, n_cells=100)
    table = null.groups()
    assert table["null_mean"][0] == pytest.approx(table["score"][0], rel=0.06)
    # half of the cells stand out from the others, half do not
    assert 0.05 < (null.p < 0.05).mean() < 0.4


def test_a_planted_program_stands_out_and_other_genes_do_not(atlas):
    null = atlas.search(PROGRAM).null(within="cell_type", n_sets=199, n_cells=80)
    table = null.groups().set_index("group")
    assert table.index[0] == "active"
    assert table.loc["active", "z"] > 8
    assert table.loc["active", "p"] == 1 / 200
    assert table.loc["active", "cells"] == 80
    found = null.p < 0.05
    assert found[null.labels == "active"].mean() > 0.9
    assert found[null.labels == "quiet"].mean() < 0.1
    other = atlas.search([f"GENE{i}" for i in range(103, 500, 9)]).null(within="cell_type", n_sets=199, n_cells=80)
    assert other.groups()["z"].abs().max() < 3.5


def test_the_hit_rule_lets_through_what_it_says(atlas):
    result = atlas.search(PROGRAM)
    hits = result.call("null", q=0.95, within="cell_type", n_sets=100, n_cells=60, rng=1)
    strata = hits.cutoffs.strata
    assert set(strata) == {"active", "quiet"}
    for stratum in strata.values():
        assert stratum.rate == pytest.approx(0.05, abs=0.001)
        assert stratum.held_out_rate == pytest.approx(0.05, abs=0.03)
        assert (stratum.cells, stratum.donors) == (60, 8)
    assert hits.cutoffs.false_positive_rate == pytest.approx(0.05)
    assert hits.reference.startswith("100 random gene sets like the signature in 120 of 500 cells of 2 studies")
    is_active = (result.metadata(["cell_type"])["cell_type"] == "active").to_numpy()
    assert hits.is_hit[is_active].mean() > 0.9
    assert hits.is_hit[~is_active].mean() < 0.2
    # the record repeats it
    again = result.call("null", within=hits.cutoffs.within, **hits.cutoffs.params)
    assert again.cutoffs.values == hits.cutoffs.values
    assert result.call("null", q=0.95, n_sets=20, n_cells=50).cutoffs.within is None


def test_the_cost_is_bounded_and_told(atlas):
    result = atlas.search(PROGRAM)
    null = result.null(n_sets=500, n_cells=100, pool=5)
    k = len(PROGRAM)
    assert null.n_genes_read <= k + 3 * 5 * k
    stored = sum(entry.values for entry in atlas._snapshot.manifest.segments)
    assert 0 < null.n_values_read < stored
    assert f"{null.n_genes_read:,} genes, {null.n_values_read:,} values read" in null.summary()
    assert "500 random sets in 100 cells" in null.summary()
    ratio = null.genes["null_mean"] / null.genes["mean"]
    assert abs(np.log(ratio)).median() < 0.7
    same = result.null(n_sets=500, n_cells=100, pool=5)
    np.testing.assert_array_equal(same.null, null.null)
    assert not np.array_equal(result.null(n_sets=500, n_cells=100, pool=5, rng=1).null, null.null)


def test_cells_without_a_score_are_not_drawn(atlas):
    with pytest.warns(CoverageWarning, match="S2"):
        result = atlas.search(["GENE100", "GENE133", "GENE5"], min_coverage=0.9)
    null = result.null(n_sets=20, n_cells=400)
    assert len(null) == 250
    assert np.isfinite(null.null).all()
    assert set(result.metadata(["study"])["study"].to_numpy()[null.rows]) == {"S1"}


def test_refusals(atlas):
    result = atlas.search(PROGRAM)
    with pytest.raises(MissingMetadata, match="no column 'kind'"):
        result.null(within="kind")
    with pytest.raises(InputError, match="n_sets is at least 2; found 1"):
        result.null(n_sets=1)
    with pytest.raises(InputError, match=r"share too few others|no other gene"):
        atlas.search([f"GENE{i}" for i in range(550)]).null(n_sets=20, n_cells=10)
    with pytest.raises(InputError, match="takes q"):
        result.call("null", quantile=0.9)
