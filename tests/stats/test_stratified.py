"""Differences within strata: Welch's test where there is one, and nothing of what differs between strata."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from insignia.core.errors import InputError
from insignia.stats import moments, stratified_difference, welch_test

RNG = np.random.default_rng(0)
CASES, OTHERS = RNG.normal(0.3, 1, (9, 40)), RNG.normal(0, 2, (23, 40))


def test_one_stratum_is_welch():
    found = stratified_difference([(moments(CASES), moments(OTHERS))])
    expected = ttest_ind(CASES, OTHERS, equal_var=False)
    np.testing.assert_allclose(found.statistic, expected.statistic)
    np.testing.assert_allclose(found.p, expected.pvalue)
    np.testing.assert_allclose(found.statistic, welch_test(moments(CASES), moments(OTHERS))[0])
    np.testing.assert_allclose(found.difference, CASES.mean(0) - OTHERS.mean(0))


def test_what_differs_between_strata_is_no_effect():
    """Cases are mostly in the stratum that is higher; within strata nothing differs."""
    rng = np.random.default_rng(1)
    level, sizes = (0.0, 10.0), ((5, 60), (60, 5))
    arms = [
        (rng.normal(base, 1, (n, 2000)), rng.normal(base, 1, (m, 2000)))
        for base, (n, m) in zip(level, sizes, strict=True)
    ]
    pooled = ttest_ind(*(np.vstack(part) for part in zip(*arms, strict=True)), equal_var=False)
    found = stratified_difference([(moments(one), moments(other)) for one, other in arms])
    assert (pooled.pvalue < 1e-6).all()
    assert 0.03 < (found.p < 0.05).mean() < 0.07
    moved = [(moments(one + 3), moments(other + 3)) for one, other in arms]
    np.testing.assert_allclose(stratified_difference(moved).statistic, found.statistic)


def test_an_even_number_of_cells_weighs_strata_alike_and_constant_columns_say_nothing():
    first, second = np.zeros((4, 2)), np.zeros((4, 2))
    first[:, 1], second[:, 1] = 1.0, 3.0
    still = moments(np.zeros((4, 2)))
    found = stratified_difference([(moments(first), still), (moments(second), still)])
    np.testing.assert_allclose(found.difference, [0, 2])
    assert found.p.tolist() == [1, 0]
    assert found.statistic.tolist() == [0, np.inf]
    with pytest.raises(InputError, match="at least one stratum"):
        stratified_difference([])
