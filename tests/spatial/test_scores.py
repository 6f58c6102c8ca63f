"""Figures of one section: against plain loops, and for predictors whose figures are known beforehand."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from tests.spatial.measured_stacks import measured_stack

from insignia.core.errors import InputError
from insignia.spatial.evaluation.scores import METRICS, HiddenSection, Prediction, score
from insignia.spatial.panel import normalise


@pytest.fixture(scope="module")
def hidden():
    section = measured_stack(seed=3)["s1"]
    counts = np.asarray(section.spots.X, dtype=float)
    return HiddenSection(
        sample="block",
        name="s1",
        spots=section.spots.obs_names.to_numpy(),
        points_um=section.points_um,
        genes=tuple(section.spots.var_names),
        counts=counts,
        is_counted=np.ones(counts.shape[1], dtype=bool),
        reference=normalise(counts).mean(axis=0) + np.float32(0.1),
        distance_um=50.0,
        registration="registered",
        quality={},
    )


def constant(hidden, profile):
    return Prediction(np.tile(profile, (len(hidden), 1)))


def test_every_figure_is_what_a_loop_gives(hidden):
    rng = np.random.default_rng(0)
    measured = hidden.expression.astype(float)
    predicted = 0.4 * measured + rng.normal(-3, 0.3, measured.shape)
    half = rng.uniform(0.2, 1.5, measured.shape)
    figures = score(hidden, Prediction(predicted, predicted - half, predicted + half)).figures
    by_gene = [pearsonr(p, m).statistic for p, m in zip(predicted.T, measured.T, strict=True)]
    assert figures["pcc_mean"] == pytest.approx(np.mean(by_gene))
    assert figures["pcc_median"] == pytest.approx(np.median(by_gene))
    assert figures["pcc_above_0.2"] == pytest.approx(np.mean(np.array(by_gene) > 0.2))
    error = ((predicted - measured) ** 2).mean(axis=0)
    yardstick = ((hidden.reference - measured) ** 2).mean(axis=0)
    assert figures["mse"] == pytest.approx(error.mean())
    assert figures["mae"] == pytest.approx(np.abs(predicted - measured).mean())
    assert figures["skill"] == pytest.approx(1 - error.sum() / yardstick.sum())
    assert figures["skill_median"] == pytest.approx(np.median(1 - error / yardstick))
    assert figures["variance_ratio"] == pytest.approx(np.median(predicted.var(axis=0) / measured.var(axis=0)))
    by_spot = [pearsonr(p, m).statistic for p, m in zip(predicted, measured, strict=True)]
    of_mean = [pearsonr(hidden.reference, m).statistic for m in measured]
    assert figures["per_spot_pcc"] == pytest.approx(np.mean(by_spot))
    assert figures["per_spot_pcc_of_mean"] == pytest.approx(np.mean(of_mean), abs=1e-6)
    assert figures["coverage"] == pytest.approx(np.mean(np.abs(predicted - measured) <= half))
    assert figures["width"] == pytest.approx(2 * half.mean())
    assert set(figures) == set(METRICS)


def test_autocorrelation_is_that_of_the_eight_nearest_spots(hidden):
    predicted = hidden.expression + np.random.default_rng(0).normal(0, 0.5, hidden.expression.shape)
    found = score(hidden, Prediction(predicted))
    distance = np.linalg.norm(hidden.points_um[:, None] - hidden.points_um[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(distance, axis=1)[:, :8]

    def moran(values):
        z = values - values.mean()
        return sum(z[i] * z[near[i]].mean() for i in range(len(z))) / (z**2).sum()

    expected = [(moran(p), moran(m)) for p, m in zip(predicted.T, hidden.expression.astype(float).T, strict=True)]
    np.testing.assert_allclose(found.genes[["moran_predicted", "moran_measured"]], expected, atol=1e-6)
    agreement = spearmanr(*np.transpose(expected)).statistic
    assert found.figures["moran_agreement"] == pytest.approx(agreement)
    np.testing.assert_allclose(hidden.neighbour_mean, hidden.expression.astype(float)[near].mean(axis=1), atol=1e-6)


def test_a_perfect_prediction_gets_everything(hidden):
    figures = score(hidden, Prediction(hidden.expression)).figures
    one = ("pcc_mean", "pcc_median", "pcc_above_0.2", "skill", "skill_median", "variance_ratio", "moran_agreement")
    assert [figures[name] for name in one] == pytest.approx([1.0] * len(one))
    assert figures["mse"] == 0
    assert figures["per_spot_pcc"] == pytest.approx(1.0)


def test_the_mean_profile_gets_nothing_but_its_per_spot_correlation(hidden):
    found = score(hidden, constant(hidden, hidden.reference))
    assert abs(found.figures["skill"]) <= 1e-9
    assert np.abs(found.genes["skill"]).max() <= 1e-9
    assert found.figures["pcc_mean"] == 0
    assert found.figures["variance_ratio"] == 0
    assert np.isnan(found.figures["moran_predicted"])
    assert found.figures["per_spot_pcc"] > 0.6
    assert found.figures["per_spot_pcc"] == pytest.approx(found.figures["per_spot_pcc_of_mean"])


def test_shuffling_the_spots_of_a_perfect_prediction_leaves_chance(hidden):
    rng = np.random.default_rng(0)
    figures = [score(hidden, Prediction(rng.permutation(hidden.expression))).figures for _ in range(20)]
    assert np.mean([f["pcc_mean"] for f in figures]) == pytest.approx(0, abs=0.03)
    assert np.mean([f["skill"] for f in figures]) < -0.5
    # while the per-spot correlation hardly notices
    assert np.mean([f["per_spot_pcc"] for f in figures]) > 0.5


def test_the_ceiling_is_what_the_true_rate_reaches():
    stack = measured_stack(side=40, depth=250, seed=1, sections=2)
    spots = stack["s1"].spots
    counts = np.asarray(spots.X, dtype=float)
    section = HiddenSection(
        "b", "s1", spots.obs_names.to_numpy(), stack["s1"].points_um, tuple(spots.var_names), counts,
        np.ones(12, bool), np.zeros(12, np.float32), 0.0, "", {},
    )  # fmt: skip
    rate = spots.obsm["true"]
    share = np.exp(rate) / np.exp(rate).sum(axis=1, keepdims=True)
    # what is normalised has a pseudocount, so the expectation at the spot's own depth is the best a predictor can do
    best = score(section, Prediction(normalise(share * counts.sum(axis=1, keepdims=True)))).genes["pcc"]
    ceiling = section.ceiling(rng=0)
    assert np.abs(ceiling - best).mean() < 0.03
    assert best.min() < 0.6 < 0.85 < best.max()


def test_genes_that_were_not_counted_are_not_scored(hidden):
    is_counted = np.arange(12) != 4
    part = HiddenSection(
        **{name: getattr(hidden, name) for name in HiddenSection.__dataclass_fields__ if name != "is_counted"},
        is_counted=is_counted,
    )
    wrong = hidden.expression.copy()
    wrong[:, 4] += 100
    found = score(part, Prediction(wrong))
    assert found.figures["mse"] == 0
    assert "G4" not in set(found.genes["gene"])
    assert len(found.genes) == 11


def test_a_single_spot_has_no_correlation_and_an_error():
    part = HiddenSection(
        "b", "s", np.array(["a"]), np.zeros((1, 2)), ("A", "B", "C"), np.array([[3.0, 5.0, 1.0]]),
        np.ones(3, bool), np.full(3, -1, np.float32), 0.0, "", {},
    )  # fmt: skip
    figures = score(part, Prediction(np.full((1, 3), -1.0))).figures
    assert np.isnan(figures["pcc_mean"])
    assert figures["skill"] == 0


def test_scoring_refuses(hidden):
    with pytest.raises(InputError, match=r"Section 's1' has \(81, 12\).*the prediction \(80, 12\)"):
        score(hidden, Prediction(hidden.expression[1:]))
    broken = hidden.expression.copy()
    broken[0, 0] = np.nan
    with pytest.raises(InputError, match="1 of 972 predicted values are not finite"):
        score(hidden, Prediction(broken))
