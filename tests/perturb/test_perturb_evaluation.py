"""The harness: what it takes away, what stands in every table, and what its figures are."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from insignia.core.errors import InputError
from insignia.data import Split, simulate_screen
from insignia.data.perturbation_splits import combo_split
from insignia.perturb import Effect, Predictor, predictors
from insignia.perturb.effects import group_effects
from insignia.perturb.evaluation import BASELINES, Scoreboard, benchmark
from insignia.perturb.evaluation.metrics import discrimination, mean_figures
from insignia.perturb.evaluation.yardstick import Measured, divide_controls


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(
        n_genes=60, n_programs=6, n_perturbations=12, n_doubles=20, n_controls=120, cells_per_condition=30, rng=0
    )


@pytest.fixture(scope="module")
def split(screen):
    return combo_split(screen.data, share_genes=0.25, rng=0)


class Peeking(Predictor):
    """Keeps what it was given, so that tests can look at what a predictor sees."""

    def fit(self, data, *, priors=None, seed=0, show_progress=None):
        self.data, self.effects = data, group_effects(data)
        return self

    def effect(self, condition, context):
        return Effect(np.zeros(len(self.data.genes)))


class Knowing(Peeking):
    """Is told the truth, for a best possible score."""

    def __init__(self, truth):
        self.truth = group_effects(truth)

    def effect(self, condition, context):
        return Effect(self.truth.of(condition, context))


def board(screen, split, **options):
    return benchmark(screen.data, split, priors=screen.priors, seeds=(0,), show_progress=False, **options)


def test_predictors_never_see_test_cells_or_reference_controls(screen, split):
    spy = Peeking()
    found = board(screen, split, methods={"spy": spy}, shuffled=False)
    seen = {str(condition) for condition in spy.data.conditions}
    assert not seen & set(split.test)
    assert len(spy.data.controls("context1")) == 60
    assert "half of the controls" in found.notes[0]


def test_changing_test_cells_changes_no_prediction(screen, split):
    """Stronger than looking at what is handed over: not one bit of a fitted predictor may depend on test cells."""
    poisoned = screen.data.expression.tolil(copy=True)
    test = [one for one in screen.data.conditions if str(one) in split.test]
    rows = np.concatenate([screen.data.rows(one, "context1") for one in test])
    poisoned[rows] = np.random.default_rng(0).uniform(0, 5, (len(rows), 60))
    other = replace(screen.data, expression=csr_matrix(poisoned, dtype=np.float32))
    spies = Peeking(), Peeking()
    for spy, data in zip(spies, (screen.data, other), strict=True):
        benchmark(data, split, methods={"spy": spy}, priors=screen.priors, seeds=(0,), shuffled=False)
    assert (spies[0].data.expression != spies[1].data.expression).nnz == 0
    np.testing.assert_array_equal(spies[0].effects.delta, spies[1].effects.delta)


def test_all_baselines_and_the_ceiling_stand_in_every_table(screen, split):
    found = board(screen, split, methods=())
    assert set(found.rows.query("role == 'baseline'")["method"]) == set(BASELINES)
    assert "half against half" in set(found.rows["method"])
    assert set(found.summary().index.get_level_values("stratum")) >= {"unseen single", "seen 2 of 2"}


def test_a_table_without_baselines_cannot_be_made(screen, split):
    rows = board(screen, split, methods=()).rows
    with pytest.raises(InputError, match="without a baseline"):
        Scoreboard(rows[rows["role"] != "baseline"])


def test_the_truth_wins_and_the_verdict_says_so(screen, split):
    found = board(screen, split, methods={"truth": Knowing(screen.replicate), "nothing": Peeking()}, shuffled=False)
    unseen = [line for line in found.verdicts() if line.startswith("seen 1 of 2")]
    assert any("truth is better" in line for line in unseen)
    assert any("nothing is no better" in line for line in unseen)
    table = found.summary()
    assert table.loc[("seen 2 of 2", "method", "truth"), "pds_l1"] > 0.95


def test_no_change_has_no_correlation_and_no_rank(screen, split):
    rows = board(screen, split, methods=()).rows.query("method == 'control'")
    assert rows[["pearson_delta", "direction", "pds_l1"]].isna().all(axis=None)
    assert rows["l2"].notna().all()


def test_a_predictor_without_an_answer_is_not_scored(screen, split):
    rows = board(screen, split, methods=()).rows.query("method == 'additive' and stratum == 'unseen single'")
    assert set(rows["status"]) == {"none"}
    assert rows["l2"].isna().all()


def test_an_embedding_is_shuffled_for_the_control(screen, split):
    found = board(screen, split, methods={"ridge": predictors["ridge_embedding"]()})
    table = found.summary(["l2"]).loc["unseen single"]
    assert table.loc[("control", "ridge, shuffled embedding"), "l2"] > table.loc[("method", "ridge"), "l2"]


def test_controls_are_divided_only_where_they_are_few(screen):
    rest, reference, divided = divide_controls(screen.data, rng=np.random.default_rng(0))
    assert divided == ("context1",)
    assert len(reference["context1"]) == 60
    kept = {tuple(row) for row in rest.expression[rest.controls("context1")].toarray()}
    assert not kept & {tuple(row) for row in reference["context1"]}


def test_shared_controls_flatter_and_divided_ones_do_not():
    """Planted: perturbations that do nothing; the shared noise of few controls looks like a right prediction."""
    screen = simulate_screen(
        n_genes=100, n_programs=6, n_perturbations=8, n_doubles=4, zero_effect=1.0, n_controls=20,
        cells_per_condition=200, rng=3,
    )  # fmt: skip
    pairs = screen.truth.doubles
    effects = group_effects(screen.data)
    flattered = [
        np.corrcoef(effects.of(pair, "context1"), sum(effects.of(one, "context1") for one in pair.singles))[0, 1]
        for pair in pairs
    ]
    found = benchmark(screen.data, Split("pairs", ("PERT001",), tuple(map(str, pairs))), methods=(), seeds=(0,))
    honest = found.rows.query("method == 'additive'")["pearson_delta"]
    assert np.mean(flattered) > 0.7
    assert honest.mean() < 0.3


def test_figures_of_the_mean_are_what_they_say():
    rng = np.random.default_rng(0)
    truth, guess, mean = rng.normal(size=(3, 50))
    order = np.arange(20)
    measured = Measured(None, "c", np.zeros((2, 50)), truth, order)
    yardstick = type("Y", (), {"perturbed_mean": mean})
    found = mean_figures(guess, measured, yardstick)
    assert found["l2"] == pytest.approx(np.sqrt(((guess - truth) ** 2).sum()))
    assert found["pearson_delta"] == pytest.approx(np.corrcoef(guess, truth)[0, 1])
    assert found["pearson_from_mean"] == pytest.approx(np.corrcoef(guess - mean, truth - mean)[0, 1])
    assert found["direction"] == pytest.approx((guess * truth > 0)[:20].mean())
    perfect = mean_figures(truth, measured, yardstick)
    assert perfect["l2"] == 0
    assert perfect["direction"] == 1
    assert np.isnan(mean_figures(mean, measured, yardstick)["pearson_from_mean"])


def test_discrimination_is_one_for_the_truth_and_a_half_for_a_constant():
    rng = np.random.default_rng(0)
    measured = [Measured(None, "c", np.zeros((2, 9)), delta, None) for delta in rng.normal(size=(6, 9))]
    truth = [one.delta for one in measured]
    np.testing.assert_array_equal(discrimination(truth, measured, metric="cityblock"), np.ones(6))
    constant = discrimination([np.ones(9)] * 6, measured, metric="cosine")
    assert constant.mean() == pytest.approx(0.5)


def test_files_hold_what_the_table_says(screen, split, tmp_path):
    found = board(screen, split, methods=())
    paths = found.write(tmp_path / "out")
    assert [path.name for path in paths] == ["predictions.csv", "scoreboard.csv", "scoreboard.json"]
    assert found.record()["about"]["split_hash"] == split.fingerprint
    assert "ridge_onehot" in str(found)
