"""Torn and incomplete tissue: what is missing does not pull, and pieces go back to where they were."""

from dataclasses import replace

import numpy as np
import pytest
from tests.spatial.pictured_stacks import section

from insignia.core.errors import InputError
from insignia.data.transform import Transform
from insignia.data.warp import warp
from insignia.spatial.registration.draw import drawn_in
from insignia.spatial.registration.pieces import mend, pieces_of
from insignia.spatial.registration.quality import agreement, agreement_of_pieces
from insignia.spatial.registration.refine import RefineOptions, Refiner
from insignia.spatial.registration.views import View, view_of

UM = 16.0
SHAPE = (180, 200)
OPTIONS = RefineOptions(outline_weight=6.0, reach_px=6.25, parallel=0.9, iterations=20)
TEAR = Transform.rigid(3.0, np.array([130.0, 20.0]), about_um=np.array([1700.0, 1400.0]))


def tissue():
    """An irregular section with a smooth stain, as (mask, stain)."""
    from scipy.ndimage import gaussian_filter

    y, x = np.indices(SHAPE) - np.array([90.0, 95.0])[:, None, None]
    angle = np.arctan2(y, x)
    mask = np.hypot(x, y) < 60 * (1 + 0.1 * np.cos(2 * angle - 1) + 0.08 * np.sin(3 * angle))
    stain = gaussian_filter(np.random.default_rng(0).standard_normal(SHAPE), 5)
    return mask, (stain / stain.std()).astype(np.float32)


def level(mask, stain):
    return View("x", UM, (0.0, 0.0), mask, stain).level(UM, 2 * UM)


def torn():
    """The same section, its right third moved away."""
    mask, stain = tissue()
    right = np.broadcast_to(np.arange(SHAPE[1]) > 110, SHAPE) & mask
    moved = warp(right, UM, TEAR, shape=SHAPE)
    picture = np.where(moved, warp(stain, UM, TEAR, shape=SHAPE), stain)
    return level((mask & ~right) | moved, picture), level(mask, stain)


def points_of(mask):
    rows, columns = np.nonzero(mask)
    return (np.column_stack([columns, rows])[::37] + 0.5) * UM


def off_um(transform, points, truth):
    return np.median(np.linalg.norm(transform.apply(points) - truth, axis=1))


def test_pieces_of_a_torn_section_go_back_to_where_they_were():
    moving, fixed = torn()
    main, side = pieces_of(moving)
    assert main.mask.sum() > side.mask.sum()
    stays, goes = points_of(main.mask), points_of(side.mask)
    whole = Refiner.make(moving, fixed, OPTIONS).refine(Transform.identity())
    found = mend(moving, fixed, whole, OPTIONS)
    closed = Transform(np.eye(2, 3), (found.bend,)).then(found.transform)
    for points, truth in ((stays, stays), (goes, TEAR.inverse().apply(goes))):
        assert off_um(closed, points, truth) < 30
        assert off_um(closed, points, truth) < 0.75 * off_um(whole, points, truth)
    assert found.bend.smallest_jacobian > 0.2
    assert off_um(closed.inverse(), closed.apply(goes), goes) < 0.1
    assert found.agreement.score > agreement(moving, fixed, whole).score + 0.05
    assert agreement(moving, fixed, closed).iou > agreement(moving, fixed, whole).iou


def test_a_section_in_one_piece_has_nothing_to_mend():
    mask, stain = tissue()
    mask[5:12, 5:12] = True  # a crumb
    one = level(mask, stain)
    assert len(pieces_of(one)) == 1
    assert mend(one, one, Transform.identity(), OPTIONS) is None


def test_a_missing_corner_does_not_pull():
    mask, stain = tissue()
    y, x = np.indices(SHAPE) - np.array([90.0, 95.0])[:, None, None]
    cut = level(mask & (x + y < 35), stain)
    errors = {}
    for parallel in (None, 0.9):
        refiner = Refiner.make(cut, level(mask, stain), replace(OPTIONS, parallel=parallel))
        points = points_of(cut.mask)
        errors[parallel] = off_um(refiner.refine(Transform.identity()), points, points)
    assert errors[0.9] < 12
    assert errors[0.9] < 0.5 * errors[None]


def test_a_piece_is_turned_and_shifted_but_not_stretched():
    mask, stain = tissue()
    grown = Transform(np.array([[1.04, 0.0, -60.0], [0.0, 1.04, -60.0]]))
    fixed = level(warp(mask, UM, grown, shape=SHAPE), warp(stain, UM, grown, shape=SHAPE))
    free, held = (
        Refiner.make(level(mask, stain), fixed, replace(OPTIONS, motion=motion)).refine(Transform.identity())
        for motion in (None, (100.0, 3.0))
    )
    assert free.scales == pytest.approx((1.04, 1.04), abs=0.01)
    assert held.scales == pytest.approx((1.0, 1.0), abs=1e-3)


def test_agreement_of_pieces_is_that_of_the_whole_where_all_move_alike():
    mask, stain = tissue()
    moving, fixed = level(mask, stain), level(mask, stain)
    turn = Transform.rigid(5.0, np.array([30.0, -20.0]))
    halves = [moving.only(half) for half in (np.indices(SHAPE)[1] < 100, np.indices(SHAPE)[1] >= 100)]
    parts, whole = agreement_of_pieces([(half, turn) for half in halves], fixed), agreement(moving, fixed, turn)
    assert parts.iou == pytest.approx(whole.iou, abs=0.02)
    assert parts.ncc == pytest.approx(whole.ncc, abs=0.02)


def test_overlap_is_that_of_the_masks_and_counts_what_leaves_the_picture():
    mask, stain = tissue()
    here = level(mask, stain)
    shifted = Transform.rigid(0.0, np.array([480.0, 0.0]))
    moved = drawn_in(mask, UM, (0.0, 0.0), shifted, shape=SHAPE, to_um=UM, to_origin_um=(0.0, 0.0))
    assert agreement(here, here, shifted).iou == pytest.approx((moved & mask).sum() / (moved | mask).sum(), abs=1e-3)
    away = Transform.rigid(0.0, np.array([1600.0, 0.0]))
    wide = np.pad(mask, ((0, 0), (0, 200)))
    moved = drawn_in(mask, UM, (0.0, 0.0), away, shape=wide.shape, to_um=UM, to_origin_um=(0.0, 0.0))
    assert agreement(here, here, away).iou == pytest.approx((moved & wide).sum() / (moved | wide).sum(), abs=2e-3)


def test_a_spot_that_lies_beyond_anything_is_named():
    """It was drawn on a picture of that width, and OpenCV stopped with a traceback."""
    far = section(image=False)
    points = np.array(far.spots.obsm["spatial"])
    view_of(far, 100.0)
    points[3] = [9e9, 40.0]
    far.spots.obsm["spatial"] = points
    with pytest.raises(InputError, match=r"the farthest is at \(9e\+09, 40\) um"):
        view_of(far, 100.0)
