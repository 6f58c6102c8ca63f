"""Readers of serial sections: one suite for every layout, and what each refuses."""

import json
import random
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

pytest.importorskip("cv2", reason="images need the extra 'spatial'")

from tests.lookalikes import section_folders
from tests.lookalikes.section_folders import GENES, LAYOUTS, UM_PER_PX

from insignia.core.errors import DuplicateNames, FileFormatError, InputError, InsigniaError, MissingMetadata
from insignia.data import SectionStack, read_stack, read_stacks, stack_from_anndata
from insignia.data.pixels.patch_mosaic import PatchMosaic
from insignia.data.section_readers import stack_readers


@pytest.fixture(params=sorted(LAYOUTS))
def layout(request, tmp_path):
    """Name of a layout, a folder of it, and what was planted there."""
    folder = tmp_path / "folder"
    folder.mkdir()
    return request.param, folder, LAYOUTS[request.param](folder)


def test_every_layout_has_a_lookalike_or_a_test_of_its_own():
    assert set(stack_readers) - set(LAYOUTS) == {"anndata", "he2020", "native", "spatialdata"}


def test_positions_counts_and_scale_are_what_was_planted(layout):
    kind, folder, sections = layout
    stacks = read_stacks(folder)
    read = {section.name: section for stack in stacks for section in stack}
    assert set(read) == set(sections)
    for name, section in read.items():
        truth = sections[name]
        np.testing.assert_allclose(section.points_um, truth.pixels * UM_PER_PX, rtol=2e-3)
        np.testing.assert_array_equal(section.spots.X.toarray(), truth.counts)
        assert tuple(section.spots.var_names) == GENES
        assert (section.spots.obs["section"] == name).all()
    assert [other for other in stack_readers if stack_readers[other].recognises(folder)] == [kind]


def test_pictures_fit_the_spots(layout):
    kind, folder, _ = layout
    pictured = [section for stack in read_stacks(folder) for section in stack if section.image is not None]
    assert pictured
    half = {"her2st": (100.0, 100.0), "stutility": (50.0, 50.0)}.get(kind, (25.0, 25.0 * 3**0.5))
    for section in pictured:
        on = section.image.patches(section.points_um, 8.0, 2)
        off = section.image.patches(section.points_um + half, 8.0, 1)
        assert np.abs(on.mean(axis=(0, 1, 2)) - (120, 40, 140)).max() < 12
        assert off.mean() > 235


def test_scale_and_depth_that_were_assumed_are_said(layout):
    _, folder, _ = layout
    for stack in read_stacks(folder):
        assert sum(
            "estimated from the slope of pixels against array coordinates" in note for note in stack.notes
        ) == len(stack)
        assert any("assumed: give z_um or thickness_um" in note for note in stack.notes)
    stated = read_stacks(folder, thickness_um=7.0, um_per_px=UM_PER_PX)
    assert any("times 7 um, as stated" in note for note in stated[0].notes)
    assert not any("estimated" in note for note in stated[0].notes)
    first = stated[0].sections[0]
    assert stated[0].sections[1].z_um == first.z_um + 7


def test_only_the_sections_asked_for_are_read_and_others_are_forgotten(layout):
    _, folder, sections = layout
    one, two = list(sections)[:2]
    stack = read_stacks(folder, known=[one])[0]
    assert stack.measured == (one,)
    assert stack[two].spots.n_obs == len(sections[two].places)
    assert [stack.names for stack in read_stacks(folder, sections=[two])] == [(two,)]
    for option in (
        {"known": ["nobody"]},
        {"sections": ["nobody"]},
        {"z_um": {"nobody": 1.0}},
        {"um_per_px": {"nobody": 1.0}},
    ):
        with pytest.raises(InputError, match="'nobody'"):
            read_stacks(folder, **option)


def test_a_scale_that_cannot_be_right_is_refused(layout):
    _, folder, _ = layout
    for wrong in (UM_PER_PX * 1.3, UM_PER_PX / 1.4):
        with pytest.raises(InputError, match="The spots themselves say um_per_px="):
            read_stacks(folder, um_per_px=wrong)
    assert read_stacks(folder, um_per_px=UM_PER_PX * 1.2)
    with pytest.raises(InputError, match="must be positive"):
        read_stacks(folder, um_per_px=-1.0)


def test_another_pitch_can_be_stated(layout):
    _, folder, _ = layout
    plain, wide = read_stacks(folder)[0], read_stacks(folder, pitch_um=42.0)[0]
    assert wide.pitch_um == 42.0
    name = wide.names[0]
    np.testing.assert_allclose(wide[name].points_um, plain[name].points_um * 42 / plain.pitch_um)


def test_a_section_that_is_only_an_image_joins_with_a_depth_and_a_scale(layout, tmp_path):
    _, folder, sections = layout
    png = tmp_path / "extra.png"
    section_folders._write_png(png, next(iter(sections.values())).picture)
    stack = read_stacks(folder)[0]
    others = {name: 10.0 * i for i, name in enumerate(sections)}
    options = {"images": {"extra": png}, "donors": dict.fromkeys((*sections, "extra"), "d")}
    if stack.name == "A":
        options["donors"] = {"extra": "A"}
    stacks = read_stacks(folder, z_um={**others, "extra": 5.0}, um_per_px=UM_PER_PX, **options)
    extra = stacks[0]["extra"]
    assert (extra.z_um, extra.spots.shape, extra.is_measured) == (5.0, (0, 0), False)
    assert extra.image.um_per_px == UM_PER_PX
    with pytest.raises(InputError, match="give its depth"):
        read_stacks(folder, um_per_px=UM_PER_PX, **options)
    with pytest.raises(InputError, match="says nothing about its scale"):
        read_stacks(folder, z_um={**others, "extra": 5.0}, **options)


def test_the_pitch_is_that_of_the_array(layout):
    kind, folder, _ = layout
    pitch = {"her2st": 200.0, "stutility": 100 * 2**0.5}.get(kind, 100.0)
    for stack in read_stacks(folder):
        assert stack.pitch_um == pytest.approx(pitch)
        for section in stack:
            far = np.linalg.norm(section.points_um[:, None] - section.points_um[None], axis=2)
            assert np.median(np.sort(far, axis=1)[:, 1]) == pytest.approx(pitch, rel=0.06)


def test_donors_are_stacks_of_their_own(tmp_path):
    section_folders.her2st(tmp_path / "h")
    with pytest.raises(InputError, match=r"holds 2 stacks: A, B\. Choose one with name="):
        read_stack(tmp_path / "h")
    with pytest.raises(InputError, match="There is no stack 'C'"):
        read_stack(tmp_path / "h", name="C")
    stack = read_stack(tmp_path / "h", name="A")
    assert stack.names == ("A1", "A2", "A4")
    # the third place is empty, and the depth leaves room for it
    assert [section.z_um for section in stack] == [0.0, 16.0, 48.0]
    assert "without an image: A2, A4" in stack.notes
    section_folders._write_png(tmp_path / "more.png", section_folders.planted().picture)
    with pytest.raises(InputError, match=r"the stack it belongs to is not known\. Give donors="):
        read_stacks(tmp_path / "h", images={"more": tmp_path / "more.png"}, um_per_px=UM_PER_PX)
    section_folders.visium(tmp_path / "v")
    stacks = read_stacks(tmp_path / "v", donors={"v1": "x", "v2": "y"})
    assert {stack.name: stack.names for stack in stacks} == {"x": ("v1",), "y": ("v2",)}


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("counts", ["h5", "mtx", "none"])
def test_visium_of_every_version(tmp_path, header, counts):
    sections = section_folders.visium(tmp_path, header=header, counts=counts)
    stack = read_stack(tmp_path)
    for name, truth in sections.items():
        assert stack[name].spots.n_obs == len(truth.places)
        assert stack[name].is_measured == (counts != "none")
        if counts != "none":
            np.testing.assert_array_equal(stack[name].spots.X.toarray(), truth.counts)
    one = read_stack(tmp_path / "v1" / "outs")
    assert one.names == ("v1",)
    assert any("without counts" in note for note in stack.notes) == (counts == "none")


def test_a_full_image_beside_the_folder_is_taken_before_the_small_ones(tmp_path):
    sections = section_folders.visium(tmp_path)
    section_folders._write_png(tmp_path / "v1" / "outs" / "full_image.png", sections["v1"].picture)
    stack = read_stack(tmp_path)
    assert stack["v1"].image.um_per_px == pytest.approx(UM_PER_PX)
    assert stack["v2"].image.um_per_px == pytest.approx(2 * UM_PER_PX)
    other = read_stack(tmp_path, images={"v2": tmp_path / "v1" / "outs" / "full_image.png"})
    assert other["v2"].image.um_per_px == pytest.approx(UM_PER_PX)


def test_a_mirrored_array_is_noticed(tmp_path):
    section_folders.her2st(tmp_path)
    path = tmp_path / "ST-spotfiles" / "A1_selection.tsv"
    table = pd.read_csv(path, sep="\t")
    table.rename(columns={"pixel_x": "pixel_y", "pixel_y": "pixel_x"}).to_csv(path, sep="\t", index=False)
    notes = read_stack(tmp_path, name="A").notes
    assert [note.split(":")[0] for note in notes if "as in a mirror" in note] == ["A1"]


def test_a_stretched_image_is_noticed(tmp_path):
    section_folders.her2st(tmp_path)
    path = tmp_path / "ST-spotfiles" / "A2_selection.tsv"
    table = pd.read_csv(path, sep="\t")
    table.assign(pixel_x=table["pixel_x"] * 1.2).to_csv(path, sep="\t", index=False)
    assert any(
        "A2: the image is stretched: the scales of its sides differ by 20%" in n
        for n in read_stack(tmp_path, name="A").notes
    )


def test_an_image_of_another_scale_is_refused(tmp_path):
    sections = section_folders.her2st(tmp_path)
    section_folders._write_png(tmp_path / "ST-imgs" / "A" / "A1" / "scan.png", sections["A1"].picture[::8, ::8])
    with pytest.raises(InputError, match=r"spots of section 'A1' lie outside its image"):
        read_stack(tmp_path, name="A")


def change(path, **columns):
    table = pd.read_csv(path, sep="\t")
    for column, (row, value) in columns.items():
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
    table.to_csv(path, sep="\t", index=False)


def test_spots_without_counts_are_left_out_and_said(tmp_path):
    sections = section_folders.her2st(tmp_path)
    section = sections["A1"]
    few = replace(section, places=section.places[2:], counts=section.counts[2:])
    section_folders._write_counts(tmp_path / "ST-cnts" / "A1.tsv.gz", few)
    stack = read_stack(tmp_path, name="A")
    assert stack["A1"].spots.n_obs == len(section.places) - 2
    assert "A1: 2 of 42 spots have no counts and are left out" in stack.notes
    (tmp_path / "ST-cnts" / "A1.tsv.gz").unlink()
    stack = read_stack(tmp_path, name="A")
    assert "without counts: A1" in stack.notes
    assert stack["A1"].spots.shape == (42, 0)


def test_what_is_wrong_in_a_table_is_named(tmp_path):
    spots, counts = "ST-spotfiles/A1_selection.tsv", "ST-cnts/A1.tsv.gz"

    def fresh():
        shutil.rmtree(tmp_path / "h", ignore_errors=True)
        return section_folders.her2st(tmp_path / "h")["A1"]

    def refused(kind, match):
        with pytest.raises(kind, match=match):
            read_stack(tmp_path / "h", name="A")

    fresh()
    change(tmp_path / "h" / spots, x=(1, 0))
    refused(DuplicateNames, "lists the spot 0x0 more than once")
    fresh()
    change(tmp_path / "h" / spots, pixel_x=(3, "here"))
    refused(FileFormatError, "has 'here' in column pixel_x, row 5: no number")
    fresh()
    pd.read_csv(tmp_path / "h" / spots, sep="\t").drop(columns="new_x").to_csv(tmp_path / "h" / spots, sep="\t")
    refused(FileFormatError, "lacks the columns new_x")
    fresh()
    change(tmp_path / "h" / spots, selected=(slice(None), 0))
    refused(InputError, "holds no selected spot")
    section = fresh()
    for values, match in ((section.counts - 9, "negative"), (section.counts + 0.5, "non-integers")):
        wrong = replace(section, counts=values)
        section_folders._write_counts(tmp_path / "h" / counts, wrong)
        refused(InputError, match)
    original, section_folders.GENES = section_folders.GENES, ("ACTB", "ACTB", "ERBB2", "CD3E")
    try:
        section_folders._write_counts(tmp_path / "h" / counts, section)
    finally:
        section_folders.GENES = original
    refused(DuplicateNames, "1 genes more than once, e.g. ACTB")
    alien = replace(section, places=section.places + 50)
    section_folders._write_counts(tmp_path / "h" / counts, alien)
    refused(InputError, "Do the two files belong together")


def test_one_spot_has_no_scale_but_can_be_given_one(tmp_path):
    sections = section_folders.her2st(tmp_path)
    path = tmp_path / "ST-spotfiles" / "A2_selection.tsv"
    pd.read_csv(path, sep="\t").iloc[:1].to_csv(path, sep="\t", index=False)
    with pytest.raises(
        InputError, match=r"scale of section 'A2' is not known: it cannot be estimated from its 1 spots"
    ):
        read_stack(tmp_path, name="A")
    stack = read_stack(tmp_path, name="A", um_per_px={"A2": UM_PER_PX})
    np.testing.assert_allclose(stack["A2"].points_um, sections["A2"].pixels[:1] * UM_PER_PX)


def test_what_is_wrong_in_a_visium_folder_is_named(tmp_path):
    section_folders.visium(tmp_path)
    spatial = tmp_path / "v1" / "outs" / "spatial"
    scale = spatial / "scalefactors_json.json"
    for text, match in (
        ("{}", "must hold tissue_hires_scalef"),
        ("[", "could not be read"),
        ('{"tissue_hires_scalef": 7}', "found 7"),
    ):
        scale.write_text(text)
        with pytest.raises(FileFormatError, match=match):
            read_stack(tmp_path)
    scale.unlink()
    with pytest.raises(FileFormatError, match="is missing, without which nobody knows the scale"):
        read_stack(tmp_path)
    (spatial / "tissue_hires_image.png").unlink()
    assert read_stack(tmp_path)["v1"].image is None
    table = pd.read_csv(spatial / "tissue_positions.csv")
    table.assign(in_tissue=0).to_csv(spatial / "tissue_positions.csv", index=False)
    with pytest.raises(InputError, match="none of its 66 spots is in the tissue"):
        read_stack(tmp_path)
    table.assign(barcode=[f"n{i}" for i in range(len(table))]).to_csv(spatial / "tissue_positions.csv", index=False)
    with pytest.raises(InputError, match="Do the two files belong together"):
        read_stack(tmp_path)
    table.assign(barcode="same").to_csv(spatial / "tissue_positions.csv", index=False)
    with pytest.raises(InsigniaError, match=r"more than once|belong together"):
        read_stack(tmp_path)


def test_hest_takes_a_slide_before_patches_and_says_when_there_is_none(tmp_path):
    sections = section_folders.hest(tmp_path)
    stack = read_stack(tmp_path)
    assert stack.name == "P1"
    assert any("no slide: the picture is made of 63 patches" in note for note in stack.notes)
    (tmp_path / "wsis").mkdir()
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "wsis" / "TENX1.tif", sections["TENX1"].picture, tile=(64, 64), photometric="rgb")
    stack = read_stack(tmp_path)
    assert stack["TENX1"].image.path.name == "TENX1.tif"
    assert stack["TENX1"].image.um_per_px == pytest.approx(UM_PER_PX)
    about = tmp_path / "metadata" / "TENX1.json"
    about.write_text(json.dumps({"patient": "P1", "inter_spot_dist": 200.0}))
    with pytest.raises(InputError, match="have spots 100, 200 um apart"):
        read_stack(tmp_path)


def test_the_patch_of_a_spot_lies_on_top_of_those_of_its_neighbours(tmp_path):
    rng = np.random.default_rng(0)
    patches, corners = rng.integers(0, 256, (9, 20, 20, 3), dtype=np.uint8), rng.permutation(9)[:, None] * [14, 0]
    with h5py.File(tmp_path / "p.h5", "w") as file:
        file["img"], file["coords"] = patches, corners
        file["img"].attrs["downsample"] = 1.0
    mosaic = PatchMosaic(tmp_path / "p.h5")
    for patch, (left, top) in zip(patches, corners, strict=True):
        assert (mosaic.read(0, left, top, 20, 20) == patch).all()
    assert mosaic.levels[0].width == 8 * 14 + 20
    for content, match in (
        ({"img": patches[:, :, :10], "coords": corners}, "img must be"),
        ({"img": patches, "coords": corners[:3]}, "coords must be"),
        ({"other": 1}, "could not be read as patches"),
    ):
        with h5py.File(tmp_path / "q.h5", "w") as file:
            for key, value in content.items():
                file[key] = value
        with pytest.raises(FileFormatError, match=match):
            PatchMosaic(tmp_path / "q.h5")
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file["img"], file["coords"] = patches, corners
    with pytest.raises(FileFormatError, match="img must state downsample"):
        PatchMosaic(tmp_path / "r.h5")


def make_section(name="s", count=30):
    truth = section_folders.planted(seed=len(name))
    adata = AnnData(
        truth.counts.astype(np.float32), obs=pd.DataFrame(index=[f"b{i}" for i in range(len(truth.places))])
    )
    adata.var_names = list(GENES)
    adata.obsm["spatial"] = truth.pixels
    return adata, truth


def test_a_list_of_anndata_with_images_and_a_scale():
    adata, truth = make_section()
    adata.obsm["X_uni"] = np.arange(adata.n_obs * 2.0).reshape(-1, 2)
    adata.layers["counts"] = adata.X.copy()
    adata.X = np.log1p(adata.X)
    stack = stack_from_anndata(
        [adata, adata], images={"s1": truth.picture}, um_per_px=UM_PER_PX, z_um={"s1": 5, "s2": 1}
    )
    assert isinstance(stack, SectionStack)
    assert stack.names == ("s2", "s1")
    np.testing.assert_array_equal(stack["s1"].spots.X, truth.counts)
    np.testing.assert_array_equal(stack["s1"].spots.obsm["X_uni"], adata.obsm["X_uni"])
    np.testing.assert_allclose(stack["s1"].points_um, truth.pixels * UM_PER_PX)
    assert (stack["s1"].image.pixels == truth.picture).all()
    assert "section" not in adata.obs


def test_the_lattice_gives_the_scale_where_the_pitch_is_stated():
    adata, _ = make_section()
    stack = stack_from_anndata({"a": adata}, pitch_um=200.0)
    assert any("estimated from the lattice of the spots" in note for note in stack.notes)
    assert stack["a"].points_um[0, 0] / adata.obsm["spatial"][0, 0] == pytest.approx(UM_PER_PX, rel=5e-3)
    with pytest.raises(InputError, match="themselves say um_per_px"):
        stack_from_anndata({"a": adata}, pitch_um=200.0, um_per_px=3.0)
    with pytest.raises(InputError, match="scale of section 'a' is not known"):
        stack_from_anndata({"a": adata})


def test_the_image_that_scanpy_keeps_is_found():
    adata, truth = make_section()
    small = truth.picture[::2, ::2] / 255
    adata.uns["spatial"] = {"lib": {"images": {"hires": small}, "scalefactors": {"tissue_hires_scalef": 0.5}}}
    image = stack_from_anndata({"a": adata}, um_per_px=UM_PER_PX)["a"].image
    assert image.um_per_px == 2 * UM_PER_PX
    assert (image.pixels == truth.picture[::2, ::2]).all()


def test_the_scale_that_an_image_states_is_the_last_resort(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="images need the extra 'spatial'")
    adata, truth = make_section()
    options = {"photometric": "rgb", "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "a.tif", truth.picture, resolution=(5000, 5000), **options)
    stack = stack_from_anndata({"a": adata}, images={"a": tmp_path / "a.tif"})
    assert "a: um_per_px = 2, as the image file says" in stack.notes
    np.testing.assert_allclose(stack["a"].points_um, truth.pixels * 2)
    # where the spots know better, they are believed and the difference is said
    tifffile.imwrite(tmp_path / "b.tif", truth.picture, resolution=(15000, 15000), **options)
    adata.obs[["array_x", "array_y"]] = truth.refined
    stack = stack_from_anndata({"a": adata}, images={"a": tmp_path / "b.tif"})
    assert stack["a"].image.um_per_px == pytest.approx(UM_PER_PX)
    assert any("the image file says um_per_px = 0.6667, which does not fit" in note for note in stack.notes)


def test_what_is_wrong_in_anndata_is_named():
    adata, _ = make_section()
    bare = adata.copy()
    del bare.obsm["spatial"]
    with pytest.raises(MissingMetadata, match=r"Section 'a' has no obsm\['spatial'\]"):
        stack_from_anndata({"a": bare}, um_per_px=1.0)
    lost = adata.copy()
    lost.obsm["spatial"][3] = np.nan
    with pytest.raises(InputError, match=r"1 spots without a position, e\.g\. b3"):
        stack_from_anndata({"a": lost}, um_per_px=1.0)
    with pytest.warns(UserWarning, match="not unique"):
        twice = AnnData(
            adata.X, obs=pd.DataFrame(index=["x"] * adata.n_obs), var=adata.var, obsm={"spatial": adata.obsm["spatial"]}
        )
    with pytest.raises(DuplicateNames, match=r"1 names of spots more than once, e\.g\. x"):
        stack_from_anndata({"a": twice}, um_per_px=1.0)
    with pytest.warns(UserWarning, match="not unique"):
        genes = AnnData(
            adata.X, obs=adata.obs, var=pd.DataFrame(index=["G"] * 4), obsm={"spatial": adata.obsm["spatial"]}
        )
    with pytest.raises(DuplicateNames, match=r"1 names of genes more than once, e\.g\. G"):
        stack_from_anndata({"a": genes}, um_per_px=1.0)


def test_what_is_no_stack_is_described(tmp_path):
    (tmp_path / "photo.txt").write_text("x")
    with pytest.raises(
        FileFormatError, match=r"No serial sections recognised in .* which holds photo.txt. Known layouts"
    ):
        read_stack(tmp_path)
    with pytest.raises(FileFormatError, match="an object of type int"):
        read_stack(3)
    with pytest.raises(FileFormatError, match="There is nothing at"):
        read_stack(tmp_path / "none")
    with pytest.raises(InsigniaError, match="There is no section layout 'xenium'"):
        read_stack(tmp_path, kind="xenium")


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Cut a file short, or overwrite, insert or drop a few bytes."""
    what = rng.randrange(4)
    at = rng.randrange(max(1, len(data)))
    if what == 0:
        return data[:at]
    if what == 1:
        return data[:at] + bytes(rng.randrange(256) for _ in range(8)) + data[at + 8 :]
    if what == 2:
        return data[:at] + bytes(rng.randrange(256) for _ in range(3)) + data[at:]
    return data[:at] + data[at + rng.randrange(1, 64) :]


def test_damaged_files_are_refused_or_read_but_never_crash(layout):
    _, folder, _ = layout
    rng = random.Random(7)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for _ in range(25):
        path = rng.choice(files)
        whole = path.read_bytes()
        path.write_bytes(mutate(whole, rng))
        try:
            for stack in read_stacks(folder):
                for section in stack:
                    if section.image is not None:
                        section.image.at(50.0)
        except InsigniaError:
            pass
        path.write_bytes(whole)
