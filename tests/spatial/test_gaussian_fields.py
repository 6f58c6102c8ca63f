"""Programs, covariances, and the Gaussian fields that join them: against scikit-learn, scipy and dense algebra."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, Matern
from tests.spatial.spot_stacks import PITCH, stack

from insignia.spatial.covariance import IMAGE_SHAPES, SPACE_SHAPES, ImageCovariance, Shape, SpaceCovariance
from insignia.spatial.fading import Fading
from insignia.spatial.gaussian_fields import WEIGHTS, Mixture, choose_mixture, predict_mixture, tiles
from insignia.spatial.programs import Programs

LASTING = Fading(0.0, 0.0, 1.0, "given")


def test_programs_hold_the_variance_that_they_say():
    values = np.random.default_rng(0).normal(size=(40, 10)) @ np.random.default_rng(1).normal(size=(10, 10))
    programs = Programs.of(values, 4)
    np.testing.assert_allclose(programs.loadings.T @ programs.loadings, np.eye(4), atol=1e-12)
    held = programs.gene_variance(programs.scores(values).var(axis=0)[None])
    np.testing.assert_allclose(held[0] + programs.rest, values.var(axis=0))
    whole = Programs.of(values, 99)
    np.testing.assert_allclose(whole.mean + whole.genes(whole.scores(values)), values, atol=1e-9)
    np.testing.assert_allclose(whole.rest, 0, atol=1e-9)


def test_programs_find_what_genes_do_together():
    rng = np.random.default_rng(0)
    together = np.outer(rng.normal(size=200), np.repeat([1.0, 0.0], 10))
    programs = Programs.of(together + 0.3 * rng.normal(size=together.shape), 3)
    assert abs(programs.loadings[:10, 0].mean()) > 0.3
    assert np.abs(programs.loadings[10:, 0]).max() < 0.1


@pytest.mark.parametrize("shape", [*IMAGE_SHAPES, *SPACE_SHAPES], ids=lambda shape: f"{shape.name}-{shape.length}")
def test_covariances_are_symmetric_positive_and_have_their_diagonal(shape):
    spots, rows = stack(side=5), np.arange(75)
    made = [ImageCovariance(spots, shape)] if shape in IMAGE_SHAPES else []
    if shape in SPACE_SHAPES:
        made.append(SpaceCovariance(spots, shape, Fading(0.3, 0.2, 20.0, "given")))
    for one in made:
        matrix = one(rows, rows)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
        assert np.linalg.eigvalsh(matrix).min() > -1e-9
        np.testing.assert_allclose(np.diag(matrix), one.variance(rows))
        np.testing.assert_allclose(one(rows[:3], rows[5:9]), matrix[:3, 5:9])


def test_covariances_are_their_formulas():
    spots = stack(side=4, sections=1)
    plane, features = spots.xyz_um[:, :2] / PITCH, spots.features.astype(np.float64)
    rows = np.arange(16)
    reference = {"matern32": Matern(2.0, nu=1.5), "exponential": Matern(2.0, nu=0.5), "gaussian": RBF(2.0)}
    for name, kernel in reference.items():
        np.testing.assert_allclose(SpaceCovariance(spots, Shape(name, 2.0), LASTING)(rows, rows), kernel(plane))
    np.testing.assert_allclose(ImageCovariance(spots, Shape("linear"))(rows, rows), features @ features.T / 4)
    scaled = RBF(0.7 * np.sqrt(4))(features)
    np.testing.assert_allclose(ImageCovariance(spots, Shape("gaussian", 0.7))(rows, rows), scaled)


def test_what_cannot_be_matched_does_not_vary_together():
    spots = stack(side=4)
    spots.features[3] = np.nan
    spots.is_placed[spots.section == 2] = False
    rows = np.arange(48)
    image = ImageCovariance(spots, Shape("gaussian"))(rows, rows)
    assert (image[3] == 0).all()
    assert ImageCovariance(spots, Shape("linear")).variance(rows)[3] == 0
    place = SpaceCovariance(spots, Shape("matern32", 2.0), LASTING)(rows, rows)
    assert (place[32:, :32] == 0).all()
    assert (place[32:, 32:] > 0).all()
    faded = SpaceCovariance(spots, Shape("matern32", 2.0), Fading(0.1, 0.5, 20.0, "given"))(rows, rows)
    np.testing.assert_allclose(faded[:16, 16:32], place[:16, 16:32] * np.exp(-0.6))
    np.testing.assert_allclose(faded[:16, :16], place[:16, :16])


def test_prediction_agrees_with_scikit_learn():
    spots = stack(side=6)
    known, asked = np.flatnonzero(spots.is_known), np.flatnonzero(~spots.is_known)
    scores, plane = np.random.default_rng(0).normal(size=(len(known), 2)), spots.xyz_um[:, :2] / PITCH
    one = SpaceCovariance(spots, Shape("gaussian", 1.5), LASTING)
    mixture = Mixture((0,), np.array([[3.0], [0.3]]), np.array([0.7, 2.0]))
    got = predict_mixture([one], mixture, known, scores, asked)
    for program, (weight, noise) in enumerate(zip(mixture.weights[:, 0], mixture.noise, strict=True)):
        kernel = noise * weight * RBF(1.5, length_scale_bounds="fixed")
        reference = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(plane[known], scores[:, program])
        mean, sd = reference.predict(plane[asked], return_std=True)
        np.testing.assert_allclose(got.parts[0, :, program], mean, atol=1e-8)
        np.testing.assert_allclose(got.variance[:, program], sd**2, atol=1e-8)


def test_parts_add_up_and_a_program_of_noise_stays_at_nothing():
    spots = stack(side=6)
    known, asked = np.flatnonzero(spots.is_known), np.flatnonzero(~spots.is_known)
    scores = np.random.default_rng(0).normal(size=(len(known), 3))
    both = [SpaceCovariance(spots, Shape("matern32", 2.0), LASTING), ImageCovariance(spots, Shape("linear"))]
    mixture = Mixture((0, 0), np.array([[1.0, 0.3], [0.0, 0.0], [0.3, 0.0]]), np.ones(3))
    got = predict_mixture(both, mixture, known, scores, asked)
    total = both[0](known, known) + 0.3 * both[1](known, known) + np.eye(len(known))
    across = both[0](asked, known) + 0.3 * both[1](asked, known)
    np.testing.assert_allclose(got.parts.sum(axis=0)[:, 0], across @ np.linalg.solve(total, scores[:, 0]), atol=1e-8)
    assert (got.parts[:, :, 1] == 0).all()
    assert (got.variance[:, 1] == 0).all()
    assert (got.parts[1, :, 2] == 0).all()


def test_the_choice_is_that_of_the_likelihood():
    spots = stack(side=6, sections=1)
    rows = np.arange(36)
    shapes = [Shape("matern32", 1.0), Shape("matern32", 4.0)]
    candidates = [[SpaceCovariance(spots, shape, LASTING) for shape in shapes]]
    truth = 3.0 * candidates[0][1](rows, rows) + np.eye(36)
    scores = np.random.default_rng(0).multivariate_normal(np.zeros(36), truth, size=4).T
    found = choose_mixture(candidates, [(rows, scores)])
    best = {}
    for choice in (0, 1):
        for program in range(4):
            for weight in WEIGHTS:
                shape = weight * candidates[0][choice](rows, rows) + np.eye(36)
                noise = scores[:, program] @ np.linalg.solve(shape, scores[:, program]) / 36
                log = multivariate_normal.logpdf(scores[:, program], np.zeros(36), noise * shape)
                best[choice, program] = max(best.get((choice, program), (-np.inf,)), (log, weight, noise))
    totals = [sum(best[choice, program][0] for program in range(4)) for choice in (0, 1)]
    assert found.choice == (int(np.argmax(totals)),)
    np.testing.assert_allclose(found.weights[:, 0], [best[found.choice[0], program][1] for program in range(4)])
    np.testing.assert_allclose(found.noise, [best[found.choice[0], program][2] for program in range(4)])


def test_the_source_that_made_a_program_is_found():
    spots = stack(side=12, sections=1, features=8)
    rows, rng = np.arange(144), np.random.default_rng(0)
    place = SpaceCovariance(spots, Shape("matern32", 2.0), LASTING)
    image = ImageCovariance(spots, Shape("linear"))
    made = [
        rng.multivariate_normal(np.zeros(144), 3 * one(rows, rows)) + rng.normal(size=144) for one in (place, image)
    ]
    scores = np.column_stack([*made, rng.normal(size=144)])
    weights = choose_mixture([[place], [image]], [(rows, scores)]).weights
    assert weights[0, 0] >= 1 > weights[0, 1]
    assert weights[1, 1] >= 1 > weights[1, 0]
    assert weights[2].max() <= 0.1


def test_tiles_share_out_all_spots_and_no_tile_is_too_large():
    points = np.random.default_rng(0).uniform(0, 1000, (500, 2))
    known = np.arange(0, 500, 3)
    cut = list(tiles(points, known, 20))
    np.testing.assert_array_equal(np.sort(np.concatenate([every for _, every in cut])), np.arange(500))
    np.testing.assert_array_equal(np.sort(np.concatenate([inside for inside, _ in cut])), known)
    assert max(len(inside) for inside, _ in cut) <= 20
    assert all(set(inside) <= set(every) for inside, every in cut)
    # spots at one place cannot be cut apart
    assert len(list(tiles(np.zeros((50, 2)), np.arange(50), 20))) == 1


def test_two_sections_predict_better_than_one():
    spots = stack(side=6)
    one, both = np.flatnonzero(spots.section == 0), np.flatnonzero(spots.section != 1)
    asked, field = np.flatnonzero(spots.section == 1), SpaceCovariance(spots, Shape("matern32", 2.0), LASTING)
    mixture = Mixture((0,), np.ones((1, 1)), np.ones(1))
    variance = [predict_mixture([field], mixture, k, np.zeros((len(k), 1)), asked).variance for k in (one, both)]
    assert (variance[1] < variance[0]).all()
    faded = replace(field, fading=Fading(0.5, 0.0, 1.0, "given"))
    assert (predict_mixture([faded], mixture, one, np.zeros((len(one), 1)), asked).variance > variance[0]).all()
