"""Cut-offs kept with an atlas: what is added later does not change who is called a hit (T12)."""

import dataclasses
import json

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import GENES, RECORD, cells, make_atlas
from hypothesis import given, settings
from hypothesis import strategies as st

from insignia.atlas import Atlas, CellFilters, Cutoffs
from insignia.core.errors import (
    AtlasDamaged,
    AtlasMismatch,
    CoverageWarning,
    FilterError,
    InputError,
    SignatureError,
    UnknownName,
)
from insignia.stats import held_out_rate

WEIGHTS = {"GENE3": 1.0, "GENE5": 2.0, "GENE8": 0.5}
CALLS = {
    "percentile": {"q": 80},
    "quantile": {"q": 0.8, "within": "cell_type", "reference": "disease = 'normal'"},
    "healthy_quantile": {"q": 0.9},
    "mad": {"k": 1.5, "within": "cell_type"},
    "value": {"value": 20.0},
    "null": {"q": 0.9, "n_sets": 10, "n_cells": 50, "pool": 5, "rng": 3, "within": "cell_type"},
}


@pytest.fixture
def atlas(tmp_path):
    return make_atlas(tmp_path / "a", [cells("S1", 150), cells("S2", 90, seed=4, disease="normal")])


@pytest.mark.parametrize("rule", CALLS)
def test_adding_a_study_changes_no_call_of_a_frozen_rule(atlas, rule):
    hits = atlas.search(WEIGHTS).call(rule, **CALLS[rule])
    assert 0 < hits.n_hits < 240
    atlas.save_cutoff("mine", hits)
    atlas.add(cells("S3", 200, seed=8, values=None, density=0.9))
    again = Atlas.open(atlas.path)
    result = again.search(WEIGHTS)
    frozen = result.call(again.cutoffs["mine"])
    np.testing.assert_array_equal(frozen.is_hit[:240], hits.is_hit)
    np.testing.assert_array_equal(frozen.is_called[:240], hits.is_called)
    assert frozen.cutoffs.values == hits.cutoffs.values
    assert frozen.cutoffs.strata == hits.cutoffs.strata
    if rule != "value":
        # taken anew, the cut-off moves: that is what freezing is for
        assert result.call(rule, **CALLS[rule]).cutoffs.values != hits.cutoffs.values


def test_what_is_kept_says_where_it_comes_from(atlas):
    result = atlas.search(WEIGHTS, where="tissue = 'blood'", filters=CellFilters(max_gap=0.9))
    hits = result.call("healthy_quantile", q=0.9)
    version = atlas.info()["sha256"]
    atlas.save_cutoff("healthy", hits.cutoffs)
    kept = Atlas.open(atlas.path).cutoffs["healthy"]
    assert kept.to_dict() == hits.cutoffs.to_dict()
    made = kept.calibration
    assert (made.signature, made.signature_sha256) == ("custom", result.signature.sha256)
    assert (made.where, made.agg, made.min_coverage) == ("tissue = 'blood'", "mean", 0.5)
    assert [step["name"] for step in made.filters] == ["max_gap"]
    assert made.atlas_sha256 == version
    assert made.record == RECORD
    obs = result.metadata()
    healthy = (obs["disease"] == "normal").to_numpy()
    for label, stratum in kept.strata.items():
        here = healthy & (obs["cell_type"] == label).to_numpy()
        scores = result.scores[here].astype(float)
        assert stratum.cells == here.sum()
        assert stratum.donors == len(obs[here].astype(str).groupby(["study", "donor"]))
        assert stratum.cutoff == pytest.approx(np.quantile(scores, 0.9))
        assert stratum.rate == (scores > stratum.cutoff).mean()
        donors = (obs["study"].astype(str) + obs["donor"].astype(str)).to_numpy()[here]
        assert stratum.held_out_rate == pytest.approx(held_out_rate(scores, donors, "quantile", {"q": 0.9}))
    assert (kept.within, kept.selected) == ("cell_type", "disease = 'normal'")
    assert kept.reference == (
        f"{healthy.sum()} cells of 2 studies (where tissue = 'blood', where disease = 'normal', max_gap), "
        "each cell_type by itself"
    )
    table = kept.table()
    assert table["group"].tolist() == sorted(kept.strata)
    assert hits.by_sample(min_cells=1).about["strata"] == table.to_dict("records")
    assert hits.about()["calibrated_on"] == version


def test_cutoffs_are_listed_replaced_and_forgotten(atlas):
    hits = atlas.search(WEIGHTS).call("percentile", q=90)
    assert dict(atlas.cutoffs) == {}
    before = atlas.info()["sha256"]
    atlas.save_cutoff("b", hits)
    atlas.save_cutoff("a", hits)
    assert list(atlas.cutoffs) == ["a", "b"]
    assert len(atlas.cutoffs) == 2
    assert "a" in atlas.cutoffs
    assert repr(atlas.cutoffs).startswith("FrozenCutoffs('a': percentile ")
    assert atlas.info()["sha256"] != before
    other = atlas.search(WEIGHTS).call("percentile", q=50)
    with pytest.raises(InputError, match=r"has a cut-off 'a' already .*overwrite=True"):
        atlas.save_cutoff("a", other)
    assert atlas.cutoffs["a"].values == hits.cutoffs.values
    atlas.save_cutoff("a", other, overwrite=True)
    assert atlas.cutoffs["a"].values == other.cutoffs.values
    atlas.delete_cutoff("a")
    assert list(Atlas.open(atlas.path).cutoffs) == ["b"]
    with pytest.raises(UnknownName, match=r"no cut-off 'a'\. It has: b"):
        atlas.delete_cutoff("a")
    with pytest.raises(UnknownName, match=r"no cut-off 'c'\. It has: b"):
        atlas.cutoffs["c"]
    for name in ("", " x", "x\ny", "x" * 101):
        with pytest.raises(InputError, match="one line of up to 100 characters"):
            atlas.save_cutoff(name, hits)


def test_a_frozen_cutoff_belongs_to_its_scores(atlas, tmp_path):
    hits = atlas.search(WEIGHTS).call("percentile", q=90)
    with pytest.raises(SignatureError, match="cannot call scores"):
        atlas.search({**WEIGHTS, "GENE9": 1.0}).call(hits.cutoffs)
    with pytest.raises(SignatureError, match=r"\(mean\) and cannot call scores of .* \(sum\)"):
        atlas.search(WEIGHTS, agg="sum").call(hits.cutoffs)
    with pytest.raises(InputError, match="is used as it is; leave out"):
        atlas.search(WEIGHTS).call(hits.cutoffs, q=90)
    record = dataclasses.replace(RECORD, method="deeplift")
    other = Atlas.create(tmp_path / "other", genes=GENES, record=record)
    other.add(cells("S1", 30, record=record))
    with pytest.raises(AtlasMismatch, match="differ in method from those of this atlas"):
        other.save_cutoff("mine", hits)
    with pytest.raises(AtlasMismatch, match="differ in method"):
        other.search(WEIGHTS).call(hits.cutoffs)


def test_one_cell_without_a_score_does_not_empty_the_hits(atlas):
    """T12: NaN takes no part, in a cut-off that is taken and in one that is kept."""
    hits = atlas.search(WEIGHTS).call("percentile", q=80)
    atlas.save_cutoff("mine", hits)
    atlas.add(cells("S3", 1, genes=[20, 21]))
    with pytest.warns(CoverageWarning, match="S3"):
        result = atlas.search(WEIGHTS)
    assert np.isnan(result.scores).sum() == 1
    for later in (result.call("percentile", q=80), result.call(atlas.cutoffs["mine"])):
        assert later.n_hits == hits.n_hits
        assert later.n_nan == 1
        assert later.cutoff == hits.cutoff


def test_a_healthy_quantile_is_of_healthy_cells_only(atlas):
    result = atlas.search(WEIGHTS)
    hits = result.call("healthy_quantile")
    long = result.call("quantile", q=0.99, within="cell_type", reference="disease = 'normal'")
    assert hits.cutoffs.values == long.cutoffs.values
    assert hits.cutoffs.false_positive_rate == pytest.approx(0.01)
    with pytest.raises(FilterError, match="No cell of the atlas has disease = 'normal'"):
        make_atlas(atlas.path.parent / "sick", cells("S1", 30, disease="flu")).search(WEIGHTS).call("healthy_quantile")


def test_damaged_entries_are_told(atlas):
    content = atlas.search(WEIGHTS).call("percentile", q=90).cutoffs.to_dict()
    assert Cutoffs.from_dict(json.loads(json.dumps(content))).to_dict() == content
    for name in content:
        with pytest.raises(AtlasDamaged, match="stored cut-off cannot be read"):
            Cutoffs.from_dict({key: value for key, value in content.items() if key != name})
    with pytest.raises(AtlasDamaged, match="stored cut-off cannot be read"):
        Cutoffs.from_dict({**content, "strata": {"": {"cutoff": 1.0}}})


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(0, 999), st.floats(0.5, 0.95))
def test_held_out_rates_by_hand(n_donors, seed, q):
    rng = np.random.default_rng(seed)
    scores = rng.normal(rng.normal(0, 2, n_donors).repeat(5))
    donors = np.arange(n_donors).repeat(5)
    folds, above = donors % 10, 0
    for fold in np.unique(folds):
        above += (scores[folds == fold] > np.quantile(scores[folds != fold], q)).sum()
    assert held_out_rate(scores, donors, "quantile", {"q": q}) == pytest.approx(above / len(scores))


def test_held_out_donors_show_what_a_new_donor_would():
    """Donors that differ pass a cut-off of others more often than the share it lets through where it was taken."""
    rng = np.random.default_rng(0)
    donors = np.arange(12).repeat(200)
    alike = rng.normal(size=2400)
    unlike = alike + rng.normal(0, 2, 12)[donors]
    assert held_out_rate(alike, donors, "quantile", {"q": 0.99}) == pytest.approx(0.01, abs=0.004)
    assert held_out_rate(unlike, donors, "quantile", {"q": 0.99}) > 0.015
    assert np.isnan(held_out_rate(alike, np.zeros(2400), "quantile", {"q": 0.99}))


def test_cutoffs_outlive_every_change_of_the_atlas(atlas):
    hits = atlas.search(WEIGHTS).call("healthy_quantile", q=0.9)
    atlas.save_cutoff("mine", hits)
    atlas.add(cells("S3", 60, seed=8))
    atlas.remove("S2")
    atlas.compact()
    atlas.replace(cells("S3", 70, seed=9))
    again = Atlas.open(atlas.path)
    result = again.search(WEIGHTS, where="study = 'S1'")
    np.testing.assert_array_equal(result.call(again.cutoffs["mine"]).is_hit, hits.is_hit[:150])
    assert again.cutoffs["mine"].to_dict() == hits.cutoffs.to_dict()
