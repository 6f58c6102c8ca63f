"""Distances between samples, against sums written out and scipy in one dimension."""

import numpy as np
import pytest
from scipy.stats import energy_distance as scipy_energy

from insignia.core.errors import InputError
from insignia.stats import energy_distance, energy_distance_sq, mmd_rbf


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 4)), rng.normal(0.5, 1.3, size=(25, 4))


def brute(first, second, kernel):
    def within(points):
        n = len(points)
        return sum(kernel(points[i], points[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))

    between = sum(kernel(a, b) for a in first for b in second) / (len(first) * len(second))
    return within(first), within(second), between


def test_energy_distances_equal_the_sums_written_out(samples):
    for found, power in ((energy_distance, 1), (energy_distance_sq, 2)):
        a, b, ab = brute(*samples, lambda x, y, power=power: np.linalg.norm(x - y) ** power)
        assert found(*samples) == pytest.approx(2 * ab - a - b, rel=1e-10)


def test_mmd_equals_the_sums_written_out(samples):
    a, b, ab = brute(*samples, lambda x, y: np.exp(-(((x - y) / 1.7) ** 2).sum() / 2))
    assert mmd_rbf(*samples, bandwidth=1.7) == pytest.approx(a + b - 2 * ab, rel=1e-10)


def test_the_biased_form_in_one_dimension_is_the_square_of_scipys(samples):
    first, second = samples[0][:, :1], samples[1][:, :1]
    n, m = len(first), len(second)
    a, b, ab = brute(first, second, lambda x, y: abs(x - y)[0])
    biased = 2 * ab - a * (n - 1) / n - b * (m - 1) / m
    assert biased == pytest.approx(scipy_energy(first[:, 0], second[:, 0]) ** 2)
    assert energy_distance(first, second) == pytest.approx(2 * ab - a - b)


def test_the_squared_form_sees_means_only():
    rng = np.random.default_rng(1)
    narrow, wide = rng.normal(size=(4000, 3)), 3 * rng.normal(size=(4000, 3))
    assert abs(energy_distance_sq(narrow, wide)) < 0.1
    assert energy_distance(narrow, wide) > 0.5


def test_samples_of_one_distribution_are_about_zero_apart_and_a_shift_is_seen():
    rng = np.random.default_rng(2)
    same = [f(rng.normal(size=(200, 5)), rng.normal(size=(200, 5))) for f in (energy_distance, mmd_rbf)]
    moved = [f(rng.normal(size=(200, 5)), 1 + rng.normal(size=(200, 5))) for f in (energy_distance, mmd_rbf)]
    assert np.abs(same).max() < 0.05
    assert moved[0] > 1
    assert moved[1] > 0.1


def test_one_point_is_refused():
    with pytest.raises(InputError, match="at least two points"):
        energy_distance(np.zeros((1, 2)), np.zeros((3, 2)))


def test_agreement_with_pot_and_geomloss(samples):
    """Their sums hold pairs of a point with itself; geomloss halves the energy distance."""
    ot = pytest.importorskip("ot", reason="POT is an optional oracle")
    geomloss = pytest.importorskip("geomloss", reason="geomloss is an optional oracle")
    import torch

    first, second = samples
    n, m = len(first), len(second)
    d = {name: ot.dist(a, b, metric="euclidean") for name, (a, b) in
         {"ab": (first, second), "a": (first, first), "b": (second, second)}.items()}  # fmt: skip
    unbiased = 2 * d["ab"].mean() - d["a"].sum() / (n * (n - 1)) - d["b"].sum() / (m * (m - 1))
    assert energy_distance(first, second) == pytest.approx(unbiased, rel=1e-9)
    biased = 2 * float(geomloss.SamplesLoss("energy")(*map(torch.from_numpy, samples)))
    assert biased == pytest.approx(2 * d["ab"].mean() - d["a"].mean() - d["b"].mean(), rel=1e-4)
