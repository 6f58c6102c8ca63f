"""Figures of predictions: against sums written out, laws, and the tools that others use where they are installed."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr, wasserstein_distance

from insignia.core.errors import InputError
from insignia.data import simulate_screen
from insignia.data.perturbation_splits import combo_split
from insignia.perturb import METRICS
from insignia.perturb.evaluation.cell_metrics import cell_figures
from insignia.perturb.evaluation.comparisons import bootstrap_interval, differences, winner_line
from insignia.perturb.evaluation.job import prepare
from insignia.perturb.evaluation.mean_metrics import mean_figures, rank_figures
from insignia.stats import (
    energy_distance,
    mmd_rbf,
    moments,
    share_farther,
    squared_score_weights,
    weighted_skill,
    welch_test,
)


@pytest.fixture(scope="module")
def job():
    screen = simulate_screen(
        n_genes=60, n_programs=6, n_perturbations=12, n_doubles=10, n_controls=200, cells_per_condition=60, rng=1
    )
    return prepare(screen.data, combo_split(screen.data, share_genes=0.25, rng=0), learn_from=None, seed=0)


@pytest.fixture(scope="module")
def strong(job):
    """The test condition with most significant genes."""
    return max(job.measured, key=lambda one: one.significant.sum())


def test_figures_of_the_mean_are_what_they_say(job, strong):
    place, mean = job.yardstick.places["context1"], job.yardstick.perturbed_mean
    guess = strong.delta + np.random.default_rng(0).normal(0, 0.3, 60)
    found = mean_figures(guess, strong, job.yardstick)
    # errors compare means, so that the noise of the reference controls has no part in them
    off = place.base + guess - strong.mean
    assert found["l2"] == pytest.approx(np.sqrt((off**2).sum()))
    assert found["mse"] == pytest.approx((off**2).mean())
    assert found["l2_top1000"] == pytest.approx(found["l2"])
    weights = squared_score_weights(strong.scores)
    assert found["wmse"] == pytest.approx((weights * off**2).sum())
    assert found["pearson_delta"] == pytest.approx(np.corrcoef(guess, strong.delta)[0, 1])
    assert found["pearson_from_mean"] == pytest.approx(np.corrcoef(guess - mean, strong.delta - mean)[0, 1])
    ratio = (weights * (guess - strong.delta) ** 2).sum() / (weights * (mean - strong.delta) ** 2).sum()
    assert found["weighted_r2"] == pytest.approx(1 - ratio)
    right = guess * strong.delta > 0
    order = np.argsort(-np.abs(strong.scores))
    assert found["direction"] == pytest.approx(right[order[:20]].mean())
    assert found["de_direction"] == pytest.approx(right[strong.significant].mean())
    largest = set(np.argsort(-np.abs(guess))[:20])
    assert found["top20_overlap"] == pytest.approx(len(largest & set(order[:20])) / 20)
    expected = spearmanr(guess[strong.significant], strong.delta[strong.significant]).statistic
    assert found["de_spearman"] == pytest.approx(expected)


def test_laws_of_the_figures_of_means(job, strong):
    perfect = mean_figures(strong.mean - job.yardstick.places["context1"].base, strong, job.yardstick)
    assert perfect["l2"] == pytest.approx(0, abs=1e-9)
    mean = mean_figures(job.yardstick.perturbed_mean, strong, job.yardstick)
    assert mean["weighted_r2"] == pytest.approx(0)
    assert np.isnan(mean["pearson_from_mean"])
    nothing = mean_figures(np.zeros(60), strong, job.yardstick)
    undefined = ("pearson_delta", "direction", "top20_overlap", "top50_overlap", "de_direction", "de_spearman")
    assert all(np.isnan(nothing[name]) for name in undefined)


def test_errors_of_the_mean_do_not_depend_on_the_reference_controls(job, strong):
    """Noise of the controls that the truth is held against would blur all methods alike."""
    other = SimpleNamespace(**{**vars(strong), "delta": strong.delta + 5.0, "weights": strong.weights})
    other.ranked = strong.ranked
    guess = strong.delta + 0.1
    same = mean_figures(guess, other, job.yardstick)
    assert same["l2"] == mean_figures(guess, strong, job.yardstick)["l2"]


def test_figures_of_cells_are_what_they_say(job, strong):
    rng = np.random.default_rng(0)
    cells = np.maximum(job.sources["context1"] + strong.delta.astype(np.float32), 0)
    found = cell_figures(cells, strong, job.yardstick)
    space = job.yardstick.latent
    predicted = (cells - space.centre) @ space.components.T
    assert found["edistance"] == pytest.approx(energy_distance(predicted, strong.latent), rel=1e-4)
    # one kernel for all predictions, so that their figures compare
    expected = mmd_rbf(predicted, strong.latent, bandwidth=job.yardstick.bandwidth)
    assert found["mmd"] == pytest.approx(expected, rel=1e-3)
    axis = strong.latent.mean(0) - job.yardstick.places["context1"].reference_latent.mean(0)
    axis /= np.linalg.norm(axis)
    assert found["wasserstein_effect"] == pytest.approx(
        wasserstein_distance(predicted @ axis, strong.latent @ axis), rel=1e-3
    )
    # shifted controls have no escapers: all of them respond, where a fifth of the true cells does not
    nothing = cell_figures(job.sources["context1"], strong, job.yardstick)
    assert nothing["responders_off"] > found["responders_off"]
    assert nothing["edistance"] > found["edistance"]
    assert found["des"] > 0.5 > nothing["des"]
    noisy = cell_figures(cells + rng.normal(0, 0.5, cells.shape).astype(np.float32), strong, job.yardstick)
    assert noisy["variance_ratio"] > found["variance_ratio"]


def test_ranks_are_one_for_the_truth_and_nothing_for_no_change(job):
    place = job.yardstick.places["context1"]
    truth = [one.mean - place.base for one in job.measured]
    for row in rank_figures(truth, job.measured, job.yardstick):
        assert row["pds_l1"] == 1
        assert row["centroid_accuracy"] > 0.9
    nothing = rank_figures([np.zeros(60)] * len(truth), job.measured, job.yardstick)
    assert all(np.isnan(value) for row in nothing for value in row.values())


def test_share_farther_against_counting():
    rng = np.random.default_rng(0)
    predicted, measured, others = rng.normal(size=(5, 4)), rng.normal(size=(5, 4)), rng.normal(size=(3, 4))
    found = share_farther(predicted, measured, others, metric="cityblock")
    for i in range(5):
        distance = [np.abs(predicted[i] - row).sum() for row in (*measured, *others)]
        expected = np.mean([distance[j] > distance[i] for j in range(8) if j != i])
        assert found[i] == pytest.approx(expected)
    np.testing.assert_array_equal(share_farther(np.ones((4, 2)), np.zeros((4, 2))), np.full(4, 0.5))
    assert np.isnan(share_farther(np.ones((1, 2)), np.ones((1, 2)))).all()
    with pytest.raises(InputError, match="must match"):
        share_farther(np.ones((2, 2)), np.ones((3, 2)))


def test_weights_point_at_what_differs():
    weights = squared_score_weights(np.array([0.0, 1.0, -2.0, np.inf]))
    np.testing.assert_allclose(weights, np.array([0, 0.25, 1, 1]) / 2.25)
    np.testing.assert_allclose(squared_score_weights(np.ones(4)), np.full(4, 0.25))
    truth, mean = np.array([0.0, 2.0]), np.zeros(2)
    assert weighted_skill(mean, truth, mean, np.array([0.5, 0.5])) == 0
    assert np.isnan(weighted_skill(truth, mean, mean, np.array([0.5, 0.5])))


def board_rows(values, *, strata=("a",)):
    """Rows of a scoreboard from {(role, method): figures by condition}."""
    rows = [
        {"role": role, "method": method, "seed": seed, "condition": f"c{i}", "context": "x", "stratum": stratum,
         "l2": value + 0.01 * seed, "pearson_delta": -value, "variance_ratio": 1.0, "status": "ok"}
        for stratum in strata
        for (role, method), figures in values.items()
        for i, value in enumerate(figures)
        for seed in ((-1, 1) if role == "method" else (0,))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_differences_are_paired_and_have_intervals():
    values = {("method", "m"): [1.0, 2.0, 3.0, 4.0], ("baseline", "b"): [1.5, 2.5, 3.5, 4.7]}
    table = differences(board_rows(values)).iloc[0]
    assert table["difference"] == pytest.approx(0.55)
    assert table["share"] == pytest.approx(0.55 / 3.05)
    assert (table["better"], table["n"], table["complete"]) == (4, 4, True)
    assert table["p_sign"] == pytest.approx(0.125)
    # the spread of the conditions is no part of a paired interval
    assert 0.5 <= table["low"] < table["high"] <= 0.7
    reverse = differences(board_rows(values), "pearson_delta").iloc[0]
    assert reverse["difference"] == pytest.approx(0.55)
    with pytest.raises(InputError, match="best at 1"):
        differences(board_rows(values), "variance_ratio")


def test_a_baseline_that_skips_hard_conditions_wins_nothing():
    nan = float("nan")
    values = {
        ("method", "m"): [1.0, 5.0, 5.0],
        ("baseline", "easy"): [0.5, nan, nan],
        ("baseline", "plain"): [2.0, 6.0, 6.0],
    }
    rows = board_rows(values)
    table = differences(rows).set_index("baseline")
    assert not table.loc["easy", "complete"]
    assert winner_line(rows) == "Who wins by l2: a: m 3.67 against the baseline plain 4.67."


def test_who_wins_is_told_apart_or_not():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, 8)
    close = {("method", "m"): 5 + noise, ("baseline", "b"): 5.05 + rng.permutation(noise)}
    assert "not told apart" in winner_line(board_rows(close))
    lost = winner_line(board_rows({("method", "m"): [2.0, 3.0, 4.0], ("baseline", "b"): [1.0, 2.0, 3.0]}))
    assert lost == "Who wins by l2: a: the baseline b 2 against m 3."


def test_bootstrap_interval_covers_as_it_says():
    rng = np.random.default_rng(0)
    inside = [low < 0 < high for low, high in (bootstrap_interval(rng.normal(size=40)) for _ in range(200))]
    assert 0.88 <= np.mean(inside) <= 0.99
    assert np.isnan(bootstrap_interval(np.array([1.0]))).all()


def test_every_figure_is_computed(job, strong):
    cells = np.maximum(job.sources["context1"] + strong.delta.astype(np.float32), 0)
    found = mean_figures(strong.delta, strong, job.yardstick) | cell_figures(cells, strong, job.yardstick)
    found |= rank_figures([strong.delta, strong.delta], [strong, job.measured[0]], job.yardstick)[0]
    assert set(found) == set(METRICS)


def test_shared_definitions_agree_with_cell_eval(job):
    """Pearson of effects, squared error of means, and discrimination by L1, which there is 1 - rank / n."""
    cell_eval = pytest.importorskip("cell_eval", reason="cell-eval is an optional oracle")
    from anndata import AnnData
    from cell_eval.metrics._anndata import discrimination_score, mse, pearson_delta

    rng = np.random.default_rng(0)
    controls = rng.gamma(2.0, 1.0, (40, 30))
    truth = {f"c{i}": controls[:20] + rng.normal(0, 1, 30) for i in range(5)}
    guess = {name: cells + rng.normal(0, 0.5, 30) for name, cells in truth.items()}

    def adata(cells):
        blocks = [controls, *cells.values()]
        labels = ["control"] * 40 + [name for name in cells for _ in range(20)]
        return AnnData(np.vstack(blocks), obs=pd.DataFrame({"target": labels}, index=map(str, range(len(labels)))))

    pair = cell_eval._types.PerturbationAnndataPair(
        real=adata(truth), pred=adata(guess), pert_col="target", control_pert="control"
    )
    names = list(pair.perts)
    base = controls.mean(axis=0)
    true = np.array([truth[name].mean(axis=0) for name in names])
    made = np.array([guess[name].mean(axis=0) for name in names])
    theirs, ours = pearson_delta(pair), [np.corrcoef(a - base, b - base)[0, 1] for a, b in zip(made, true, strict=True)]
    np.testing.assert_allclose([theirs[name] for name in names], ours, atol=1e-9)
    np.testing.assert_allclose([mse(pair)[name] for name in names], ((made - true) ** 2).mean(axis=1), atol=1e-9)
    score = discrimination_score(pair, metric="l1")
    n = len(names)
    rank_share = [1 - (1 - score[name]) * n / (n - 1) for name in names]
    np.testing.assert_allclose(rank_share, share_farther(made, true, metric="cityblock"), atol=1e-9)


def test_welch_against_scipy():
    from scipy.sparse import csr_matrix
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(0)
    first, second = rng.poisson(1.0, (30, 8)).astype(float), rng.poisson(1.5, (45, 8)).astype(float)
    first[:, 0] = second[:, 0] = 2.0
    t, p = welch_test(moments(csr_matrix(first)), moments(second))
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = ttest_ind(first[:, 1:], second[:, 1:], equal_var=False)
    np.testing.assert_allclose(t[1:], expected.statistic)
    np.testing.assert_allclose(p[1:], expected.pvalue)
    assert (t[0], p[0]) == (0, 1)
    with pytest.raises(InputError, match="at least two rows"):
        moments(first[:1])
