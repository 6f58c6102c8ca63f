"""The harmonic solve: against a dense computation, and the laws it obeys."""

import numpy as np
import pytest
from tests.spatial.spot_stacks import stack, take

from insignia.core.errors import InputError
from insignia.spatial import propagation
from insignia.spatial.graph import build_graph
from insignia.spatial.propagation import Harmonic, edge_weights

OPTIONS = {"sigma_pitches": 0.9, "sigma_z_pitches": 1.5, "kappa": 0.5, "within": 0.3}


def solve(spots, mean, *, pull=0.1, **options):
    weights = edge_weights(build_graph(spots), **OPTIONS | options)
    return Harmonic(weights, spots.is_known, pull=pull).fill(spots.expression[spots.is_known], mean)


def test_weights_are_the_formula_and_symmetric():
    spots = stack()
    graph = build_graph(spots)
    weights = edge_weights(graph, **OPTIONS)
    expected = np.exp(-((graph.distance / 0.9) ** 2) / 2 - (graph.dz / 1.5) ** 2 / 2) * (1 + 0.5 * graph.cosine)
    expected = expected * np.where(graph.is_same_section, 0.3, 1.0)
    np.testing.assert_allclose(weights[graph.target, graph.source].A1, expected, rtol=1e-5)
    np.testing.assert_allclose((weights - weights.T).toarray(), 0, atol=1e-6)


def test_the_solution_is_the_minimum():
    spots, mean, pull = stack(), np.array([1.0, -2.0]), 0.1
    weights = edge_weights(build_graph(spots), **OPTIONS).toarray()
    filled = solve(spots, mean, pull=pull)
    degree = weights.sum(1)
    gradient = degree[:, None] * filled - weights @ filled + pull * np.median(degree) * (filled - mean)
    np.testing.assert_allclose(gradient[~spots.is_known], 0, atol=1e-9)
    np.testing.assert_allclose(filled[spots.is_known], spots.expression[spots.is_known])


def test_a_constant_stays_a_constant():
    spots = stack(genes=1)
    spots.expression[spots.is_known] = -5.5
    np.testing.assert_allclose(solve(spots, np.array([-5.5])), -5.5)


def test_values_lie_within_those_of_the_known_spots_and_the_mean():
    spots = stack(genes=1)
    filled, seen = solve(spots, np.zeros(1)), spots.expression[spots.is_known]
    assert filled.max() <= seen.max()
    assert filled.min() >= seen.min()


def test_the_order_of_the_rows_does_not_matter():
    spots, mean = stack(), np.zeros(2)
    order = np.random.default_rng(1).permutation(len(spots))
    np.testing.assert_allclose(solve(take(spots, order), mean), solve(spots, mean)[order], atol=1e-6)


def test_spots_that_nothing_reaches_get_the_mean():
    spots = stack()
    spots.is_placed[spots.section == 2] = False
    spots.xyz_um[-1, :2] += 1e5
    np.testing.assert_allclose(solve(spots, np.array([3.0, 4.0]))[spots.section == 2], [[3.0, 4.0]] * 36)
    weights = edge_weights(build_graph(spots))
    nothing = Harmonic(weights, np.zeros(len(spots), dtype=bool)).fill(np.empty((0, 2)), np.array([3.0, 4.0]))
    np.testing.assert_allclose(nothing, [[3.0, 4.0]] * len(spots))


def test_everything_known_stays():
    spots = stack(sections=1)
    assert spots.is_known.all()
    np.testing.assert_array_equal(solve(spots, np.zeros(2)), spots.expression)


def test_the_variance_is_the_diagonal_of_the_inverse(monkeypatch):
    spots = stack()
    weights = edge_weights(build_graph(spots))
    harmonic = Harmonic(weights, spots.is_known, pull=0.1)
    unknown, degree = ~spots.is_known, weights.sum(1).A1
    system = np.diag(degree + 0.1 * np.median(degree)) - weights.toarray()
    exact = np.diag(np.linalg.inv(system[np.ix_(unknown, unknown)]))
    np.testing.assert_allclose(harmonic.variance()[unknown], exact)
    assert (harmonic.variance()[spots.is_known] == 0).all()
    monkeypatch.setattr(propagation, "_EXACT_BELOW", 0)
    np.testing.assert_allclose(harmonic.variance()[unknown], exact, rtol=0.3)


def test_spots_far_from_known_ones_are_less_sure():
    spots = stack(side=10, sections=2)
    spots.is_placed[:] = spots.xyz_um[:, 0] < 400
    harmonic = Harmonic(edge_weights(build_graph(spots)), spots.is_known)
    unknown, far = ~spots.is_known, spots.xyz_um[:, 0] > 700
    assert harmonic.variance()[unknown & far].min() > harmonic.variance()[unknown & spots.is_placed].mean()


@pytest.mark.parametrize("options", [{"kappa": 2.0}, {"sigma_pitches": 0.0}, {"within": -1.0}])
def test_weights_out_of_range_are_refused(options):
    with pytest.raises(InputError, match="kappa between 0 and 1"):
        edge_weights(build_graph(stack()), **options)


def test_a_pull_of_nothing_is_refused():
    with pytest.raises(InputError, match="pull must be positive"):
        Harmonic(edge_weights(build_graph(stack())), stack().is_known, pull=0.0)
