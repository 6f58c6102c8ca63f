"""Tests and effect sizes of two groups: against scipy, statsmodels and counting, and laws that they must keep."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom, chi2, mannwhitneyu, rankdata
from statsmodels.stats.meta_analysis import combine_effects

from insignia.core.errors import InputError
from insignia.stats import benjamini_hochberg, beta_binomial, group_effect, meta_analysis, rank_test


@settings(max_examples=40)
@given(st.integers(1, 6), st.integers(1, 7), st.integers(0, 1000))
def test_without_ties_it_is_scipys_exact_test(n_cases, n_others, seed):
    values = np.random.default_rng(seed).normal(size=n_cases + n_others)
    is_case = np.arange(len(values)) < n_cases
    found = rank_test(values, is_case)
    assert found.is_exact
    assert found.p == pytest.approx(mannwhitneyu(values[is_case], values[~is_case], method="exact").pvalue)


def counted(values, is_case, strata):
    """Share of all labellings, stratum by stratum, that deviate at least as much."""
    deviations = np.zeros(1)
    observed = 0.0
    for label in np.unique(strata):
        here = strata == label
        ranks, n_cases, n = rankdata(values[here]), int(is_case[here].sum()), int(here.sum())
        if 0 < n_cases < n:
            middle = n_cases * (n + 1) / 2
            sums = [sum(ranks[list(chosen)]) - middle for chosen in combinations(range(n), n_cases)]
            deviations = np.add.outer(deviations, np.array(sums) / (n + 1)).ravel()
            observed += (ranks[is_case[here]].sum() - middle) / (n + 1)
    return np.mean(np.abs(deviations) >= abs(observed) - 1e-9), deviations


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_ties_and_strata_are_counted_exactly(seed):
    rng = np.random.default_rng(seed)
    strata = np.repeat([0, 1, 2], [5, 4, 6])
    values, is_case = rng.integers(0, 4, 15).astype(float), rng.random(15) < 0.4
    found = rank_test(values, is_case, strata)
    p, deviations = counted(values, is_case, strata)
    if np.ptp(deviations):
        assert found.p == pytest.approx(p)
        assert found.smallest_p == pytest.approx(np.mean(np.abs(deviations) >= np.abs(deviations).max() - 1e-9))
        assert found.z == pytest.approx(0, abs=1e-9) or np.abs(found.z) <= np.abs(deviations).max() / deviations.std()
    else:
        assert found.p == 1


@pytest.mark.parametrize(("cases", "others", "p"), [(3, 3, 0.1), (4, 4, 0.029), (5, 5, 0.008), (3, 20, 0.001)])
def test_smallest_p_of_small_groups(cases, others, p):
    values = np.arange(cases + others, dtype=float)
    assert rank_test(values, values < cases).smallest_p == pytest.approx(p, abs=5e-4)


def test_large_groups_take_the_normal_approximation():
    rng = np.random.default_rng(0)
    values, is_case = rng.integers(0, 50, 300).astype(float), rng.random(300) < 0.3
    found = rank_test(values, is_case)
    theirs = mannwhitneyu(values[is_case], values[~is_case], method="asymptotic", use_continuity=False)
    assert not found.is_exact
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.smallest_p < 1e-20


def test_a_difference_between_studies_is_no_effect():
    rng = np.random.default_rng(0)
    study = np.repeat(["a", "b"], 20)
    is_case = np.where(study == "a", np.arange(40) % 10 == 0, np.arange(40) % 10 != 0)
    values = rng.normal(size=40) + 5 * (study == "b")
    assert rank_test(values, is_case).p < 0.01
    assert rank_test(values, is_case, study).p > 0.1
    # and moving one study as a whole changes nothing
    assert rank_test(values + 100 * (study == "b"), is_case, study).p == rank_test(values, is_case, study).p


def test_nothing_to_say():
    assert rank_test(np.ones(6), np.arange(6) < 3).p == 1
    alone = rank_test(np.arange(4.0), np.array([True, True, False, False]), np.array([0, 0, 1, 1]))
    assert (alone.p, alone.strata) == (1, 0)
    assert np.isnan(group_effect(np.arange(4.0), np.arange(4) < 2, np.array([0, 0, 1, 1])).shift)


def test_effects_of_known_differences():
    study = np.repeat([0, 1, 2, 3], 20)
    rng = np.random.default_rng(1)
    is_case = np.tile([True, False], 40)
    noise = rng.normal(size=80)
    found = group_effect(noise + 3.0 * is_case + 10 * study, is_case, study)
    assert found.shift == pytest.approx(3.0, abs=0.4)
    assert found.low < 3.0 < found.high
    assert found.pairs == 400
    moved = noise + 3.0 * is_case
    within = [np.subtract.outer(moved[(study == s) & is_case], moved[(study == s) & ~is_case]) for s in range(4)]
    pairs = np.concatenate([part.ravel() for part in within])
    assert found.shift == pytest.approx(np.median(pairs))
    assert found.cliffs_delta == pytest.approx(np.mean(pairs > 0) - np.mean(pairs < 0))
    mirrored = group_effect(-(noise + 3.0 * is_case), is_case, study)
    assert mirrored.shift == pytest.approx(-found.shift)


def test_random_effects_against_statsmodels():
    rng = np.random.default_rng(3)
    study, is_case = np.repeat(np.arange(6), 10), np.tile([True, False], 30)
    values = rng.normal(size=60) + is_case * rng.normal(1, 0.8, 6)[study]
    found = meta_analysis(values, is_case, study)
    groups = [values[(study == s) & (is_case == case)] for s in range(6) for case in (True, False)]
    within = np.array(groups)
    variance = np.full(6, within.var(axis=1, ddof=1).mean() * 2 / 5)
    theirs = combine_effects(found.studies["difference"].to_numpy(), variance, method_re="iterated")
    assert found.difference == pytest.approx(theirs.mean_effect_re)
    assert found.tau**2 == pytest.approx(theirs.tau2)
    assert found.low < found.difference < found.high
    assert found.studies["weight"].sum() == pytest.approx(1)
    one = meta_analysis(values[:10], is_case[:10], study[:10])
    assert np.isnan(one.tau)
    assert 0 < one.p < 1
    assert np.isnan(meta_analysis(np.arange(4.0), np.arange(4) < 2, np.array([0, 0, 1, 1])).p)


def test_beta_binomial_without_studies_is_scipys_likelihood():
    from insignia.stats.beta_binomial import _negative_log_likelihood

    hits, cells = np.array([3.0, 10.0, 0.0]), np.array([20.0, 30.0, 15.0])
    # a standard deviation of almost nothing leaves one study with the plain beta-binomial
    data = (hits, cells, np.array([0.0, 1.0, 0.0]), np.array([0, 0, 0]))
    found = _negative_log_likelihood(np.array([-1.0, -12.0, np.log(0.1 / 0.9), 0.7]), data)
    mean = 1 / (1 + np.exp([1.0, 0.3, 1.0]))
    theirs = -betabinom.logpmf(hits, cells, mean * 9, (1 - mean) * 9).sum()
    assert found == pytest.approx(theirs, abs=1e-3)


def planted_hits(rng, effect):
    study, is_case = np.repeat(np.arange(8), 10), np.tile([True, False], 40)
    odds = -2 + rng.normal(0, 0.8, 8)[study] + effect * is_case + rng.normal(0, 0.3, 80)
    cells = rng.integers(50, 300, 80)
    return rng.binomial(cells, 1 / (1 + np.exp(-odds))), cells, is_case, study


def test_beta_binomial_finds_what_was_planted():
    found = [beta_binomial(*planted_hits(np.random.default_rng(seed), 1.0)) for seed in range(8)]
    assert all(one.converged and one.p < 1e-6 for one in found)
    # 7.6 of 8 are expected
    assert sum(one.low < 1.0 < one.high for one in found) >= 6
    assert np.mean([one.study_sd for one in found]) == pytest.approx(0.8, abs=0.25)
    hits, cells, is_case, study = planted_hits(np.random.default_rng(0), 1.0)
    assert beta_binomial(hits, cells, ~is_case, study).log_odds == pytest.approx(-found[0].log_odds, abs=1e-2)
    nothing = [beta_binomial(*planted_hits(np.random.default_rng(100 + seed), 0.0)).p for seed in range(8)]
    assert sum(p < 0.05 for p in nothing) <= 2


def test_the_model_has_the_degrees_of_freedom_of_where_its_information_is():
    """Donors tell the variance of differences within studies, and only studies that of differences between them."""
    hits, _, is_case, study = planted_hits(np.random.default_rng(0), 0.0)
    within = beta_binomial(hits, np.full(80, 300), is_case, study)
    assert within.df == pytest.approx(80 - 8 - 1, rel=0.05)
    between = beta_binomial(hits, np.full(80, 300), study < 4, study)
    assert between.df == pytest.approx(8 - 2, rel=1e-6)
    for found in (within, between):
        assert found.p > chi2.sf(found.statistic, 1)
    assert between.high - between.low > within.high - within.low


def test_the_model_approaches_the_chi_square_of_large_samples():
    rng = np.random.default_rng(5)
    study, is_case = np.repeat(np.arange(40), 20), np.tile([True, False], 400)
    cells = rng.integers(50, 300, 800)
    odds = -2 + rng.normal(0, 0.5, 40)[study] + 0.04 * is_case + rng.normal(0, 0.3, 800)
    found = beta_binomial(rng.binomial(cells, 1 / (1 + np.exp(-odds))), cells, is_case, study)
    assert found.p == pytest.approx(chi2.sf(found.statistic, 1), rel=0.15)


def test_untested_rows_stay_out_of_the_adjustment():
    adjusted = benjamini_hochberg(np.array([0.01, np.nan, 0.04]))
    assert adjusted == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()


def test_refusals():
    with pytest.raises(InputError, match="must be one a unit"):
        rank_test(np.arange(3.0), np.array([True, False]))
    with pytest.raises(InputError, match="1 of 3 values are not finite"):
        rank_test(np.array([1.0, np.nan, 2.0]), np.array([True, False, True]))
    with pytest.raises(InputError, match="n_boot must be at least 1"):
        group_effect(np.arange(4.0), np.arange(4) < 2, n_boot=0)
    with pytest.raises(InputError, match="no more hits than cells"):
        beta_binomial(np.array([3, 1]), np.array([2, 2]), np.array([True, False]), np.zeros(2))
    with pytest.raises(InputError, match="Both groups are needed; found 0 cases"):
        beta_binomial(np.array([1, 1]), np.array([2, 2]), np.array([False, False]), np.zeros(2))
