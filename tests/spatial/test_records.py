"""Transforms, sections and stacks."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from insignia.core.errors import InputError, MissingMetadata
from insignia.data import Pose, Section, SectionStack, Transform


def section(name="s1", z_um=0.0, **options):
    spots = AnnData(np.ones((3, 2)), obs=pd.DataFrame(index=list("abc")))
    spots.obsm["spatial"] = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    return Section(name, z_um, spots, **options)


def test_a_transform_and_its_inverse_undo_each_other():
    points = np.random.default_rng(0).uniform(-500, 500, (20, 2))
    turn = Transform.rigid(33, np.array([5.0, -7.0]), about_um=np.array([100.0, 50.0]))
    np.testing.assert_allclose(turn.inverse().apply(turn.apply(points)), points, atol=1e-9)


def test_then_applies_the_first_first():
    points = np.random.default_rng(0).uniform(-500, 500, (20, 2))
    first, second = Transform.rigid(90, np.array([10.0, 0.0])), Transform(np.array([[2.0, 0, 1], [0, 3.0, 2]]))
    np.testing.assert_allclose(first.then(second).apply(points), second.apply(first.apply(points)))


def test_a_positive_angle_turns_from_x_towards_y():
    np.testing.assert_allclose(Transform.rigid(90, np.zeros(2)).apply(np.array([[1.0, 0.0]])), [[0.0, 1.0]], atol=1e-12)


def test_a_flat_transform_has_no_inverse():
    with pytest.raises(InputError, match="flattens the plane"):
        Transform(np.zeros((2, 3))).inverse()


def test_a_stack_orders_sections_by_depth_and_finds_them_by_name():
    stack = SectionStack("donor", (section("b", 20.0), section("a", 10.0)), pitch_um=100.0)
    assert stack.names == ("a", "b")
    assert stack["b"].z_um == 20.0
    with pytest.raises(InputError, match="There is no section 'c'; there are a, b"):
        stack["c"]


def test_common_positions_need_a_pose():
    with pytest.raises(InputError, match="Register the stack first"):
        _ = section().common_um
    placed = section(z_um=12.0, pose=Pose(Transform.rigid(90, np.zeros(2)), "given"))
    np.testing.assert_allclose(placed.common_um[1], [0, 100, 12], atol=1e-9)


def test_a_section_needs_positions():
    with pytest.raises(MissingMetadata, match="positions in micrometres"):
        Section("s", 0.0, AnnData(np.ones((2, 2))))
