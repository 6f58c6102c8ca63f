"""From a stack of sections to the table that imputers see."""

from dataclasses import replace

import numpy as np
import pytest
from tests.spatial.section_stacks import changed, section_stack

from insignia.core.errors import InputError
from insignia.data import Pose, SectionStack
from insignia.spatial.assemble import assemble, known_sections
from insignia.spatial.panel import choose_panel


@pytest.fixture
def stack():
    return section_stack(side=4)


@pytest.fixture
def panel(stack):
    return choose_panel([stack["s0"].spots], 6)


def test_positions_are_those_of_the_common_frame(stack, panel):
    spots = assemble(stack, panel, known=["s0"])
    np.testing.assert_allclose(spots.xyz_um[spots.section == 1], stack["s1"].common_um)
    assert spots.sections == ("s0", "s1", "s2")
    assert spots.names[16] == "s1:spot0"
    assert spots.pitch_um == stack.pitch_um


def test_only_known_sections_are_read(stack, panel):
    broken = stack["s1"].spots.copy()
    broken.X = np.full(broken.shape, -7.0)
    spots = assemble(changed(stack, "s1", spots=broken), panel, known=["s0"])
    assert np.isnan(spots.expression[spots.section > 0]).all()
    assert np.isfinite(spots.expression[spots.section == 0]).all()
    np.testing.assert_array_equal(spots.is_known, spots.section == 0)


def test_all_measured_sections_are_known_by_default(stack, panel):
    assert known_sections(stack) == ("s0", "s1", "s2")
    assert known_sections(stack, ["s2", "s0"]) == ("s0", "s2")
    assert known_sections(stack, "s1") == ("s1",)
    assert assemble(stack, panel).is_known.all()


def test_features_are_scaled_within_each_section_and_clipped(stack, panel):
    dyed = stack["s1"].spots.copy()
    dyed.obsm["X_handcrafted"] = 50 + 3 * dyed.obsm["X_handcrafted"]
    dyed.obsm["X_handcrafted"][0, 0] = 1e4
    dyed.obsm["X_handcrafted"][:, 1] = 8.0
    spots = assemble(changed(stack, "s1", spots=dyed), panel)
    here = spots.features[spots.section == 1]
    np.testing.assert_allclose(here[:, 2:].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(here[:, 2:].std(axis=0), 1, atol=1e-5)
    assert here[0, 0] <= 4
    assert (here[:, 1] == 0).all(), "a constant feature says nothing"
    before = assemble(stack, panel)
    np.testing.assert_array_equal(spots.features[spots.section == 0], before.features[spots.section == 0])


def test_sections_without_an_image_have_nan_and_a_stack_without_any_has_no_features(stack, panel):
    bare = stack["s1"].spots.copy()
    del bare.obsm["X_handcrafted"]
    spots = assemble(changed(stack, "s1", spots=bare), panel)
    assert np.isnan(spots.features[spots.section == 1]).all()
    assert assemble(stack, panel, features="uni").features is None
    assert assemble(stack, panel, features=None).features is None


def test_one_section_needs_no_pose_and_several_do(stack, panel):
    alone = replace(stack["s0"], pose=None)
    spots = assemble(SectionStack("d", (alone,), 100.0), panel)
    np.testing.assert_allclose(spots.xyz_um[:, :2], alone.points_um)
    with pytest.raises(InputError, match="Register the stack first"):
        assemble(changed(stack, "s1", pose=None), panel)


def test_a_failed_section_is_not_placed(stack, panel):
    spots = assemble(changed(stack, "s2", pose=Pose(stack["s2"].pose.transform, "failed")), panel)
    np.testing.assert_array_equal(spots.is_placed, spots.section != 2)


def test_refusals(stack, panel):
    unmeasured = changed(stack, "s1", spots=stack["s1"].spots[:, :0].copy())
    with pytest.raises(InputError, match=r"'s1' cannot be known.*Measured: s0, s2"):
        known_sections(unmeasured, ["s1"])
    twice = stack["s1"].spots.copy()
    twice.obs_names = ["a"] * twice.n_obs
    with pytest.raises(InputError, match=r"names of their own; repeated: \['a'"):
        assemble(changed(stack, "s1", spots=twice), panel, known=["s0"])
    short = stack["s1"].spots.copy()
    short.obsm["X_handcrafted"] = short.obsm["X_handcrafted"][:, :2]
    with pytest.raises(InputError, match=r"different lengths: \[2, 5\]"):
        assemble(changed(stack, "s1", spots=short), panel)
