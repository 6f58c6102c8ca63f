"""Simulated sections are as hard as the prototype of the specification: images predict A, neighbours predict B."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from insignia.data import SerialOptions, simulate_sections


def logged(counts):
    """Log shares of counts plus one."""
    return np.log((counts + 1) / (counts + 1).sum(axis=1, keepdims=True))


def patch_features(section):
    """Mean and spread of absorption and texture around each spot, at two scales, standardised."""
    absorbed = -np.log((section.image.pixels.astype(np.float32) + 1) / 244)
    grey = absorbed.sum(axis=2)
    fine = np.abs(grey - ndimage.gaussian_filter(grey, 1))
    layers = [
        *np.moveaxis(absorbed, 2, 0),
        fine,
        (grey < 0.3).astype(np.float32),
        np.maximum(absorbed[..., 0] - 0.5, 0),
    ]
    x, y = np.floor(section.points_um / section.image.um_per_px).astype(int).T
    columns = []
    for size_um in (110, 260):
        size = round(size_um / section.image.um_per_px)
        for layer in layers:
            mean = ndimage.uniform_filter(layer, size)
            square = ndimage.uniform_filter(layer**2, size)
            columns += [mean[y, x], np.sqrt(np.maximum(square - mean**2, 0))[y, x]]
    features = np.column_stack(columns)
    return np.clip((features - features.mean(axis=0)) / features.std(axis=0), -4, 4)


def kernel(truth, expression, known, target):
    """Gaussian mean, one pitch wide, of the nearest known spots at their true places."""
    distance, near = cKDTree(truth[known].common_um).query(truth[target].common_um, k=19)
    weight = np.exp(-0.5 * (distance / 100) ** 2)
    return np.einsum("nk,nkg->ng", weight / weight.sum(axis=1, keepdims=True), expression[near])


def ridge(known, target, expression):
    features, mean = patch_features(known), expression.mean(axis=0)
    gram = features.T @ features + 100 * np.eye(features.shape[1])
    return mean + patch_features(target) @ np.linalg.solve(gram, features.T @ (expression - mean))


def per_gene(predicted, measured):
    a, b = predicted - predicted.mean(axis=0), measured - measured.mean(axis=0)
    return (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))


@pytest.fixture(scope="module")
def scores():
    """Correlation per gene group by method, of the sections next to and four away from the known one; three seeds."""
    found = {}
    for seed in range(3):
        made = simulate_sections(SerialOptions(), rng=seed)
        stack, truth = made.stack, made.truth
        known = logged(stack["s1"].spots.X.toarray())
        permuted = np.random.default_rng(seed).permutation(known)
        for target in ("s2", "s5"):
            predictions = {
                "kernel": kernel(truth, known, "s1", target),
                "permuted": kernel(truth, permuted, "s1", target),
                "ridge": ridge(stack["s1"], stack[target], known),
                "oracle": np.log(truth[target].rates),
            }
            measured = logged(stack[target].spots.X.toarray())
            for method, predicted in predictions.items():
                correlation = per_gene(predicted, measured)
                groups = [correlation[truth.in_group(group)].mean() for group in "ABCD"]
                found.setdefault((method, target), []).append(groups)
    return {place: dict(zip("ABCD", np.mean(rows, axis=0), strict=True)) for place, rows in found.items()}


def test_neighbours_predict_what_the_image_does_not_show(scores):
    near, far = scores["kernel", "s2"], scores["kernel", "s5"]
    assert 0.55 < near["B"] < 0.75
    assert 0.4 < far["B"] < near["B"] - 0.05
    assert 0.35 < near["A"] < 0.55
    assert far["A"] < 0.25
    assert scores["ridge", "s5"]["B"] < 0.2


def test_the_image_predicts_tissue_at_any_distance(scores):
    near, far = scores["ridge", "s2"], scores["ridge", "s5"]
    assert 0.35 < near["A"] < 0.55
    assert far["A"] > near["A"] - 0.06
    assert far["A"] > scores["kernel", "s5"]["A"] + 0.15


def test_nothing_predicts_controls_and_shuffled_spots_predict_nothing(scores):
    for target in ("s2", "s5"):
        assert abs(scores["kernel", target]["D"]) < 0.15
        assert abs(scores["ridge", target]["D"]) < 0.08
        assert max(map(abs, scores["permuted", target].values())) < 0.08
        oracle = scores["oracle", target]
        assert 0.5 < oracle["A"] < 0.65
        assert 0.62 < oracle["B"] < 0.78
        assert oracle["D"] < 0.3
