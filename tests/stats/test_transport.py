"""Entropic transport: whole at any scale of the cost, and a divergence that is 0 for equal samples only."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from insignia.core.errors import InputError
from insignia.stats import entropic_plan, sinkhorn_divergence


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 4)), rng.normal(0.5, 1.3, size=(25, 4))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_no_mass_is_lost_at_any_scale(samples, scale):
    """A kernel that is not stabilised is 0 throughout at the largest."""
    cost = scale * cdist(*samples, "sqeuclidean")
    found = entropic_plan(cost, 0.01 * cost.mean(), tolerance=1e-4)
    assert found.mass == pytest.approx(1, abs=1e-9)
    plan = np.exp(found.log_plan)
    np.testing.assert_allclose(plan.sum(axis=0), np.full(25, 1 / 25), rtol=1e-9)
    np.testing.assert_allclose(plan.sum(axis=1), np.full(30, 1 / 30), rtol=1e-3)
    assert found.off < 1e-4
    assert found.value / scale == pytest.approx(
        entropic_plan(cost / scale, 0.01 * cost.mean() / scale, tolerance=1e-4).value
    )


def test_value_is_cost_and_divergence_of_the_plan(samples):
    cost = cdist(*samples, "sqeuclidean")
    found = entropic_plan(cost, 2.0)
    plan = np.exp(found.log_plan)
    written_out = (plan * cost).sum() + 2.0 * (plan * (found.log_plan + np.log(30 * 25))).sum()
    assert found.value == pytest.approx(written_out, rel=1e-6)


def test_little_regularisation_is_the_assignment_and_much_of_it_the_independent_plan(samples):
    cost = cdist(samples[0][:25], samples[1], "sqeuclidean")
    rows, columns = linear_sum_assignment(cost)
    sharp = entropic_plan(cost, 0.005 * cost.mean(), tolerance=1e-3)
    assert (np.exp(sharp.log_plan) * cost).sum() == pytest.approx(cost[rows, columns].mean(), rel=0.01)
    np.testing.assert_allclose(np.exp(entropic_plan(cost, 1e6).log_plan), np.full((25, 25), 1 / 625), rtol=1e-3)


def test_the_divergence_is_zero_for_equal_samples_and_sees_spread(samples):
    first, second = samples
    assert sinkhorn_divergence(first, first) == pytest.approx(0, abs=1e-9)
    assert sinkhorn_divergence(first, second) == pytest.approx(sinkhorn_divergence(second, first), rel=1e-5)
    centred = second - second.mean(axis=0) + first.mean(axis=0)
    assert sinkhorn_divergence(first, centred) > 0.02
    # far above the costs only the means are left
    far = sinkhorn_divergence(first, second, regularisation=1e5)
    assert far == pytest.approx(((first.mean(axis=0) - second.mean(axis=0)) ** 2).sum(), rel=1e-3)


def test_what_cannot_be_is_refused(samples):
    with pytest.raises(InputError, match="regularisation above 0, found"):
        entropic_plan(np.ones((2, 2)), 0.0)
    with pytest.raises(InputError, match="finite matrix of costs"):
        entropic_plan(np.array([[np.nan]]), 1.0)
    with pytest.raises(InputError, match="points in one space"):
        sinkhorn_divergence(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(InputError, match="Take a larger one"):
        sinkhorn_divergence(*samples, regularisation=1e-4)


def test_agreement_with_pot_and_geomloss(samples):
    """POT gives the plan; geomloss halves the cost, and its divergence with it."""
    ot = pytest.importorskip("ot", reason="POT is an optional oracle")
    geomloss = pytest.importorskip("geomloss", reason="geomloss is an optional oracle")
    import torch

    first, second = samples
    cost = cdist(first, second, "sqeuclidean")
    for share in (0.1, 1.0):
        regularisation = share * cost.mean()
        theirs = ot.sinkhorn(
            np.full(30, 1 / 30), np.full(25, 1 / 25), cost, regularisation, method="sinkhorn_log", stopThr=1e-12,
            numItermax=10_000,
        )  # fmt: skip
        np.testing.assert_allclose(
            np.exp(entropic_plan(cost, regularisation, tolerance=1e-9).log_plan), theirs, atol=1e-8
        )
        loss = geomloss.SamplesLoss("sinkhorn", p=2, blur=(regularisation / 2) ** 0.5, scaling=0.99)
        halved = float(loss(*map(torch.from_numpy, samples)))
        ours = sinkhorn_divergence(first, second, regularisation=regularisation)
        assert ours == pytest.approx(2 * halved, rel=1e-4)
