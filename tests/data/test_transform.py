"""Transforms carry points and pictures alike, come back, chain, and speak with other tools."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from insignia.core.errors import InputError
from insignia.data.bend import Bend
from insignia.data.transform import Transform
from insignia.data.warp import warp

UM_PER_PX = 4.0
POINTS = np.random.default_rng(0).uniform(0, 2000, (200, 2))


def bend(seed=0, size=25.0):
    """A smooth displacement of a few pixels over a grid of 100 um."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((24, 24, 2)), (3, 3, 0))
    return Bend(size * noise / noise.std(), (-100.0, -150.0), 100.0)


def bent(seed=0, degrees=30.0):
    return Transform(Transform.rigid(degrees, np.array([50.0, -20.0])).matrix, (bend(seed),))


def matrices():
    return arrays(np.float64, (2, 2), elements=st.floats(-0.4, 0.4)).map(
        lambda linear: Transform(np.column_stack([np.eye(2) + linear, [120.0, -30.0]]))
    )


@settings(max_examples=30)
@given(matrices())
def test_there_and_back_is_where_one_was(transform):
    back = transform.then(transform.inverse()).apply(POINTS)
    assert np.abs(back - POINTS).max() < 0.01 * UM_PER_PX


@settings(max_examples=30)
@given(matrices(), matrices())
def test_a_chain_is_one_after_the_other(first, second):
    assert first.then(second).apply(POINTS) == pytest.approx(second.apply(first.apply(POINTS)), abs=1e-6)


def test_bends_come_back_and_chain():
    first, second = bent(0), bent(1, -100.0)
    assert np.abs(first.apply(POINTS) - Transform(first.matrix).apply(POINTS)).max() > 20
    assert np.abs(first.inverse().apply(first.apply(POINTS)) - POINTS).max() < 0.01 * UM_PER_PX
    chain = first.then(second)
    assert chain.apply(POINTS) == pytest.approx(second.apply(first.apply(POINTS)), abs=1e-6)
    assert np.abs(chain.inverse().apply(chain.apply(POINTS)) - POINTS).max() < 0.01 * UM_PER_PX
    there = first.inverse().then(second).then(second.inverse()).then(first)
    assert np.abs(there.apply(POINTS) - POINTS).max() < 0.01 * UM_PER_PX


def test_steep_bends_come_back_too():
    """Where the displacement changes by more than the distance, repeated substitution runs away."""
    x, y = np.meshgrid(np.arange(24) * 100.0 - 1100.0, np.arange(24) * 100.0 - 1150.0)
    turn = 1.2 * np.exp(-(x**2 + y**2) / 2 / 700**2)
    displacement = np.stack([turn * y, -turn * x], axis=2)
    steep = Transform(np.eye(2, 3), (Bend(displacement, (-100.0, -150.0), 100.0),))
    assert steep.bends[0].smallest_jacobian > 0
    assert np.abs(steep.inverse().apply(steep.apply(POINTS)) - POINTS).max() < 0.01 * UM_PER_PX


def test_a_fold_has_no_way_back():
    steep = np.zeros((10, 10, 2))
    steep[..., 0] = -150.0 * np.arange(10)
    folded = Bend(steep, (0.0, 0.0), 100.0)
    assert folded.smallest_jacobian == pytest.approx(-0.5)
    with pytest.raises(InputError, match="the plane folds"):
        Transform(np.eye(2, 3), (folded,)).inverse()
    assert bend().smallest_jacobian > 0.3


def blobs(points_px, shape, sigma=3.0):
    y, x = np.indices(shape) + 0.5
    return np.float32(sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points_px))


@pytest.mark.parametrize(
    "transform", [Transform.rigid(25.0, np.array([300.0, -100.0])), bent()], ids=["affine", "bent"]
)
@pytest.mark.parametrize("to_um", [4.0, 2.5, 7.0])
def test_pictures_go_where_points_go(transform, to_um):
    pytest.importorskip("cv2")
    marks = np.array([[60.0, 80.0], [150.0, 60.0], [110.0, 170.0]])
    drawn = warp(
        blobs(marks, (220, 240)), UM_PER_PX, transform, shape=(700, 700), to_um_per_px=to_um, origin_um=(-300.0, -200.0)
    )
    for mark in transform.apply(marks * UM_PER_PX):
        expected = (mark - (-300.0, -200.0)) / to_um
        corner = np.floor(expected).astype(int) - 12
        window = drawn[corner[1] : corner[1] + 25, corner[0] : corner[0] + 25]
        y, x = np.indices(window.shape) + 0.5
        centre = corner + np.array([(window * x).sum(), (window * y).sum()]) / window.sum()
        assert np.linalg.norm(centre - expected) < 0.5 * min(1.0, UM_PER_PX / to_um)


def test_golden_x_is_right_and_y_is_down():
    pytest.importorskip("cv2")
    picture = np.zeros((4, 6), dtype=np.uint8)
    picture[1, 4] = 200  # row 1, column 4: centre at x = 45 um, y = 15 um
    quarter = Transform(np.array([[0.0, -1.0, 40.0], [1.0, 0.0, 0.0]]))  # from x towards y
    assert quarter.apply(np.array([[45.0, 15.0]])) == pytest.approx(np.array([[25.0, 45.0]]))
    assert quarter.degrees == pytest.approx(90.0)
    drawn = warp(picture, 10.0, quarter, shape=(6, 4), nearest=True)
    assert np.argwhere(drawn).tolist() == [[4, 2]]
    assert np.array_equal(drawn, np.rot90(picture, -1))


def test_masks_stay_masks_and_colours_are_filled():
    pytest.importorskip("cv2")
    shifted = Transform.rigid(0.0, np.array([2.0, 0.0]))
    mask = warp(np.ones((4, 4), bool), 1.0, shifted, shape=(4, 6))
    assert mask.dtype == bool
    assert mask[:, 2:].all()
    assert not mask[:, :2].any()
    rgb = warp(np.full((4, 4, 3), 9, np.uint8), 1.0, shifted, shape=(4, 6), fill=255)
    assert rgb[0, 0].tolist() == [255, 255, 255]
    assert rgb[0, 3].tolist() == [9, 9, 9]


def test_a_coarse_drawing_averages():
    pytest.importorskip("cv2")
    stripes = np.tile(np.uint8([[0, 200]]), (64, 32))
    drawn = warp(stripes, 1.0, Transform.identity(), shape=(8, 8), to_um_per_px=8.0)
    assert np.all(np.abs(drawn.astype(int) - 100) <= 1)


@settings(max_examples=30)
@given(matrices(), arrays(np.float64, 2, elements=st.floats(-500, 500)))
def test_matrices_and_itk_parameters_there_and_back(transform, centre):
    assert Transform.from_homogeneous(transform.homogeneous).matrix == pytest.approx(transform.matrix)
    parameters, fixed = transform.to_itk(centre)
    assert Transform.from_itk(parameters, fixed).matrix == pytest.approx(transform.matrix, abs=1e-6)
    linear, shift = parameters[:4].reshape(2, 2), parameters[4:]
    assert transform.apply(POINTS) == pytest.approx((POINTS - centre) @ linear.T + shift + centre, abs=1e-6)


def test_what_a_transform_does_can_be_asked():
    turn = Transform.rigid(-40.0, np.zeros(2)).then(Transform(np.array([[1.1, 0.0, 3.0], [0.0, 0.9, 1.0]])))
    assert turn.scales == pytest.approx((1.1, 0.9))
    assert turn.degrees == pytest.approx(-40.0, abs=3)
    assert not turn.is_mirrored
    assert Transform(np.array([[-1.0, 0.0, 3.0], [0.0, 1.0, 1.0]])).is_mirrored


def test_refusals():
    with pytest.raises(InputError, match="2 x 3"):
        Transform(np.eye(3))
    with pytest.raises(InputError, match="last row is 0 0 1"):
        Transform.from_homogeneous(np.array([[1, 0, 0], [0, 1, 0], [0.1, 0, 1]]))
    with pytest.raises(InputError, match=r"6 \+ 2 numbers"):
        Transform.from_itk([1, 0, 0, 1])
    with pytest.raises(InputError, match="flattens"):
        Transform(np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])).inverse()
    with pytest.raises(InputError, match="rows, columns, 2"):
        Bend(np.zeros((3, 3)), (0.0, 0.0), 1.0)
    with pytest.raises(InputError, match="spacing_um"):
        Bend(np.zeros((3, 3, 2)), (0.0, 0.0), 0.0)
