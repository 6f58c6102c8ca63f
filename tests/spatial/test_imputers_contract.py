"""What every registered imputer must do; a new one is tested the moment it is registered."""

from dataclasses import replace

import numpy as np
import pytest
from tests.spatial.section_stacks import section_stack

import insignia.spatial.imputers  # noqa: F401 - registers them
from insignia.core.errors import InputError
from insignia.data import SectionStack
from insignia.spatial.assemble import assemble
from insignia.spatial.contract import imputers
from insignia.spatial.panel import choose_panel


def make_spots(*, known=("s0",), features="handcrafted", genes=8, **options):
    stack = section_stack(side=7, **options)
    return assemble(stack, choose_panel([stack["s0"].spots], genes), known=known, features=features)


@pytest.fixture(params=sorted(imputers), scope="module")
def make(request):
    return imputers[request.param]


@pytest.fixture(scope="module")
def spots():
    return make_spots()


@pytest.fixture(scope="module")
def imputed(make, spots):
    return make().impute(spots, seed=3)


def test_shapes_types_and_finite_values(imputed, spots):
    for array in (imputed.mean, imputed.sd, *imputed.parts.values()):
        assert array.shape == (len(spots), len(spots.genes))
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
    assert (imputed.sd[~spots.is_known] > 0).all()


def test_the_input_is_not_changed(make, spots):
    before = (spots.expression.copy(), spots.features.copy(), spots.xyz_um.copy())
    make().impute(spots)
    for now, then in zip((spots.expression, spots.features, spots.xyz_um), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_equal_seeds_give_equal_bits(make, imputed, spots):
    again = make().impute(spots, seed=3)
    np.testing.assert_array_equal(again.mean, imputed.mean)
    np.testing.assert_array_equal(again.sd, imputed.sd)


def test_the_order_of_the_rows_does_not_matter(make, imputed, spots):
    order = np.random.default_rng(1).permutation(len(spots))
    shuffled = make().impute(spots.take(order), seed=3)
    np.testing.assert_allclose(shuffled.mean, imputed.mean[order], atol=1e-5)
    np.testing.assert_allclose(shuffled.sd, imputed.sd[order], atol=1e-4)


def test_nothing_is_read_from_spots_that_are_not_known(make, imputed, spots):
    poisoned = spots.expression.copy()
    poisoned[~spots.is_known] = np.random.default_rng(0).normal(50, 20, poisoned[~spots.is_known].shape)
    leaked = make().impute(replace(spots, expression=poisoned), seed=3)
    np.testing.assert_array_equal(leaked.mean, imputed.mean)
    np.testing.assert_array_equal(leaked.sd, imputed.sd)


def test_isolated_spots_and_sections_that_are_not_placed_get_finite_values(make, spots):
    far = spots.xyz_um.copy()
    far[-1, :2] += 1e6
    is_placed = spots.is_placed & (spots.section != 1)
    alone = make().impute(replace(spots, xyz_um=far, is_placed=is_placed))
    assert np.isfinite(alone.mean).all()
    assert np.isfinite(alone.sd).all()


def test_one_known_spot_is_enough(make, spots):
    first = np.flatnonzero(spots.is_known)[0]
    hidden = spots.is_known & (np.arange(len(spots)) != first)
    few = make().impute(spots.hide(hidden))
    assert np.isfinite(few.mean).all()
    assert np.isfinite(few.sd).all()
    np.testing.assert_allclose(few.mean, np.tile(spots.expression[first], (len(spots), 1)), atol=1.5)


def test_it_lies_nearer_the_truth_than_a_shuffled_one(make):
    """Planted truth: half of the genes follow the features, half are smooth in space."""
    stack = section_stack(side=9, noise=0.2)
    panel = choose_panel([stack["s0"].spots], 12)
    truth, spots = assemble(stack, panel), assemble(stack, panel, known=["s0"])
    guess = make().impute(spots).mean
    asked = ~spots.is_known
    shuffled = np.random.default_rng(0).permutation(np.flatnonzero(asked))
    error = ((guess[asked] - truth.expression[asked]) ** 2).mean()
    if imputers["mean"] is make:
        return
    assert error < 0.8 * ((guess[shuffled] - truth.expression[asked]) ** 2).mean()


def test_without_known_spots_training_stacks_are_used_or_it_says_why_not(make):
    target = make_spots(known=())
    with pytest.raises(InputError, match=r"known|learns from"):
        make().impute(target)
    donors = [make_spots(known=("s0", "s1", "s2"), seed=seed, genes=target.genes) for seed in (1, 2)]
    learnt = make().impute(target, training=donors)
    assert np.isfinite(learnt.mean).all()


def test_without_features_it_works_or_refuses(make):
    bare = make_spots(features=None)
    if make().needs_features:
        with pytest.raises(InputError, match="features"):
            make().impute(bare)
    else:
        assert np.isfinite(make().impute(bare).mean).all()


def test_a_section_without_features_gets_finite_values(make, spots):
    partly = spots.features.copy()
    partly[spots.section == 2] = np.nan
    assert np.isfinite(make().impute(replace(spots, features=partly)).mean).all()


def test_tuned_gives_what_it_would_choose_itself(make, imputed, spots):
    tuned = make().tuned(spots, seed=3)
    np.testing.assert_allclose(tuned.impute(spots, seed=3).mean, imputed.mean, atol=1e-5)


def test_one_section_alone_is_a_stack():
    stack = SectionStack("d", (section_stack(side=4)["s0"],), 100.0)
    assert len(assemble(stack, choose_panel([stack["s0"].spots], 4))) == 16
