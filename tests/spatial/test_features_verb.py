"""`features`: from a stack with images to features of its spots."""

from dataclasses import replace

import anndata
import numpy as np
import pytest
from tests.spatial.pictured_stacks import UM_PER_PX, Colours, picture, section, stack

from insignia.core.errors import InputError, UnknownName
from insignia.data import SectionImage
from insignia.spatial.features import HandcraftedEncoder, features, runner
from insignia.spatial.features.surroundings import averaged_around


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INSIGNIA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def test_features_are_those_of_the_patch_around_each_spot():
    given = stack()
    made = features(given, encoder=Colours(), scales_um=(64, 128))
    for name in given.names:
        values = made[name].spots.obsm["X_colours"]
        assert (values.shape, values.dtype) == ((12, 6), np.float32)
        image, points = given[name].image.pixels, given[name].points_um / UM_PER_PX
        for column, half in ((0, 16), (3, 32)):
            for value, (x, y) in zip(values, points.astype(int), strict=True):
                # a spot lies within a pixel of where this patch is centred
                patch = image[y - half : y + half, x - half : x + half]
                np.testing.assert_allclose(value[column : column + 3], patch.mean(axis=(0, 1)), atol=3)


def test_handcrafted_features_are_those_of_the_encoder():
    pytest.importorskip("cv2")
    given = stack()
    made = features(given, scales_um=(150,))["s2"].spots.obsm["X_handcrafted"]
    patches = given["s2"].image.patches(given["s2"].points_um, 150, 112)
    np.testing.assert_array_equal(made, HandcraftedEncoder().encode(patches))


def test_columns_and_settings_are_recorded_and_can_be_written(tmp_path):
    made = features(stack(), encoder=Colours(), scales_um=(64, 130.5), surroundings_um=80, key_added="mine")["s1"].spots
    record = made.uns["X_mine"]
    assert record["columns"].tolist()[:4] == ["64um_red", "64um_green", "64um_blue", "130.5um_red"]
    assert record["columns"].tolist()[6] == "around_64um_red"
    assert made.obsm["X_mine"].shape[1] == len(record["columns"]) == 12
    made.write_h5ad(tmp_path / "spots.h5ad")
    read = anndata.read_h5ad(tmp_path / "spots.h5ad").uns["X_mine"]
    assert (read["encoder"], read["surroundings_um"], read["um_per_px"]) == ("colours", 80, UM_PER_PX)
    assert list(read["scales_um"]) == [64, 130.5]


def test_the_order_of_spots_and_the_size_of_batches_make_no_difference():
    given = section(n=30)
    order = np.random.default_rng(5).permutation(30)
    shuffled = replace(given, spots=given.spots[order].copy())
    plain = features(stack(given), encoder=Colours(), surroundings_um=90)["s1"].spots.obsm["X_colours"]
    other = features(stack(shuffled), encoder=Colours(), surroundings_um=90, batch_size=7, use_cache=False)
    np.testing.assert_allclose(other["s1"].spots.obsm["X_colours"], plain[order], rtol=1e-6)


def test_no_more_patches_than_a_batch_are_held():
    encoder = Colours()
    features(stack(section(n=40)), encoder=encoder, scales_um=(64,), batch_size=6)
    assert (encoder.n_shown, encoder.most_at_once) == (40, 6)


def test_the_input_is_left_alone():
    given = stack()
    before = given["s1"].spots.copy()
    features(given, encoder=Colours())
    assert "X_colours" not in given["s1"].spots.obsm
    assert not given["s1"].spots.uns
    np.testing.assert_array_equal(given["s1"].points_um, before.obsm["spatial"])
    assert given.notes == ()


def test_a_repeated_run_shows_nothing_to_the_encoder(cache):
    first, second = Colours(), Colours()
    made = features(stack(), encoder=first)["s2"].spots.obsm["X_colours"]
    again = features(stack(), encoder=second)["s2"].spots.obsm["X_colours"]
    assert (first.n_shown, second.n_shown) == (72, 0)
    np.testing.assert_array_equal(made, again)


@pytest.mark.parametrize("change", ["image", "um_per_px", "points", "scale", "encoder", "patch_px"])
def test_what_features_depend_on_is_told_apart(change):
    given, other, scale = section(), Colours(), 64.0
    features(stack(given), encoder=Colours(), scales_um=(64.0,))
    if change == "image":
        given = replace(given, image=SectionImage(picture(9), UM_PER_PX))
    elif change == "um_per_px":
        given = replace(given, image=SectionImage(given.image.pixels, 2.1))
    elif change == "points":
        spots = given.spots.copy()
        spots.obsm["spatial"][3] += 0.01
        given = replace(given, spots=spots)
    elif change == "scale":
        scale = 64.5
    elif change == "encoder":
        other.fingerprint = "e" * 64
    else:
        other.patch_px = 17
    features(stack(given), encoder=other, scales_um=(scale,))
    assert other.n_shown == 12


def test_an_interrupted_run_goes_on_where_it_was(monkeypatch):
    monkeypatch.setattr(runner, "_KEPT_TOGETHER", 5)
    given = stack(section(n=22))
    whole = features(given, encoder=Colours(), scales_um=(64, 100), use_cache=False)["s1"].spots.obsm["X_colours"]
    with pytest.raises(KeyboardInterrupt):
        features(given, encoder=Colours(fail_after=30), scales_um=(64, 100))
    resumed = Colours()
    made = features(given, encoder=resumed, scales_um=(64, 100))["s1"].spots.obsm["X_colours"]
    np.testing.assert_array_equal(made, whole)
    assert resumed.n_shown == 44 - 32, "the first scale, and two pieces of 5 of the second, were kept"


def test_damaged_files_of_the_cache_are_made_again(cache):
    plain = features(stack(), encoder=Colours())["s1"].spots.obsm["X_colours"]
    for path in cache.rglob("*.features"):
        path.write_bytes(path.read_bytes()[:50])
    encoder = Colours()
    np.testing.assert_array_equal(features(stack(), encoder=encoder)["s1"].spots.obsm["X_colours"], plain)
    assert encoder.n_shown == 72


def test_without_a_cache_nothing_is_written(cache):
    features(stack(), encoder=Colours(), use_cache=False)
    assert not cache.exists()


def test_sections_without_an_image_are_left_out_and_named():
    given = stack(section("s1"), section("s2", z_um=20.0, image=False), section("s3", z_um=40.0, seed=3))
    made = features(features(given, encoder=Colours()), encoder=Colours())
    assert "X_colours" not in made["s2"].spots.obsm
    assert made.notes == ("s2: no image, so no X_colours.",)
    assert made.names == given.names


def test_images_too_coarse_for_a_scale_are_named():
    coarse = features(stack(), encoder=Colours(), scales_um=(8, 64))
    assert coarse.notes == (
        "s1, s2: images are coarser than 0.5 um per pixel, which colours is shown at 8 um; "
        "fine texture is not in them.",
    )
    assert features(stack(), encoder=Colours(), scales_um=(64,)).notes == ()


def test_a_section_without_spots_is_no_problem():
    made = features(stack(section("s1"), section("s2", n=0, z_um=20.0)), encoder=Colours(), surroundings_um=50)
    assert made["s2"].spots.obsm["X_colours"].shape == (0, 18)


def test_surroundings_are_gaussian_averages():
    rng = np.random.default_rng(0)
    values, points = rng.normal(size=(40, 3)), rng.uniform(0, 300, (40, 2))
    distance = np.linalg.norm(points[:, None] - points, axis=2)
    weights = np.where(distance <= 3 * 40, np.exp(-(distance**2) / (2 * 40**2)), 0)
    expected = weights @ values / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(averaged_around(values, points, 40), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(averaged_around(values, points, 1e-3), values, rtol=1e-5)


def test_a_stack_without_any_image_is_refused():
    with pytest.raises(InputError, match=r"No section of 'donor' has an image.*precomputed"):
        features(stack(section(image=False)), encoder=Colours())


@pytest.mark.parametrize("place", [(-1.0, 50.0), (50.0, 600.5)])
def test_spots_outside_the_picture_are_refused(place):
    given = section()
    given.spots.obsm["spatial"][4] = place
    message = r"1 of 12 spots of section 's1' lie outside its image of 600 x 600 um, e.g. \['s1-4'\].*um_per_px, 2 now"
    with pytest.raises(InputError, match=message):
        features(stack(given), encoder=Colours())


def test_a_blank_picture_is_refused():
    blank = replace(section(), image=SectionImage(np.full((300, 300, 3), 255, dtype=np.uint8), UM_PER_PX))
    with pytest.raises(InputError, match="image of section 's1' looks the same at all of its 12 spots"):
        features(stack(blank), encoder=Colours())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales_um": ()}, r"scales_um are different positive sizes in micrometres, found \[\]"),
        ({"scales_um": (100, 100)}, "different positive sizes"),
        ({"scales_um": (100, -5)}, "different positive sizes"),
        ({"surroundings_um": 0.0}, "surroundings_um is a positive width"),
        ({"batch_size": 0}, "batch_size is at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        features(stack(), encoder=Colours(), **options)


def test_an_unknown_encoder_is_refused():
    with pytest.raises(UnknownName, match=r"There is no image encoder 'uni'. Known: handcrafted, hf, resnet, vit"):
        features(stack(), encoder="uni")
