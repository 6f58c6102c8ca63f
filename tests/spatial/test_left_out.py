"""Predictions of hidden spots, and what is made of them: tables, intervals, predictable genes, growth with depth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from tests.spatial.section_stacks import section_stack

from insignia.spatial.assemble import assemble
from insignia.spatial.baselines import PERMUTED, baseline_table, permute_known
from insignia.spatial.contract import Imputed, Imputer
from insignia.spatial.depth import depth_slope, gaps_to_known
from insignia.spatial.imputers import Kernel, Mean, Ridge
from insignia.spatial.left_out import LeftOut, hidden_masks, judge, leave_donors_out, leave_out
from insignia.spatial.panel import choose_panel
from insignia.spatial.uncertainty import calibrate, is_predictable
from insignia.stats import conformal_quantile


def make(*, known=("s0",), side=10, **options):
    stack = section_stack(side=side, **options)
    return assemble(stack, choose_panel([stack["s0"].spots], [f"gene{i:02}" for i in range(12)]), known=known)


@pytest.fixture(scope="module")
def spots():
    return make()


@pytest.fixture(scope="module")
def by_kernel(spots):
    return leave_out(Kernel().tuned(spots), spots, hidden_masks(spots))


def simulated(n_spots=400, n_genes=30, *, seed=0, sd=None, mean=None):
    """Errors are normal with the sd that is said; support runs from 0 to 2."""
    rng = np.random.default_rng(seed)
    sd = np.ones((n_spots, n_genes)) if sd is None else sd
    mean = rng.normal(size=(n_spots, n_genes)) if mean is None else mean
    return LeftOut(
        rows=np.arange(n_spots),
        fold=np.zeros(n_spots, dtype=int),
        truth=mean + sd * rng.normal(size=mean.shape),
        mean=mean,
        sd=np.ones_like(mean),
        profile=np.zeros((1, n_genes)),
        support=np.linspace(0, 2, n_spots),
        section=np.zeros(n_spots, dtype=int),
    )


def test_a_mean_profile_has_no_skill_and_no_correlation(spots):
    left_out = leave_out(Mean(), spots, hidden_masks(spots))
    np.testing.assert_array_equal(left_out.gene_pcc(), 0)
    np.testing.assert_allclose(left_out.gene_skill(), 0, atol=1e-6)
    assert left_out.summary()["skill"] == pytest.approx(0, abs=1e-6)
    assert left_out.summary()["spot_pcc"] > 0.3, "which is why no one should print it alone"


def test_what_is_hidden_cannot_leak(spots):
    class Watching(Imputer):
        def impute(self, stack, *, training=(), seed=0):
            seen.append(stack)
            return Mean().impute(stack)

    seen = []
    masks = hidden_masks(spots)
    left_out = leave_out(Watching(), spots, masks)
    assert len(seen) == len(masks)
    names = {name: row for row, name in enumerate(spots.names)}
    for stack, mask in zip(seen, masks, strict=True):
        rows = np.array([names[name] for name in stack.names])
        assert spots.is_known[rows].all()
        np.testing.assert_array_equal(stack.is_known, ~mask[rows])
        assert np.isnan(stack.expression[mask[rows]]).all()
    np.testing.assert_array_equal(left_out.truth, spots.expression[left_out.rows])


def test_several_known_sections_are_also_hidden_whole(spots):
    both = make(known=("s0", "s2"))
    masks = hidden_masks(both)
    assert [set(both.section[mask]) for mask in masks[-2:]] == [{0}, {2}]
    assert len(hidden_masks(spots)) == 10


def test_without_known_spots_training_stacks_are_hidden_whole():
    target, donors = make(known=()), [make(known=("s0", "s1"), seed=seed) for seed in (1, 2, 3)]
    assert leave_donors_out(Mean(), donors[:1]) is None
    left_out = judge(Mean(), target, training=donors)
    assert len(left_out.rows) == 600
    assert len(np.unique(left_out.section)) == 6
    others = np.mean([donor.expression[donor.is_known].mean(axis=0) for donor in donors[1:]], axis=0)
    np.testing.assert_allclose(left_out.mean[0], others, rtol=1e-5)
    assert judge(Ridge(), target, training=donors).summary()["mse"] > 0


def test_the_table_sets_the_control_beside_the_imputers(spots, by_kernel):
    table = baseline_table(spots, beside={"mine": by_kernel})
    assert list(table.index) == ["mine", "mean", "nearest", "kernel", "propagate", "ridge", PERMUTED]
    assert table.loc["mine"].equals(table.loc["kernel"])
    assert table.loc["kernel", "gene_pcc"] > 0.4
    assert abs(table.loc[PERMUTED, "gene_pcc"]) < 0.15
    assert table.loc["mean", "gene_pcc"] == 0
    assert "ridge" not in baseline_table(replace(spots, features=None), beside={}).index


def test_permuting_keeps_the_values_of_a_section_and_not_their_places(spots):
    permuted = permute_known(spots, 0)
    known = spots.is_known
    np.testing.assert_array_equal(np.sort(permuted.expression[known], axis=0), np.sort(spots.expression[known], axis=0))
    assert (permuted.expression[known] != spots.expression[known]).any(axis=1).mean() > 0.9
    order = np.random.default_rng(0).permutation(len(spots))
    np.testing.assert_array_equal(permute_known(spots.take(order), 0).expression, permuted.expression[order])


def test_conformal_quantiles_count_one_more():
    values = np.arange(1.0, 31.0)[::-1, None]
    # the 28th of 30: ceil(31 * 0.9), not ceil(30 * 0.9)
    assert conformal_quantile(values, 0.9) == [28.0]
    assert conformal_quantile(values, 0.99) == [30.0]


def test_intervals_hold_what_they_promise_on_new_spots():
    skewed = np.abs(np.random.default_rng(3).normal(size=(400, 30))) + 0.2
    calibration = calibrate(simulated(sd=skewed), 30)
    new = simulated(seed=9, sd=skewed)
    _, lower, upper = calibration.apply(new.mean, new.sd, new.support)
    inside = (lower <= new.truth) & (new.truth <= upper)
    assert inside.mean() == pytest.approx(0.9, abs=0.015)
    for number in range(3):
        assert inside[np.searchsorted(calibration.edges, new.support, side="right") == number].mean() > 0.87
    narrow = calibrate(simulated(sd=skewed), 30, level=0.5)
    _, lower, upper = narrow.apply(new.mean, new.sd, new.support)
    assert ((lower <= new.truth) & (new.truth <= upper)).mean() == pytest.approx(0.5, abs=0.03)


def test_a_larger_error_where_support_is_low_is_seen():
    uneven = np.where(np.linspace(0, 2, 400) < 0.6, 3.0, 1.0)[:, None] * np.ones((1, 30))
    calibration = calibrate(simulated(sd=uneven), 30)
    sd = calibration.apply(np.zeros((2, 30)), np.ones((2, 30)), np.array([0.0, 2.0]))[0].mean(axis=1)
    assert sd[0] == pytest.approx(3.0, rel=0.15)
    assert sd[1] == pytest.approx(1.0, rel=0.1)


def test_noise_that_falls_with_expression_is_seen():
    rng = np.random.default_rng(1)
    mean = rng.normal(size=(600, 20))
    left_out = simulated(600, 20, mean=mean, sd=np.exp(-0.8 * mean / 2))
    calibration = calibrate(left_out, 20)
    np.testing.assert_allclose(calibration.trend, -0.8, atol=0.25)
    sd = calibration.apply(mean, np.ones_like(mean), left_out.support)[0]
    assert np.corrcoef(np.log(sd).ravel(), mean.ravel())[0, 1] < -0.9
    # beyond what was seen the trend stops
    far = calibration.apply(np.full((1, 20), 50.0), np.ones((1, 20)), np.ones(1))[0]
    assert (far > 0.1).all()


def test_few_hidden_spots_share_their_quantiles_and_none_are_normal():
    few = calibrate(simulated(20, 5), 5)
    assert len(few.counts) == 1
    assert (few.low == few.low[0, 0]).all()
    none = calibrate(None, 5)
    _, lower, upper = none.apply(np.zeros((2, 5)), np.ones((2, 5)), np.zeros(2))
    np.testing.assert_allclose([lower[0, 0], upper[0, 0]], norm.ppf([0.05, 0.95]))


def test_the_shift_that_all_genes_share_does_not_make_a_gene_predictable():
    rng = np.random.default_rng(7)
    field, shift = np.sin(np.arange(400) / 20), np.cos(np.arange(400) / 35)
    mean = np.repeat(shift[:, None], 30, axis=1)
    mean[:, :5] += np.outer(field, [1, -1, 1, -1, 1])
    left_out = simulated(mean=0.7 * mean, sd=np.full((400, 30), 0.8))
    assert left_out.gene_pcc().min() > 0.3
    said = is_predictable(left_out, 30)
    np.testing.assert_array_equal(said, np.arange(30) < 5)
    assert not is_predictable(None, 3).any()
    assert not is_predictable(simulated(mean=0.01 * rng.normal(size=(400, 30))), 30).any()


def test_variance_that_grows_with_depth_is_learnt_from_training_stacks():
    class Nothing(Imputer):
        def impute(self, stack, *, training=(), seed=0):
            return Imputed(np.zeros(stack.expression.shape, np.float32), np.ones(stack.expression.shape, np.float32))

    rng = np.random.default_rng(0)
    donor = make(known=("s0", "s1", "s2"), sections=3)
    gaps = donor.section.astype(float)
    np.testing.assert_allclose(gaps_to_known(donor.hide(donor.section > 0)), gaps)
    noisy = rng.normal(size=donor.expression.shape) * np.sqrt(1 + 0.5 * gaps)[:, None]
    donor = replace(donor, expression=noisy.astype(np.float32))
    plain = calibrate(None, 12)
    slope = depth_slope(Nothing(), [donor], plain)
    assert slope == pytest.approx(0.5, abs=0.1)
    deeper = plain.with_depth(slope).apply(np.zeros((2, 12)), np.ones((2, 12)), np.zeros(2), np.array([0.0, 4.0]))[0]
    np.testing.assert_allclose(deeper[1, 0] / deeper[0, 0], np.sqrt(1 + 4 * slope))
    assert depth_slope(Nothing(), [make()], plain) is None
