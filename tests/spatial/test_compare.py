"""The harness: nothing leaks, controls are wrong on purpose, seeds are told apart."""

from dataclasses import replace

import numpy as np
import pytest
from tests.spatial.measured_stacks import measured_stack

from insignia.core.errors import InputError, UnknownName
from insignia.data import hide_counts
from insignia.spatial.contract import Imputed, Imputer, imputers
from insignia.spatial.evaluation import compare_imputers, harness, predict_hidden
from insignia.spatial.evaluation.stacks import identity_aligned, spots_permuted, turned


@pytest.fixture(scope="module")
def stack():
    return measured_stack(seed=7)


class Recorder(Imputer):
    """Keeps everything that it is shown."""

    def __init__(self):
        self.shown = []

    def impute(self, spots, *, training=(), seed=0):
        self.shown.append((spots, training))
        mean = np.nanmean(spots.expression, axis=0)
        return Imputed(np.tile(mean, (len(spots), 1)), np.ones(spots.expression.shape, np.float32))


class Average(Imputer):
    """Says the mean of two others."""

    def impute(self, spots, *, training=(), seed=0):
        both = [imputers[name]().impute(spots, training=training, seed=seed) for name in ("kernel", "ridge")]
        return Imputed(np.mean([one.mean for one in both], axis=0), np.mean([one.sd for one in both], axis=0))


class Noise(Imputer):
    """Says something else for each seed."""

    def impute(self, spots, *, training=(), seed=0):
        said = np.random.default_rng(seed).normal(-3, 1, spots.expression.shape).astype(np.float32)
        return Imputed(said, np.ones_like(said))


def with_hidden_counts(stack, seed):
    """The same stack with other counts, other totals and other components where nothing may be seen."""
    rng = np.random.default_rng(seed)
    changed = {}
    for name in ("s1", "s2"):
        spots = stack[name].spots.copy()
        spots.X = rng.poisson(20, spots.shape).astype(np.float32)
        spots.obs["total"] = spots.X.sum(axis=1)
        spots.obsm["X_pca"] = rng.normal(size=(spots.n_obs, 3))
        changed[name] = replace(stack[name], spots=spots)
    return stack.with_sections(changed)


def test_hidden_sections_keep_positions_and_images_and_nothing_else(stack):
    seen = hide_counts(stack, ["s0"], features=["handcrafted"])
    for name in ("s1", "s2"):
        spots = seen[name].spots
        assert spots.n_vars == 0
        assert not seen[name].is_measured
        assert list(spots.obs.columns) == []
        assert set(spots.obsm) == {"spatial", "X_handcrafted"}
        assert not spots.layers
        assert not spots.uns
        assert spots.raw is None
        np.testing.assert_array_equal(spots.obsm["spatial"], stack[name].spots.obsm["spatial"])
        assert not np.shares_memory(spots.obsm["spatial"], stack[name].spots.obsm["spatial"])
    assert seen["s0"] is stack["s0"]
    assert stack["s1"].spots.n_vars == 12


def test_an_imputer_is_shown_no_hidden_count(stack, monkeypatch):
    given = []
    real = harness.impute
    monkeypatch.setattr(harness, "impute", lambda seen, **options: given.append(seen) or real(seen, **options))
    recorder = Recorder()
    compare_imputers(stack, known=["s0"], methods={"recorder": recorder}, genes=12, seeds=[0])
    assert len(given) == 11
    for seen in given:
        assert seen.measured == ("s0",)
        for name in ("s1", "s2"):
            assert set(seen[name].spots.obsm) == {"spatial", "X_handcrafted"}
    for spots, _ in recorder.shown:
        hidden = spots.section > 0
        assert np.isnan(spots.expression[hidden]).all()
        assert not spots.is_known[hidden].any()


def test_other_hidden_counts_change_no_prediction(stack, monkeypatch):
    said = []
    real = harness.predictions
    monkeypatch.setattr(harness, "predictions", lambda *given: said.append(real(*given)) or said[-1])
    for truth in (stack, with_hidden_counts(stack, 1)):
        compare_imputers(truth, known=["s0"], methods={"average": Average()}, genes=10, seeds=[0])
    first, second = said[: len(said) // 2], said[len(said) // 2 :]
    assert len(first) == len(second) == 11
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.mean, b.mean)
            np.testing.assert_array_equal(a.upper, b.upper)


def test_the_panel_is_chosen_on_what_may_be_seen(stack):
    # genes 10 and 11 are made the most abundant of all, in hidden sections only
    loud = {}
    for name in ("s1", "s2"):
        spots = stack[name].spots.copy()
        spots.X[:, 10:] += 1000
        loud[name] = replace(stack[name], spots=spots)
    one, other = (
        compare_imputers(truth, known=["s0"], methods=["kernel"], genes=5, seeds=[0])
        for truth in (stack, stack.with_sections(loud))
    )
    assert set(one.genes["gene"]) == set(other.genes["gene"])
    assert one.about["panel_sha256"] == other.about["panel_sha256"]


def test_permuting_keeps_the_counts_of_a_section_and_moves_them(stack):
    permuted = spots_permuted(stack, ["s0"], seed=0)
    before, after = np.asarray(stack["s0"].spots.X), np.asarray(permuted["s0"].spots.X)
    assert (before != after).any()
    np.testing.assert_array_equal(np.sort(before.sum(1)), np.sort(after.sum(1)))
    np.testing.assert_array_equal(permuted["s0"].points_um, stack["s0"].points_um)
    assert permuted["s1"] is stack["s1"]


def test_wrong_alignments_are_wrong_as_they_say(stack):
    identity = identity_aligned(stack)
    for section in identity:
        np.testing.assert_allclose(section.common_um[:, :2], section.points_um)
    half = turned(stack, ["s0"])
    np.testing.assert_array_equal(half["s0"].common_um, stack["s0"].common_um)
    before, after = stack["s1"].common_um[:, :2], half["s1"].common_um[:, :2]
    np.testing.assert_allclose(after, 2 * before.mean(axis=0) - before, atol=1e-6)


def test_each_method_has_its_controls(stack):
    evaluation = compare_imputers(
        stack, known=["s0"], methods={"average": Average(), "ridge": "ridge"}, genes=12, seeds=[0]
    )
    r = evaluation.summary()["pcc_mean"]
    assert list(r["imputer"].index) == ["average"]
    assert abs(r["control", "average, spots permuted"]) < 0.2
    assert r["imputer", "average"] > r["control", "average, identity alignment"] + 0.1
    without = compare_imputers(stack, known=["s0"], methods={"average": Average()}, controls=[], genes=12, seeds=[0])
    controls = set(without.sections.query("role == 'control'")["method"])
    assert controls == {"kernel, spots permuted", "kernel, identity alignment", "kernel, turned by 180 degrees"}


def test_seeds_are_run_where_they_matter(stack):
    evaluation = compare_imputers(stack, known=["s0"], methods={"noise": Noise()}, genes=12, seeds=[3, 4, 5])
    seeds = evaluation.sections.groupby(["role", "method"])["seed"].unique()
    assert list(seeds["imputer", "noise"]) == [3, 4, 5]
    assert list(seeds["baseline", "kernel"]) == [3]
    summary = evaluation.summary(["pcc_mean"])
    assert summary.loc[("imputer", "noise"), "pcc_mean_seed_sd"] > 0
    assert np.isnan(summary.loc[("baseline", "kernel"), "pcc_mean_seed_sd"])
    assert "sd of r over seeds" in str(evaluation)
    assert set(evaluation.about["seconds"]) >= {"noise", "kernel", "mean"}


def test_what_cannot_run_is_named_with_its_reason():
    blind = measured_stack(features=False, seed=7)
    evaluation = compare_imputers(blind, known=["s0"], methods=["kernel"], genes=12, seeds=[0])
    assert any(note.startswith("ridge is left out: ridge needs features of the image") for note in evaluation.notes)
    assert ("baseline", "ridge") not in evaluation.summary().index
    assert "ridge is left out" in str(evaluation)
    without = compare_imputers(blind, known=["s0"], methods=["mean"], genes=12, seeds=[0], features=None)
    assert "ridge is left out: it needs features of the image, and features is None" in without.notes


def test_without_a_known_section_other_donors_are_the_yardstick(stack):
    others = [measured_stack(name="other", seed=1), measured_stack(name="another", seed=2)]
    evaluation = compare_imputers(stack, known=[], methods=["ridge"], genes=12, seeds=[0], training=others)
    summary = evaluation.summary()
    assert summary.loc[("baseline", "mean"), "skill"] == pytest.approx(0, abs=1e-9)
    assert summary.loc[("baseline", "mean of other samples"), "skill"] == pytest.approx(0, abs=1e-5)
    assert set(evaluation.sections["section"]) == {"s0", "s1", "s2"}
    assert set(evaluation.sections["known"]) == {"none"}
    assert evaluation.about["reference_of_skill"] == "mean of the other samples"
    assert "control" not in summary.index.get_level_values("role")


def test_other_samples_count_the_same(stack):
    others = [measured_stack(name="other", seed=1, sections=1), measured_stack(name="another", seed=2)]
    evaluation = compare_imputers(stack, known=["s0"], methods=["mean"], genes=12, seeds=[0], training=others)
    profiles = [np.concatenate([_normalised(section) for section in block]).mean(axis=0) for block in others]
    truth = _normalised(stack["s1"])
    expected = ((truth - np.mean(profiles, axis=0)) ** 2).mean()
    rows = evaluation.sections.query("method == 'mean of other samples' and section == 's1'")
    assert rows["mse"].item() == pytest.approx(expected, rel=1e-5)


def _normalised(section):
    raised = np.asarray(section.spots.X, dtype=float) + 1
    return np.log(raised / raised.sum(axis=1, keepdims=True))


def test_what_was_said_can_be_scored_with_another_truth(stack):
    comparison = predict_hidden(stack, known=["s0"], methods=["kernel"], genes=12, seeds=[0])
    expected = {}
    for section in stack:
        spots = section.spots.copy()
        share = np.exp(spots.obsm["true"])
        spots.X = np.round(1e5 * share / share.sum(axis=1, keepdims=True)).astype(np.float32)
        expected[section.name] = replace(section, spots=spots)
    measured, true = (
        comparison.evaluate(truth).summary()["pcc_mean"]["baseline", "kernel"]
        for truth in (None, stack.with_sections(expected))
    )
    assert true > measured + 0.05


def test_the_harness_refuses(stack):
    with pytest.raises(UnknownName, match="There is no imputer 'blent'"):
        compare_imputers(stack, known=["s0"], methods=["blent"])
    with pytest.raises(InputError, match="Nothing can be scored"):
        compare_imputers(stack, known=["s0", "s1", "s2"], methods=["mean"], genes=12)
    with pytest.raises(InputError, match="There is no section 'x'"):
        compare_imputers(stack, known=["x"], methods=["mean"])
    with pytest.raises(InputError, match="Stack 'block' is among the training stacks"):
        compare_imputers(stack, known=["s0"], methods=["mean"], training=[measured_stack(seed=1)])
