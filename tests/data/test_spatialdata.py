"""SpatialData in and out, with the real package where it is installed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

sd = pytest.importorskip("spatialdata", reason="spatialdata is not installed; see requirements/spatialdata.txt")
pytest.importorskip("cv2", reason="images need the extra 'spatial'")

from spatialdata.models import Image2DModel, ShapesModel, TableModel  # noqa: E402
from spatialdata.transformations import (  # noqa: E402
    Affine,
    Identity,
    get_transformation,
    get_transformation_between_coordinate_systems,
)
from tests.lookalikes import section_folders  # noqa: E402
from tests.lookalikes.section_folders import GENES, UM_PER_PX  # noqa: E402

from insignia.core.errors import FileFormatError, InputError  # noqa: E402
from insignia.data import (  # noqa: E402
    Pose,
    Transform,
    read_stack,
    read_stacks,
    to_spatialdata,
    write_spatialdata,
)

pytestmark = pytest.mark.filterwarnings("default")
"""The package and those it stands on warn about each other; that is not what is tested here."""


@pytest.fixture
def stack(tmp_path):
    """Three sections: with an image, registered without one, and virtual spots without genes."""
    section_folders.her2st(tmp_path / "her2st")
    stack = read_stack(tmp_path / "her2st", name="A")
    pose = Pose(Transform.rigid(30, np.array([50.0, -20.0])), "registered", "ecc", {"ncc": 0.25, "margin": np.nan})
    one = replace(stack["A1"], pose=Pose(Transform.rigid(-10, np.array([7.0, 3.0])), "given"))
    two = replace(stack["A2"], pose=pose)
    two.spots.obsm["X_handcrafted"] = np.random.default_rng(0).normal(size=(two.spots.n_obs, 3)).astype(np.float32)
    three = replace(stack["A4"], spots=stack["A4"].spots[:, :0].copy(), is_virtual=True)
    return stack.with_sections({"A1": one, "A2": two, "A4": three})


def same(stack, again):
    assert (again.name, again.names, again.pitch_um, again.notes) == (
        stack.name,
        stack.names,
        stack.pitch_um,
        stack.notes,
    )
    for one, two in zip(stack, again, strict=True):
        assert (two.z_um, two.is_virtual, two.is_measured) == (one.z_um, one.is_virtual, one.is_measured)
        assert list(two.spots.obs_names) == list(one.spots.obs_names)
        assert set(two.spots.obs) == set(one.spots.obs)
        np.testing.assert_array_equal(two.points_um, one.points_um)
        assert set(two.spots.obsm) == set(one.spots.obsm)
        assert abs(two.spots.X - one.spots.X).sum() == 0
        assert (two.image is None) == (one.image is None)
        if one.image is not None:
            assert two.image.um_per_px == one.image.um_per_px
            assert (two.image.pixels == one.image.pixels).all()
        assert (two.pose is None) == (one.pose is None)
        if one.pose is not None:
            assert (two.pose.transform.matrix == one.pose.transform.matrix).all()
            assert two.pose.status == one.pose.status
            np.testing.assert_equal(dict(two.pose.quality), dict(one.pose.quality))


def test_a_stack_comes_back_from_memory_and_from_a_store(stack, tmp_path):
    data = to_spatialdata(stack)
    same(stack, read_stack(data))
    write_spatialdata(stack, tmp_path / "stack.zarr")
    same(stack, read_stack(tmp_path / "stack.zarr"))
    assert read_stack(tmp_path / "stack.zarr", sections=["A2"]).names == ("A2",)
    with pytest.raises(InputError, match="There is something at"):
        write_spatialdata(stack, tmp_path / "stack.zarr")
    with pytest.raises(InputError, match=r"ends in \.zarr"):
        write_spatialdata(stack, tmp_path / "stack")
    with pytest.raises(InputError, match="leave out um_per_px"):
        read_stack(data, um_per_px=1.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["her2st", "stack.zarr"]


def test_the_common_system_is_the_pose(stack):
    data = to_spatialdata(stack)
    for name in ("A1", "A2"):
        moved = sd.get_centroids(data[f"{name}_spots"], coordinate_system="common").compute()[["x", "y"]].to_numpy()
        np.testing.assert_allclose(moved, stack[name].common_um[:, :2], atol=1e-6)
    # picture and spots go the same way: a corner of the picture, by pixels
    matrix = get_transformation(data["A1_image"], "A1").to_affine_matrix(("x", "y"), ("x", "y"))
    np.testing.assert_allclose(matrix, np.diag([stack["A1"].image.um_per_px] * 2 + [1.0]))
    corner = get_transformation(data["A1_image"], "common").to_affine_matrix(("x", "y"), ("x", "y")) @ [30, 50, 1]
    moved = stack["A1"].pose.transform.apply(np.array([[30, 50]]) * stack["A1"].image.um_per_px)
    np.testing.assert_allclose(corner[:2], moved[0])
    assert get_transformation_between_coordinate_systems(data, "A2", "common") is not None
    assert "common" not in get_transformation(data["A4_spots"], get_all=True)
    table = data.tables["A2_table"]
    np.testing.assert_allclose(table.obsm["spatial_common"], stack["A2"].common_um)


def test_a_coarser_picture_can_be_asked_for(stack):
    data = to_spatialdata(stack, um_per_px=8.0)
    again = read_stack(data)
    assert again["A1"].image.um_per_px == 8.0
    assert (again["A1"].image.pixels == stack["A1"].image.at(8.0)).all()


def test_names_that_become_the_same_are_refused(stack):
    twice = replace(
        stack,
        sections=(replace(stack["A1"], name="a b"), replace(stack["A2"], name="A.b"), replace(stack["A4"], name="a_B")),
    )
    with pytest.raises(InputError, match="Names of sections must differ"):
        to_spatialdata(twice)
    with pytest.raises(InputError, match="Names of sections must differ"):
        to_spatialdata(replace(stack, sections=(replace(stack["A1"], name="common"),)))


def affine(scale):
    """From pixels of a picture to a system in which full pixels are halves, shifted."""
    return Affine([[scale, 0, 10], [0, scale, 20], [0, 0, 1]], input_axes=("x", "y"), output_axes=("x", "y"))


def foreign(*, one_system=False, prefix=True, turn=None, seeds=(0, 1)):
    """Two Visium sections as other readers write them: full image and a smaller one, spots in pixels, one table."""
    images, shapes, rows, truths = {}, {}, [], {}
    for seed in seeds:
        name = f"v{seed}"
        truth = truths[name] = section_folders.visium_section(seed)
        system = "global" if one_system else name
        image = np.moveaxis(truth.picture, 2, 0)
        spots_to = {system: Identity() if turn is None else turn}
        picture = f"{name}_full" if prefix else f"picture{seed}"
        images[picture] = Image2DModel.parse(
            image, dims=("c", "y", "x"), scale_factors=[2], transformations={system: affine(0.5)}
        )
        images[f"{picture}_lowres"] = Image2DModel.parse(
            image[:, ::4, ::4], dims=("c", "y", "x"), transformations={system: affine(2.0)}
        )
        points = 0.5 * truth.pixels + (10.0, 20.0)
        if turn is not None:
            back = np.linalg.inv(turn.to_affine_matrix(("x", "y"), ("x", "y")))
            points = np.column_stack([points, np.ones(len(points))]) @ back.T[:, :2]
        shapes[name] = ShapesModel.parse(points, geometry=0, radius=10.0, transformations=spots_to)
        obs = pd.DataFrame(
            {"region": name, "instance_id": np.arange(len(points))}, index=[f"{name}_{i}" for i in range(len(points))]
        )
        obs["array_col"], obs["array_row"] = truth.places.T
        rows.append((obs, truth.counts))
    obs = pd.concat([obs for obs, _ in rows])
    obs["region"] = obs["region"].astype("category")
    table = AnnData(
        np.vstack([counts for _, counts in rows]).astype(np.float32), obs=obs, var=pd.DataFrame(index=list(GENES))
    )
    shuffled = table[np.random.default_rng(0).permutation(table.n_obs)].copy()
    table = TableModel.parse(shuffled, region=list(truths), region_key="region", instance_key="instance_id")
    return sd.SpatialData(images=images, shapes=shapes, tables={"table": table}), truths


def check(stack, truths, shift_um=(0.0, 0.0)):
    assert set(stack.names) == set(truths)
    for name, truth in truths.items():
        section = stack[name]
        order = [int(spot.split("_")[1]) for spot in section.spots.obs_names]
        np.testing.assert_allclose(section.points_um, truth.pixels[order] * UM_PER_PX + shift_um, rtol=1e-3)
        np.testing.assert_array_equal(section.spots.X, truth.counts[order])
        assert "region" not in section.spots.obs


@pytest.mark.parametrize(
    "turn", [None, Affine([[0, 2, 5], [-2, 0, 9], [0, 0, 1]], input_axes=("x", "y"), output_axes=("x", "y"))]
)
def test_spatialdata_of_others(tmp_path, turn):
    data, truths = foreign(turn=turn)
    stack = read_stack(data)
    check(stack, truths)
    for name, truth in truths.items():
        image = stack[name].image
        assert [level.downsample for level in image.source.levels] == [1, 2]
        assert (image.pixels == truth.picture).all()
        on = image.patches(stack[name].points_um, 8.0, 2).mean(axis=(0, 1, 2))
        assert np.abs(on - (120, 40, 140)).max() < 5
    data.write(tmp_path / "foreign.zarr")
    check(read_stack(tmp_path / "foreign.zarr"), truths)
    assert [s.names for s in read_stacks(data, donors={"v0": "a", "v1": "b"})] == [("v0",), ("v1",)]


def test_a_picture_that_may_be_of_another_section_is_not_guessed():
    named, truths = foreign(one_system=True)
    assert all(section.image is not None for section in read_stack(named))
    data, truths = foreign(one_system=True, prefix=False)
    stack = read_stack(data)
    # without a picture, the frame is that of the coordinate system
    check(stack, truths, shift_um=(10 * 2 * UM_PER_PX, 20 * 2 * UM_PER_PX))
    assert all(section.image is None for section in stack)
    assert sum("state which is whose with images=" in note for note in stack.notes) == 2


def test_circles_without_a_table_are_a_section_without_counts():
    data, truths = foreign(seeds=(0,))
    del data.tables["table"]
    stack = read_stack(data, um_per_px=UM_PER_PX)
    assert not stack["v0"].is_measured
    np.testing.assert_allclose(stack["v0"].points_um, truths["v0"].pixels * UM_PER_PX)


def test_what_is_no_section_or_damaged_is_named(tmp_path):
    data, _ = foreign(seeds=(0,))
    images = sd.SpatialData(images=dict(data.images))
    with pytest.raises(InputError, match="holds no sections: no annotated elements and no circles"):
        read_stack(images)
    data.write(tmp_path / "a.zarr")
    for victim in (tmp_path / "a.zarr" / "shapes" / "v0").rglob("*.parquet"):
        victim.write_bytes(b"x")
    with pytest.raises(FileFormatError, match=r"could not be read as (SpatialData|sections)"):
        read_stack(tmp_path / "a.zarr")
