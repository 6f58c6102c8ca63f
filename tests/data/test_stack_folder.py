"""Stacks written to folders and read back."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("cv2", reason="images need the extra 'spatial'")
pytest.importorskip("tifffile", reason="images need the extra 'spatial'")

from tests.lookalikes import section_folders

from insignia.core.errors import FileFormatError, InputError
from insignia.data import Pose, SectionImage, Transform, read_stack, write_stack
from insignia.data.bend import Bend


@pytest.fixture
def stack(tmp_path):
    """Three sections, one with an image file, one with an image in memory, poses and features."""
    section_folders.her2st(tmp_path / "her2st")
    stack = read_stack(tmp_path / "her2st", name="A")
    rng = np.random.default_rng(0)
    pose = Pose(
        Transform(rng.normal(size=(2, 3))),
        "registered",
        "ecc",
        {"ncc": 0.1 + 0.2, "margin": np.nan, "cycle_um": np.inf},
        "look at its left edge",
    )
    for section in stack:
        section.spots.obsm["X_handcrafted"] = rng.normal(size=(section.spots.n_obs, 5)).astype(np.float32)
        section.spots.obs["label"] = "tumour"
    pixels = rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)
    a2 = replace(stack["A2"], pose=pose, image=SectionImage(pixels, 1 / 3))
    a4 = replace(stack["A4"], spots=stack["A4"].spots[:, :0].copy(), is_virtual=True)
    return stack.with_sections({"A2": a2, "A4": a4})


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
        assert list(two.spots.var_names) == list(one.spots.var_names)
        assert (two.spots.X != one.spots.X).nnz == 0
        for key in one.spots.obsm:
            assert two.spots.obsm[key].dtype == one.spots.obsm[key].dtype
            np.testing.assert_array_equal(two.spots.obsm[key], one.spots.obsm[key])
        assert (two.spots.obs["label"].astype(str) == "tumour").all()
        assert (two.pose is None) == (one.pose is None)
        if one.pose is not None:
            assert (two.pose.transform.matrix == one.pose.transform.matrix).all()
            said = (one.pose.status, one.pose.stage, one.pose.note)
            assert (two.pose.status, two.pose.stage, two.pose.note) == said
            np.testing.assert_array_equal(list(two.pose.quality.values()), list(one.pose.quality.values()))
            assert list(two.pose.quality) == list(one.pose.quality)
        assert (two.image is None) == (one.image is None)
        if one.image is not None:
            assert two.image.um_per_px == one.image.um_per_px
            assert (two.image.pixels == one.image.pixels).all()


@pytest.mark.parametrize("images", ["refer", "copy"])
def test_a_stack_comes_back_as_it_was(stack, tmp_path, images):
    write_stack(stack, tmp_path / "out", images=images)
    again = read_stack(tmp_path / "out")
    same(stack, again)
    assert (again["A1"].image.path.resolve() == stack["A1"].image.path.resolve()) == (images == "refer")
    assert stack["A1"].spots.obs["label"].dtype == object


def test_folder_and_images_may_move_together(stack, tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "her2st").rename(tmp_path / "project" / "her2st")
    moved = read_stack(tmp_path / "project" / "her2st", name="A")
    write_stack(moved, tmp_path / "project" / "out")
    (tmp_path / "project").rename(tmp_path / "elsewhere")
    assert read_stack(tmp_path / "elsewhere" / "out")["A1"].image is not None


def test_names_may_hold_anything(stack, tmp_path):
    odd = replace(stack, sections=(replace(stack["A2"], name="../a/b c:ä"),))
    write_stack(odd, tmp_path / "out")
    assert read_stack(tmp_path / "out").names == ("../a/b c:ä",)
    assert len(list((tmp_path / "out" / "sections").iterdir())) == 1


def test_nothing_is_overwritten_and_nothing_is_left_half(stack, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(InputError, match="There is something at"):
        write_stack(stack, tmp_path / "out")
    with pytest.raises(InputError, match="images must be 'refer' or 'copy'"):
        write_stack(stack, tmp_path / "new", images="move")
    monkeypatch.setattr("insignia.data.stack_folder.pose_record", lambda pose: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_stack(stack, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["her2st", "out"]


def test_what_was_changed_since_is_noticed(stack, tmp_path):
    write_stack(stack, tmp_path / "out")
    with (tmp_path / "out" / "sections" / "A2.h5ad").open("ab") as file:
        file.write(b"x")
    with pytest.raises(FileFormatError, match="its sha256 differs"):
        read_stack(tmp_path / "out")
    assert read_stack(tmp_path / "out", sections=["A1"]).names == ("A1",)
    stack["A1"].image.path.unlink()
    with pytest.raises(FileFormatError, match="Was it moved"):
        read_stack(tmp_path / "out", sections=["A1"])


def test_a_manifest_that_is_none_is_refused(stack, tmp_path):
    write_stack(stack, tmp_path / "out")
    manifest = tmp_path / "out" / "stack.json"
    record = json.loads(manifest.read_text())
    for change in (
        {"format": "insignia-stack/9"},
        {"sections": 3},
        {"pitch_um": "wide"},
        {"sections": [{"name": "A1"}]},
    ):
        manifest.write_text(json.dumps({**record, **change}))
        with pytest.raises(FileFormatError, match=r"is damaged|this version reads"):
            read_stack(tmp_path / "out")
    manifest.write_text("{")
    with pytest.raises(FileFormatError, match="is damaged"):
        read_stack(tmp_path / "out")


def test_what_the_folder_says_itself_cannot_be_stated(stack, tmp_path):
    write_stack(stack, tmp_path / "out")
    with pytest.raises(InputError, match="leave out um_per_px, z_um"):
        read_stack(tmp_path / "out", um_per_px=1.0, z_um={"A1": 0.0})


def test_a_bent_pose_comes_back(stack, tmp_path):
    displacement = np.random.default_rng(1).normal(0, 5, (6, 7, 2))
    bend = Bend(displacement, (-20.0, 10.0), 50.0, np.array([[0.0, -1.0, 5.0], [1.0, 0.0, 2.0]]))
    pose = Pose(Transform(np.eye(2, 3), (bend, bend.inverse())), "registered", "ants")
    write_stack(stack.with_sections({"A2": replace(stack["A2"], pose=pose)}), tmp_path / "bent")
    again = read_stack(tmp_path / "bent")["A2"].pose.transform
    points = np.random.default_rng(2).uniform(0, 300, (30, 2))
    np.testing.assert_allclose(again.apply(points), pose.transform.apply(points), atol=0.01)
    assert np.abs(Transform(np.eye(2, 3), again.bends[:1]).apply(points) - points).max() > 1
