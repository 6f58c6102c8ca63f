"""What is hidden when an imputer is tried out."""

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from tests.spatial.spot_stacks import PITCH, stack

from insignia.core.errors import InputError
from insignia.spatial.blocks import block_masks, section_masks


def test_each_known_spot_is_hidden_once_and_no_other():
    spots = stack(side=12)
    hidden = np.sum(block_masks(spots), axis=0)
    np.testing.assert_array_equal(hidden, spots.is_known)


def test_blocks_are_squares_that_do_not_touch_others_of_their_fold():
    spots = stack(side=15, sections=1, jitter=0.0)
    for mask in block_masks(spots, side_pitches=3.0):
        tree = cKDTree(spots.xyz_um[mask, :2])
        touching = tree.sparse_distance_matrix(tree, 1.5 * PITCH)
        _, piece = connected_components(touching)
        assert set(np.bincount(piece)) == {9}
    single = block_masks(spots, side_pitches=1.0)
    assert all(
        cKDTree(spots.xyz_um[m, :2]).query(spots.xyz_um[m, :2], k=2)[0][:, 1].min() > PITCH * 1.4 for m in single
    )


def test_neighbouring_sections_hide_a_place_in_different_folds():
    spots = stack(side=9, sections=2, jitter=0.0, is_known=np.ones(162, dtype=bool))
    spots.xyz_um[81:, :2] = spots.xyz_um[:81, :2]
    for mask in block_masks(spots):
        assert not (mask[:81] & mask[81:]).any()


def test_the_order_of_the_rows_does_not_matter():
    spots = stack(side=8)
    order = np.random.default_rng(0).permutation(len(spots))
    for mask, same in zip(block_masks(spots), block_masks(spots.take(order)), strict=True):
        np.testing.assert_array_equal(mask[order], same)


def test_one_known_spot_cannot_be_hidden():
    spots = stack()
    assert block_masks(spots.take(np.arange(1))) == []
    assert section_masks(spots) == []


def test_sections_are_hidden_whole():
    spots = stack()
    spots.is_known[spots.section == 2] = True
    masks = section_masks(spots)
    assert [set(spots.section[mask]) for mask in masks] == [{0}, {2}]


def test_options_out_of_range_are_refused():
    with pytest.raises(InputError, match="at least 2 folds"):
        block_masks(stack(), n_folds=1)
