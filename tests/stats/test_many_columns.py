"""Tests and effects of many columns: each is that of the column alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insignia.core.errors import InputError
from insignia.stats import group_effect, group_effects, paired_test, paired_tests, rank_test, rank_tests


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_every_column_is_tested_as_alone(seed, stratified):
    rng = np.random.default_rng(seed)
    strata = np.repeat([0, 1, 2], [6, 3, 7]) if stratified else None
    # columns without ties, with some, and without any difference
    values = np.column_stack([rng.normal(size=(16, 4)), rng.integers(0, 3, (16, 3)), np.zeros(16)]).astype(float)
    is_case = rng.random(16) < 0.5
    found = rank_tests(values, is_case, strata)
    effects = group_effects(values, is_case, strata)
    for k, column in enumerate(values.T):
        alone, effect = rank_test(column, is_case, strata), group_effect(column, is_case, strata, n_boot=1)
        assert (found.z[k], found.p[k], found.smallest_p[k]) == pytest.approx((alone.z, alone.p, alone.smallest_p))
        assert (found.strata, found.is_exact[k]) == (alone.strata, alone.is_exact)
        expected = (effect.shift, effect.cliffs_delta)
        assert (effects.shift[k], effects.cliffs_delta[k]) == pytest.approx(expected, nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 14))
def test_every_column_of_pairs_is_tested_as_alone(seed, n):
    rng = np.random.default_rng(seed)
    values = np.column_stack([rng.normal(0.5, size=(n, 4)), rng.integers(-2, 3, (n, 4)), np.zeros(n)]).astype(float)
    found = paired_tests(values)
    alone = [paired_test(column) for column in values.T]
    np.testing.assert_allclose(found.p_rank, [one.p_rank for one in alone])
    np.testing.assert_allclose(found.smallest_p, [one.smallest_p for one in alone])


def test_large_strata_take_the_normal_approximation():
    rng = np.random.default_rng(0)
    values, is_case = rng.normal(size=(150, 5)), np.arange(150) % 3 == 0
    found = rank_tests(values, is_case)
    alone = [rank_test(column, is_case) for column in values.T]
    np.testing.assert_allclose(found.p, [one.p for one in alone])
    np.testing.assert_allclose(found.smallest_p, [one.smallest_p for one in alone])
    assert not found.is_exact.any()


def test_a_shift_is_standardised_within_groups_and_strata():
    rng = np.random.default_rng(1)
    strata, is_case = np.repeat([0, 1], 400), np.tile([True, False], 400)
    # studies differ by far more than donors, which must not count as spread
    values = rng.normal(scale=2.0, size=(800, 3)) + 50 * strata[:, None] + 3.0 * is_case[:, None]
    np.testing.assert_allclose(group_effects(values, is_case, strata).standardised, 1.5, atol=0.25)


def test_columns_are_the_same_in_chunks(monkeypatch):
    from insignia.stats import effect_sizes

    rng = np.random.default_rng(2)
    values, is_case = rng.normal(size=(20, 9)), np.arange(20) < 8
    whole = group_effects(values, is_case)
    monkeypatch.setattr(effect_sizes, "_PAIRS_AT_ONCE", 200)
    np.testing.assert_array_equal(group_effects(values, is_case).shift, whole.shift)


def test_without_both_groups_nothing_is_said():
    values = np.ones((4, 2))
    found = rank_tests(values, np.ones(4, dtype=bool))
    assert found.strata == 0
    assert (found.p == 1).all()
    assert np.isnan(group_effects(values, np.ones(4, dtype=bool)).standardised).all()


def test_refusals():
    with pytest.raises(InputError, match="finite values, units x columns"):
        rank_tests(np.array([[1.0], [np.nan]]), np.array([True, False]))
    with pytest.raises(InputError, match="must be one a unit"):
        rank_tests(np.ones((3, 2)), np.array([True, False]))
    with pytest.raises(InputError, match="finite differences, pairs x columns"):
        paired_tests(np.zeros((0, 3)))
