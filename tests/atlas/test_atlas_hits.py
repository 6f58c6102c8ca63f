"""Hits, frozen cut-offs and sample tables against plain counting."""

import warnings

import numpy as np
import pandas as pd
import pytest
from benchmarks.attack.atlas_cells import GENES, N_GENES, RECORD, cells, make_atlas

from insignia.atlas import Atlas
from insignia.core.errors import (
    AtlasMismatch,
    CoverageWarning,
    FilterError,
    InputError,
    MissingMetadata,
    SignatureError,
)

WEIGHTS = {"GENE3": 1.0, "GENE5": 2.0, "GENE8": 0.5}


@pytest.fixture
def studies():
    return [cells("S1", 90), cells("S2", 60, seed=4, disease="normal"), cells("S3", 9)]


@pytest.fixture
def atlas(tmp_path, studies):
    return make_atlas(tmp_path / "a", studies)


def test_hits_are_the_cells_above_the_cutoff(atlas):
    result = atlas.search(WEIGHTS)
    hits = result.call("percentile", q=90)
    assert hits.cutoff == pytest.approx(np.percentile(result.scores.astype(float), 90))
    np.testing.assert_array_equal(hits.is_hit, result.scores > hits.cutoff)
    assert hits.n_hits == 16
    assert (hits.rule, hits.q, hits.n_nan, hits.n_reference) == ("percentile", 90, 0, 159)
    assert hits.reference == "159 cells of 3 studies (all cells)"
    assert result.call("value", value=3.5).cutoff == 3.5
    assert result.call("quantile", q=0.9).cutoff == pytest.approx(hits.cutoff)


def test_a_frozen_cutoff_does_not_move_when_a_study_is_added(atlas):
    hits = atlas.search(WEIGHTS).call("percentile", q=90)
    atlas.add(cells("S4", 200, seed=8))
    later = atlas.search(WEIGHTS)
    frozen = hits.apply_to(later)
    np.testing.assert_array_equal(frozen.is_hit[:159], hits.is_hit)
    assert (frozen.cutoff, frozen.reference, frozen.n_reference) == (hits.cutoff, hits.reference, 159)
    assert len(frozen.is_hit) == 359
    assert later.call("percentile", q=90).cutoff != hits.cutoff
    chosen = hits.apply_to(atlas.search(WEIGHTS, where="study = 'S1'"))
    np.testing.assert_array_equal(chosen.is_hit, hits.is_hit[:90])


def test_a_cutoff_belongs_to_its_signature_and_attributions(atlas, tmp_path):
    hits = atlas.search(WEIGHTS).call("percentile", q=90)
    with pytest.raises(SignatureError, match="cannot call scores"):
        hits.apply_to(atlas.search({**WEIGHTS, "GENE9": 1.0}))
    with pytest.raises(SignatureError, match=r"\(mean\) and cannot call scores of .* \(sum\)"):
        hits.apply_to(atlas.search(WEIGHTS, agg="sum"))
    record = type(RECORD)(**{**RECORD.to_dict(), "method": "deeplift"})
    other = Atlas.create(tmp_path / "other", genes=GENES, record=record)
    other.add(cells("S1", 10, record=record))
    with pytest.raises(AtlasMismatch, match="differ in method"):
        hits.apply_to(other.search(WEIGHTS))


def test_cells_without_a_score_are_no_hits_and_empty_no_calls(atlas, studies):
    alone = atlas.search(WEIGHTS).call("percentile", q=90)
    atlas.add(cells("S4", 40, genes=[3, 20, 21]))
    with pytest.warns(CoverageWarning, match="S4"):
        result = atlas.search(WEIGHTS)
    hits = result.call("percentile", q=90)
    assert hits.cutoff == alone.cutoff
    assert hits.n_hits == 16
    assert hits.n_nan == 40
    assert hits.reference == "159 cells of 3 studies (all cells)"
    table = hits.by_sample(min_cells=1)
    assert set(table.table["study"]) == {"S1", "S2", "S3"}
    aside = table.excluded
    assert set(aside["study"]) == {"S4"}
    assert aside["unscored"].sum() == 40
    assert aside["cells"].sum() == 0
    assert set(aside["reason"]) == {"no score: the study measured 33% of the signature"}


@pytest.mark.parametrize("stratum", [None, "cell_type"])
def test_the_sample_table_counts(atlas, stratum):
    result = atlas.search(WEIGHTS)
    hits = result.call("percentile", q=80)
    table = hits.by_sample(stratum, min_cells=5)
    everything = pd.concat([table.table, table.excluded])
    assert everything["cells"].sum() == 159
    assert everything["hits"].sum() == hits.n_hits
    assert (table.table["cells"] >= 5).all()
    assert (table.excluded["cells"] < 5).all()
    assert table.excluded["reason"].str.contains("fewer than 5").all()
    obs = result.obs.astype(dict.fromkeys(["study", "sample", "donor", "tissue", "disease", "cell_type"], str))
    for row in everything.itertuples():
        mask = np.ones(len(obs), bool)
        for name in ("study", "sample", "donor", "tissue", "disease"):
            mask &= (obs[name] == getattr(row, name)).to_numpy()
        if stratum:
            mask &= (obs[stratum] == row.stratum).to_numpy()
        assert (row.cells, row.hits) == (mask.sum(), hits.is_hit[mask].sum())
        assert row.fraction == hits.is_hit[mask].mean()
        assert row.mean_score == pytest.approx(result.scores[mask].astype(float).mean())
        assert row.coverage == 1
    assert list(table.table.columns) == [
        "study", "sample", "donor", "tissue", "disease", "stratum",
        "cells", "hits", "fraction", "mean_score", "coverage", "unscored",
    ]  # fmt: skip
    assert table.about["cutoffs"] == {"": hits.cutoff}


def test_equal_sample_names_of_two_studies_stay_apart(tmp_path):
    one, two = cells("S1", 15, sample="s", donor="d"), cells("S2", 15, sample="s", donor="d")
    atlas = make_atlas(tmp_path / "a", [one, two])
    table = atlas.search(WEIGHTS).call("percentile", q=90).by_sample(min_cells=25)
    assert len(table) == 0
    assert table.excluded["cells"].tolist() == [10, 5, 10, 5]


def test_a_sample_of_two_tissues_has_two_rows(tmp_path):
    adata = cells("S1", 60, sample="s", donor="d", disease="normal", tissue=["blood", "lung"] * 30)
    table = make_atlas(tmp_path / "a", adata).search(WEIGHTS).call("percentile", q=90).by_sample()
    assert table.table[["sample", "tissue", "cells"]].to_numpy().tolist() == [["s", "blood", 30], ["s", "lung", 30]]


def test_unknown_metadata_is_a_group_and_nothing_vanishes(tmp_path):
    adata = cells("S1", 60, tissue=["blood", np.nan] * 30, batch=pd.Categorical(["x", "y", None] * 20))
    hits = make_atlas(tmp_path / "a", adata, extra=["batch"]).search(WEIGHTS).call("percentile", q=90)
    table = hits.by_sample("batch", min_cells=1).table
    assert table["cells"].sum() == 60
    assert set(table["tissue"]) == {"blood", "unknown"}
    assert set(table["stratum"]) == {"x", "y", "unknown"}


def test_numbers_may_split_samples(tmp_path):
    atlas = make_atlas(tmp_path / "a", cells("S1", 60, day=[1, 2] * 30), extra=["day"])
    table = atlas.search(WEIGHTS).call("percentile", q=90).by_sample("day", min_cells=1).table
    assert set(table["stratum"]) == {"1", "2"}


def test_pooling_joins_samples_of_a_donor_and_puts_nobody_aside_in_silence(tmp_path):
    names = {"sample": ["a", "b", "c", "d", "e"] * 30, "donor": ["p1", "p1", "Pooled", "unknown", "p2"] * 30}
    atlas = make_atlas(tmp_path / "a", cells("S1", 150, disease="sepsis", **names))
    table = atlas.search(WEIGHTS).call("percentile", q=80).by_sample()
    pooled = table.pool_donors()
    first = pooled.table.set_index("donor").loc["p1"]
    both = table.table[table.table["donor"] == "p1"]
    assert pooled.table["donor"].tolist() == ["p1", "p2"]
    assert (first["sample"], first["samples"], first["cells"]) == ("a || b", 2, 60)
    assert first["hits"] == both["hits"].sum()
    assert first["fraction"] == both["hits"].sum() / 60
    assert first["mean_score"] == pytest.approx(both["mean_score"].mean())
    assert pooled.excluded[["donor", "reason"]].to_numpy().tolist() == [
        ["Pooled", "donor 'Pooled' is not one person"],
        ["unknown", "donor 'unknown' is not one person"],
    ]
    assert len(pooled.table) + len(pooled.excluded) == 4
    assert table.table["cells"].sum() == 150
    assert pooled.summary()["donors"].tolist() == [2]


def test_pooling_of_nobody_is_empty_and_says_why(tmp_path):
    adata = cells("S1", 60)
    del adata.obs["donor"]
    table = make_atlas(tmp_path / "a", adata).search(WEIGHTS).call("percentile", q=80).by_sample(min_cells=1)
    pooled = table.pool_donors()
    assert len(pooled) == 0
    assert len(pooled.excluded) == len(table) > 0
    assert len(pooled.summary()) == 0
    assert list(pooled.table.columns) == [*table.table.columns, "samples"]


def test_pooling_keeps_what_was_put_aside_before(tmp_path):
    sample = ["a"] * 30 + ["b"] * 10
    table = make_atlas(tmp_path / "a", cells("S1", 40, disease="x", donor="p1", sample=sample)).search(WEIGHTS)
    pooled = table.call("percentile", q=80).by_sample().pool_donors()
    assert pooled.table["cells"].tolist() == [30]
    assert pooled.excluded["reason"].tolist() == ["10 scored cells, fewer than 25"]


def test_summary_ranks_groups_with_enough_samples_first(tmp_path):
    values = np.zeros((160, N_GENES), dtype=np.float32)
    values[:, 0] = 1000
    values[:60:2, :4] = [700, 0, 0, 300]
    values[120:, :4] = [0, 0, 0, 1000]
    obs = {
        "sample": [f"s{i // 20}" for i in range(160)],
        "donor": ["d1", "d1", "d2", "d3", "unknown", "d5", "d6", "d7"],
        "disease": ["high"] * 60 + ["low"] * 60 + ["few"] * 40,
    }
    obs["donor"] = np.repeat(obs["donor"], 20)
    adata = cells("S1", 160, values=values, **obs)
    table = make_atlas(tmp_path / "a", adata).search(["GENE3"]).call("value", value=100).by_sample(min_cells=20)
    summary = table.summary()
    assert summary["disease"].tolist() == ["high", "low", "few"]
    assert summary["mean_fraction"].tolist() == [0.5, 0.0, 1.0]
    assert summary["median_fraction"].tolist() == [0.5, 0.0, 1.0]
    assert summary["samples"].tolist() == [3, 3, 2]
    assert summary["donors"].tolist() == [2, 2, 2]
    assert summary["studies"].tolist() == [1, 1, 1]
    assert summary["enough"].tolist() == [True, True, False]
    assert table.summary(min_samples=2)["disease"].tolist() == ["few", "high", "low"]
    assert table.summary("tissue")["cells"].tolist() == [160]


def test_summary_within_strata(atlas):
    table = atlas.search(WEIGHTS).call("percentile", q=80).by_sample("cell_type", min_cells=1)
    summary = table.summary(min_samples=1)
    assert set(summary["stratum"]) == {"B cell", "monocyte", "T cell"}
    assert summary["cells"].sum() == 159


def test_refusals(atlas):
    result = atlas.search(WEIGHTS)
    with pytest.raises(MissingMetadata, match=r"no column 'batch' to split samples by. It has study, sample"):
        result.call("percentile", q=90).by_sample("batch")
    with pytest.raises(InputError, match="takes q"):
        result.call("percentile", p=90)
    with pytest.raises(InputError, match=r"grouped by study, .*; found 'cell_type'"):
        result.call("percentile", q=90).by_sample().summary(by="cell_type")


def test_scores_find_their_way_back_to_the_cells(atlas, studies):
    result = atlas.search(WEIGHTS)
    adata = studies[1][::-1].copy()
    result.to_obs(adata, key="mine")
    np.testing.assert_array_equal(adata.obs["mine"], result.scores[90:150][::-1])
    bare = studies[0][5:10].copy()
    bare.obs = bare.obs[[]]
    result.to_obs(bare, constants={"study": "S1"})
    np.testing.assert_array_equal(bare.obs[result.signature.name], result.scores[5:10])
    renamed = studies[0][:3].copy()
    renamed.obs = pd.DataFrame({"gse": "S1", "code": renamed.obs_names}, index=["x", "y", "z"])
    result.to_obs(renamed, key="mine", columns={"code": "barcode"})
    np.testing.assert_array_equal(renamed.obs["mine"], result.scores[:3])


def test_cells_that_were_not_searched_have_no_score(atlas, studies):
    result = atlas.search(WEIGHTS, where="study = 'S1' AND disease = 'normal'")
    adata = studies[0].copy()
    with pytest.warns(CoverageWarning, match="30 of 90 cells were not searched"):
        result.to_obs(adata, key="mine")
    np.testing.assert_array_equal(np.isnan(adata.obs["mine"]), adata.obs["disease"] == "sepsis")
    with pytest.raises(InputError, match=r"None of the 60 cells was searched. They are of the studies \['S2'\]"):
        result.to_obs(studies[1], key="mine")
    assert "mine" not in studies[1].obs


def test_the_result_says_what_it_is(atlas):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = repr(atlas.search(WEIGHTS, where="study <> 'S3'"))
    assert text.startswith("SearchResult('custom', 150 cells of 2 studies where study <> 'S3'; 3 of 3 by name")


def test_cutoffs_of_healthy_cells_of_each_type(atlas):
    result = atlas.search(WEIGHTS)
    hits = result.call("quantile", q=0.9, within="cell_type", reference="disease = 'normal'")
    obs = result.metadata(["cell_type", "disease"]).astype(str)
    healthy = (obs["disease"] == "normal").to_numpy()
    for label, cut in hits.cutoffs.values.items():
        here = (obs["cell_type"] == label).to_numpy()
        assert cut == pytest.approx(np.quantile(result.scores[here & healthy].astype(float), 0.9))
        np.testing.assert_array_equal(hits.is_hit[here], result.scores[here] > cut)
    # one in ten healthy cells of each type is above, by construction
    assert hits.cutoffs.false_positive_rate == pytest.approx(0.1)
    assert hits.is_hit[healthy].mean() == pytest.approx(0.1, abs=0.02)
    assert hits.reference == f"{healthy.sum()} cells of 3 studies (where disease = 'normal'), each cell_type by itself"
    assert " to " in hits.cutoffs.text()
    with pytest.raises(InputError, match=r"a cut-off for each cell_type: see hits\.cutoffs\.values"):
        hits.cutoff  # noqa: B018


def test_groups_without_a_reference_are_not_called(atlas):
    atlas.add(cells("S4", 40, cell_type="neuron", disease="sepsis"))
    hits = atlas.search(WEIGHTS).call("quantile", q=0.9, within="cell_type", reference="disease = 'normal'")
    assert hits.n_nan == 40
    assert hits.cutoffs.note() == "Not called for want of 20 reference cells: neuron."
    table = hits.by_sample(min_cells=1)
    assert "S4" not in set(table.table["study"])
    assert table.excluded.loc[table.excluded["study"] == "S4", "unscored"].sum() == 40
    # kept for another search, cut-offs stay with their groups
    other = atlas.search(WEIGHTS, where="study = 'S1'")
    np.testing.assert_array_equal(hits.apply_to(other).is_hit, hits.is_hit[:90])


def test_references_that_do_not_work_are_refused(atlas):
    result = atlas.search(WEIGHTS)
    with pytest.raises(InputError, match="No value of 'sample' has 20 cells to take a cut-off from"):
        atlas.search(WEIGHTS, where="study = 'S3'").call("quantile", q=0.5, within="sample")
    with pytest.raises(MissingMetadata, match="no column 'kind'"):
        result.call("quantile", q=0.5, within="kind")
    with pytest.raises(FilterError, match="No cell of the atlas has"):
        result.call("quantile", q=0.5, reference="disease = 'gout'")
