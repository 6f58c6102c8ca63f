"""Matched random sets: who stands in for whom, no gene twice, and p as counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from insignia.core.errors import InputError
from insignia.stats import closest_in_mean, draw_sets, monte_carlo, nearest_in_detection


def test_stand_ins_are_the_nearest_in_detection_then_in_mean():
    rng = np.random.default_rng(1)
    detection, mean = rng.random(200), rng.gamma(0.5, size=200)
    genes = np.array([3, 50, 120])
    allowed = rng.random((3, 200)) < 0.9
    found = nearest_in_detection(detection, genes, allowed, n=30)
    kept = closest_in_mean(mean, genes, found, n=10)
    for gene, ok, near, close in zip(genes, allowed, found, kept, strict=True):
        others = [g for g in range(200) if ok[g] and g not in genes]
        expected = sorted(others, key=lambda g: abs(np.log(detection[g] / detection[gene])))[:30]
        assert near.tolist() == expected
        assert close.tolist() == sorted(expected, key=lambda g: abs(np.log(mean[g] / mean[gene])))[:10]


def test_genes_with_few_others_have_what_there_is():
    detection = np.array([0.5, 0.4, 0.0, 0.6, 0.5])
    found = nearest_in_detection(detection, np.array([0]), np.ones((1, 5), bool), n=4)
    # never itself, and never a gene that no cell has
    assert found.tolist() == [[4, 3, 1, -1]]
    kept = closest_in_mean(np.array([1.0, 5.0, 0, 1.1, 3.0]), np.array([0]), found, n=4)
    assert kept.tolist() == [[3, 4, 1, -1]]
    sets = draw_sets(kept, n_sets=300, rng=np.random.default_rng(0))
    assert set(sets.ravel()) == {1, 3, 4}
    with pytest.raises(InputError, match="no other gene like it"):
        closest_in_mean(detection, np.array([0]), np.full((1, 3), -1), n=2)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(0, 99))
def test_sets_take_each_gene_from_its_pool_and_none_twice(k, seed):
    rng = np.random.default_rng(seed)
    pools = np.array([rng.permutation(30)[:15] for _ in range(k)])
    sets = draw_sets(pools, n_sets=200, rng=rng)
    assert sets.shape == (200, k)
    for column in range(k):
        assert set(sets[:, column]) <= set(pools[column])
    assert all(np.unique(row).size == k for row in sets)


def test_each_gene_of_a_pool_is_taken_as_often():
    sets = draw_sets(np.arange(20).reshape(1, 20), n_sets=20_000, rng=np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(sets.ravel(), minlength=20), 1000, atol=150)


def test_pools_without_room_are_refused():
    with pytest.raises(InputError, match="3 genes share too few others"):
        draw_sets(np.array([[0, 1]] * 3), n_sets=10, rng=np.random.default_rng(0))


def test_z_and_p_by_hand():
    null = np.array([[0.0, 1, 2, 3], [1, 1, 1, 1], [0, 1, 2, 3]])
    z, p = monte_carlo(np.array([2.0, 1.0, np.nan]), null)
    assert z[0] == pytest.approx((2 - 1.5) / np.std([0, 1, 2, 3], ddof=1))
    assert np.isnan(z[1:]).all()
    # (1 + how many are at least as high) / (1 + 4)
    assert p[0] == 3 / 5
    assert np.isnan(p[1:]).all()
