"""Mean, nearest, kernel, propagate and ridge against slow and obvious computations."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference
from tests.spatial.spot_stacks import PITCH, stack

from insignia.core.errors import InputError
from insignia.spatial.graph import build_graph
from insignia.spatial.imputers import Kernel, Mean, Nearest, Propagate, Ridge
from insignia.spatial.imputers.kernel import KernelOptions
from insignia.spatial.imputers.propagate import PropagateOptions
from insignia.spatial.imputers.ridge import Decomposed, RidgeOptions
from insignia.spatial.known import known_neighbours, mean_and_sd, support_and_distance
from insignia.spatial.propagation import Harmonic, edge_weights


def distances(spots):
    """(unknown, known) in pitches."""
    plane = spots.xyz_um[:, :2] / PITCH
    return np.linalg.norm(plane[~spots.is_known][:, None] - plane[spots.is_known], axis=2)


def test_the_mean_is_that_of_the_known_spots():
    spots = stack()
    imputed = Mean().impute(spots)
    known = spots.expression[spots.is_known]
    np.testing.assert_allclose(imputed.mean, np.tile(known.mean(axis=0), (len(spots), 1)), rtol=1e-6)
    np.testing.assert_allclose(imputed.sd[0], known.std(axis=0), rtol=1e-6)


def test_nearest_copies_the_nearest_in_space():
    spots = stack()
    copied = Nearest().impute(spots).mean[~spots.is_known]
    np.testing.assert_array_equal(copied, spots.expression[spots.is_known][distances(spots).argmin(axis=1)])
    # with two known sections, depth decides between spots at one place
    both = replace(spots, is_known=spots.section != 1, expression=np.repeat(spots.section[:, None], 2, 1).astype("f4"))
    both.xyz_um[:, :2] = np.tile(both.xyz_um[:36, :2], (3, 1))
    both.xyz_um[:, 2] = np.array([0.0, 30.0, 40.0])[both.section]
    assert (Nearest().impute(both).mean[both.section == 1] == 2).all()


def test_the_kernel_is_its_formula():
    spots, sigma, pull = stack(), 1.3, 0.2
    far, known = distances(spots), spots.expression[spots.is_known].astype(np.float64)
    order = np.argsort(far, axis=1)[:, :19]
    weights = np.exp(-(np.take_along_axis(far, order, axis=1) ** 2) / (2 * sigma**2))
    mean = known.mean(axis=0)
    around = (weights[..., None] * (known[order] - mean)).sum(axis=1)
    expected = mean + around / (weights.sum(axis=1) + pull)[:, None]
    got = Kernel(KernelOptions(sigma_pitches=(sigma,), pull=pull)).impute(spots).mean[~spots.is_known]
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_the_kernel_weighs_known_sections_by_depth():
    spots = stack(sections=3, is_known=np.repeat([True, False, True], 36))
    spots.xyz_um[:, :2] = np.tile(spots.xyz_um[:36, :2], (3, 1))
    values = np.repeat([0.0, np.nan, 1.0], 36)[:, None] * np.ones(2)
    spots = replace(spots, expression=values.astype(np.float32))
    spots.xyz_um[:, 2] = np.array([0.0, 20.0, 100.0])[spots.section]
    options = KernelOptions(sigma_pitches=(1.0,), sigma_z_gaps=1.0)
    # typical gap 50: weights exp(-(20 / 50)^2 / 2) and exp(-(80 / 50)^2 / 2)
    share = np.exp(-(1.6**2) / 2) / (np.exp(-(0.4**2) / 2) + np.exp(-(1.6**2) / 2))
    np.testing.assert_allclose(Kernel(options).impute(spots).mean[36:72], share, atol=2e-3)


def test_a_kernel_far_from_all_known_spots_gives_their_mean():
    spots = stack()
    spots.xyz_um[-1, 0] += 50 * PITCH
    mean, _ = mean_and_sd(spots)
    np.testing.assert_allclose(Kernel(KernelOptions(sigma_pitches=(1.0,))).impute(spots).mean[-1], mean, atol=1e-5)


def test_ridge_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    features, expression, asked = rng.normal(size=(30, 50)), rng.normal(size=(30, 4)), rng.normal(size=(7, 50))
    fit = Decomposed.of(features, expression)
    for penalty in (0.5, 40.0):
        reference = Reference(alpha=penalty).fit(features, expression)
        np.testing.assert_allclose(fit.predict(asked, penalty), reference.predict(asked), atol=1e-8)
        centred, point = features - features.mean(0), asked - features.mean(0)
        inverse = np.linalg.inv(centred.T @ centred + penalty * np.eye(50))
        np.testing.assert_allclose(fit.leverage(asked, penalty), np.einsum("ij,jk,ik->i", point, inverse, point))


def test_ridge_chooses_the_penalty_that_left_out_blocks_ask_for():
    spots = stack(side=12, sections=2, features=30, genes=60)
    rng = np.random.default_rng(0)
    signal = spots.features @ rng.normal(size=(30, 60)).astype(np.float32)
    clear = replace(spots, expression=np.where(spots.is_known[:, None], signal, np.nan).astype(np.float32))
    assert Ridge().tuned(clear).options.penalties == (10.0,)
    noise = replace(spots, expression=rng.normal(size=signal.shape).astype(np.float32))
    assert Ridge().tuned(noise).options.penalties[0] > 1000
    assert Ridge(RidgeOptions(penalties=(7.0,))).impute(clear).record["penalty"] == 7.0


def test_propagation_without_noise_is_the_harmonic_solution():
    spots = stack(side=8)
    options = PropagateOptions(noise=(0.0,), sigma_pitches=(0.9,), pull=(0.05,), kappa=(0.5,))
    graph = build_graph(spots, k_within=12, radius_pitches=options.radius_pitches, max_gap=4)
    weights = edge_weights(graph, sigma_pitches=0.9, kappa=0.5, within=options.within)
    mean, _ = mean_and_sd(spots)
    expected = Harmonic(weights, spots.is_known, pull=0.05).fill(spots.expression[spots.is_known], mean)
    np.testing.assert_allclose(Propagate(options).impute(spots).mean, expected, atol=1e-5)


def test_propagation_with_noise_is_the_dense_minimum():
    spots = stack(side=5, sections=2)
    options = PropagateOptions(noise=(2.0,), sigma_pitches=(1.0,), pull=(0.05,), kappa=(0.0,))
    graph = build_graph(spots, k_within=12, radius_pitches=options.radius_pitches, max_gap=4)
    weights = edge_weights(graph, sigma_pitches=1.0, within=options.within).toarray()
    degree, known = weights.sum(axis=1), spots.is_known
    unit = np.median(degree[degree > 0])
    system = np.diag(degree + 0.05 * unit + known * unit / 2.0) - weights
    mean, _ = mean_and_sd(spots)
    measured = np.where(known[:, None], spots.expression - mean, 0.0) * unit / 2.0
    np.testing.assert_allclose(
        Propagate(options).impute(spots).mean, mean + np.linalg.solve(system, measured), atol=1e-5
    )


def test_support_is_the_sum_of_overlaps():
    spots = stack(jitter=0.0, side=7, sections=2)
    spots.xyz_um[49:, :2] = spots.xyz_um[:49, :2]
    support, distance = support_and_distance(spots, np.arange(len(spots)))
    middle = 24
    overlaps = [1.0, *[0.2430] * 4, *[0.0999] * 4]
    assert support[49 + middle] == pytest.approx(sum(overlaps), abs=2e-3)
    # a spot does not count for itself
    assert support[middle] == pytest.approx(sum(overlaps[1:]), abs=2e-3)
    assert distance[49 + middle] == 0
    assert distance[middle] == pytest.approx(PITCH)
    far = replace(spots, is_placed=spots.section == 0)
    assert support_and_distance(far, np.array([60]))[0] == 0
    assert support_and_distance(spots.hide(spots.is_known), np.array([0]))[1] == np.inf


def test_neighbours_are_the_nearest_of_each_known_section():
    spots = stack(is_known=np.repeat([True, False, True], 36), expression=np.zeros((108, 2), np.float32))
    near = known_neighbours(spots, np.array([40, 3]), 4)
    assert near.rows.shape == (2, 8)
    plane = spots.xyz_um[:, :2]
    for row, found in zip((40, 3), near.rows, strict=True):
        for section, part in ((0, found[:4]), (2, found[4:])):
            rows = np.flatnonzero((spots.section == section) & (np.arange(108) != row))
            expected = rows[np.argsort(np.linalg.norm(plane[rows] - plane[row], axis=1))[:4]]
            assert set(part) == set(expected)


def test_nothing_known_is_refused_with_advice():
    with pytest.raises(InputError, match="known=, or give training stacks"):
        mean_and_sd(stack().hide(np.ones(108, dtype=bool)))
