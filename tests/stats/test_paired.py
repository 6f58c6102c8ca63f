"""Exact paired tests against all sign changes and against scipy."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest, rankdata, wilcoxon

from insignia.core.errors import InputError
from insignia.stats import paired_test


@pytest.mark.parametrize("seed", range(5))
def test_without_ties_it_is_scipys_exact_test(seed):
    values = np.random.default_rng(seed).normal(0.3, 1, 9 + seed)
    found = paired_test(values)
    assert found.p_rank == pytest.approx(wilcoxon(values, method="exact").pvalue, abs=1e-12)
    assert found.p_sign == pytest.approx(binomtest(int((values > 0).sum()), values.size).pvalue)
    assert (found.better, found.worse, found.equal) == ((values > 0).sum(), (values < 0).sum(), 0)


@pytest.mark.parametrize("seed", range(5))
def test_with_ties_it_counts_all_sign_changes(seed):
    values = np.random.default_rng(seed).integers(-3, 4, 9).astype(float)
    values[:2] = [2, -2]
    moved = values[values != 0]
    ranks = rankdata(np.abs(moved))
    sums = np.array([(ranks * np.array(signs)).sum() for signs in product((0, 1), repeat=moved.size)])
    positive = ranks[moved > 0].sum()
    expected = min(1.0, 2 * min((sums <= positive).mean(), (sums >= positive).mean()))
    assert paired_test(values).p_rank == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("pairs", [1, 2, 5, 19])
def test_the_smallest_p_is_reached_when_all_agree(pairs):
    found = paired_test(np.linspace(0.1, 0.2, pairs))
    assert found.p_sign == pytest.approx(found.smallest_p)
    assert found.p_rank == pytest.approx(found.smallest_p)
    assert found.smallest_p == min(1.0, 2 / 2**pairs)
    assert found.pairs == pairs


def test_differences_within_the_tolerance_are_equal():
    found = paired_test(np.array([1e-9, -1e-9, 0.5]), tolerance=1e-6)
    assert (found.better, found.worse, found.equal) == (1, 0, 2)
    nothing = paired_test(np.zeros(4))
    assert (nothing.equal, nothing.p_sign, nothing.p_rank) == (4, 1.0, 1.0)


def test_a_paired_test_refuses():
    with pytest.raises(InputError, match="finite differences"):
        paired_test(np.array([0.1, np.nan]))
    with pytest.raises(InputError, match="finite differences"):
        paired_test(np.empty(0))
