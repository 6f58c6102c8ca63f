"""Moran's I against the double sum it is defined by, and its neighbours against brute force."""

import numpy as np
import pytest
from scipy import sparse

from insignia.core.errors import InputError
from insignia.stats import morans_i, neighbour_weights


def grid(side=8):
    return np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_morans_i_is_the_double_sum(seed):
    rng = np.random.default_rng(seed)
    values, dense = rng.normal(size=(15, 3)), rng.random((15, 15)) * (rng.random((15, 15)) < 0.3)
    expected = []
    for column in values.T:
        z = column - column.mean()
        total = sum(dense[i, j] * z[i] * z[j] for i in range(15) for j in range(15))
        expected.append(15 / dense.sum() * total / (z**2).sum())
    np.testing.assert_allclose(morans_i(values, sparse.csr_matrix(dense)), expected, atol=1e-12)


def test_morans_i_knows_smooth_from_random_from_alternating():
    points = grid()
    weights = neighbour_weights(points, k=4)
    smooth, chequers = points[:, 0] + points[:, 1], points.sum(axis=1) % 2
    noise = np.random.default_rng(0).normal(size=(64, 200))
    moran = morans_i(np.column_stack([smooth, chequers]), weights)
    assert moran[0] > 0.7
    assert moran[1] < -0.6
    # its expectation under no autocorrelation is -1 / (n - 1)
    assert morans_i(noise, weights).mean() == pytest.approx(-1 / 63, abs=0.02)


def test_morans_i_is_not_defined_without_variation_or_neighbours():
    points = grid(4)
    assert np.isnan(morans_i(np.full((16, 2), -5.5), neighbour_weights(points))).all()
    assert np.isnan(morans_i(points, sparse.csr_matrix((16, 16)))).all()


def test_neighbours_are_the_nearest_others():
    points = np.random.default_rng(0).random((60, 2))
    weights = neighbour_weights(points, k=5).toarray()
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1)[:, :5]
    expected = np.zeros_like(weights)
    np.put_along_axis(expected, nearest, 0.2, axis=1)
    np.testing.assert_allclose(weights, expected, atol=1e-12)


def test_equally_near_neighbours_are_all_taken_whatever_their_order():
    points = grid(5)
    order = np.random.default_rng(0).permutation(25)
    weights, shuffled = neighbour_weights(points, k=2).toarray(), neighbour_weights(points[order], k=2).toarray()
    np.testing.assert_allclose(weights[np.ix_(order, order)], shuffled)
    assert (weights[12] > 0).sum() == 4


def test_few_points_have_few_neighbours():
    assert neighbour_weights(np.zeros((1, 2))).nnz == 0
    np.testing.assert_allclose(neighbour_weights(np.array([[0.0, 0], [1, 0]]), k=8).toarray(), [[0, 1], [1, 0]])


def test_autocorrelation_refuses():
    with pytest.raises(InputError, match="square over the rows"):
        morans_i(np.zeros((3, 1)), sparse.csr_matrix((4, 4)))
    with pytest.raises(InputError, match="k is 0"):
        neighbour_weights(np.zeros((3, 2)), k=0)
    with pytest.raises(InputError, match="must be finite"):
        neighbour_weights(np.full((3, 2), np.nan))
