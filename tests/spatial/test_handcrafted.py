"""The handcrafted features: against scikit-image and numpy, and on patches whose content is known."""

import numpy as np
import pytest
from tests.spatial.patches import nuclei, stained, textured

from insignia.core.errors import InputError, UnknownName
from insignia.spatial.features.contract import find_encoder
from insignia.spatial.features.handcrafted import COLUMNS, HandcraftedEncoder
from insignia.spatial.features.kernels import order_statistics
from insignia.spatial.features.stains import STAINS, stain_amounts

cv2 = pytest.importorskip("cv2")
color = pytest.importorskip("skimage.color")
feature = pytest.importorskip("skimage.feature")
filters = pytest.importorskip("skimage.filters")


def described(patches):
    patches = patches[None] if patches.ndim == 3 else patches
    return dict(zip(COLUMNS, HandcraftedEncoder().encode(patches).T, strict=True))


def test_there_are_57_numbers_with_names_of_their_own():
    assert len(set(COLUMNS)) == 57


def test_stains_are_those_of_scikit_image():
    patches = textured(3)
    np.testing.assert_allclose(np.moveaxis(stain_amounts(patches), 0, -1), color.rgb2hed(patches), atol=1e-6)


def test_stain_statistics_are_those_of_numpy():
    patches = textured(4)
    found, amounts = described(patches), color.rgb2hed(patches).reshape(4, -1, 3)
    for number, stain in enumerate(STAINS):
        values = amounts[..., number]
        np.testing.assert_allclose(found[f"{stain}_mean"], values.mean(axis=1), atol=1e-6)
        np.testing.assert_allclose(found[f"{stain}_sd"], values.std(axis=1), atol=1e-6)
        for q in (5, 25, 50, 75, 95):
            np.testing.assert_allclose(found[f"{stain}_p{q:02d}"], np.percentile(values, q, axis=1), atol=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).exponential(0.1, 999),
        np.repeat(0.0, 50),
        np.array([0.0, -0.0, 1.0, -0.0, 0.0]),
        np.random.default_rng(1).integers(0, 3, 400) / 7,
        np.arange(1001)[::-1] * 1e-30,
        np.array([3.0, 1e30, 0.0]),
    ],
)
def test_order_statistics_are_those_of_a_sort(values):
    values = values.astype(np.float32)
    ranks = np.unique(np.linspace(0, len(values) - 1, 11).astype(int))
    found = np.empty(len(ranks), dtype=np.float32)
    order_statistics(values, ranks, found)
    np.testing.assert_array_equal(found, np.sort(values)[ranks])


@pytest.mark.parametrize(("radius", "tolerance"), [(1, 0), (2, 0.002)])
def test_patterns_are_those_of_scikit_image_away_from_the_edge(radius, tolerance):
    # at radius 2 scikit-image rounds the position of the diagonal points, and breaks some ties otherwise
    patches = textured(4)
    found = described(patches)
    for number, patch in enumerate(patches):
        grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)
        classes = feature.local_binary_pattern(grey, 8, radius, "uniform")[radius:-radius, radius:-radius]
        shares = np.bincount(classes.ravel().astype(int), minlength=10) / classes.size
        mine = [found[f"pattern_r{radius}_{k}"][number] for k in (*range(9), "mixed")]
        np.testing.assert_allclose(mine, shares, atol=tolerance + 1e-6)


def test_a_flat_patch_has_one_pattern_and_no_texture():
    found = described(stained(np.full((112, 112), 0.1), 0.05))
    assert found["pattern_r1_8"] == found["pattern_r2_8"] == 1
    assert found["texture_s1_laplacian"] == found["texture_s4_sd"] == 0


def test_texture_is_that_of_scikit_image():
    patch = textured(1, seed=3)[0]
    values = np.trunc(np.clip(color.rgb2hed(patch)[..., 0], 0, 0.3) / 0.3 * 255)
    found = described(patch)
    for sigma in (1, 2, 4):
        blurred = filters.gaussian(values, sigma, mode="mirror", preserve_range=True, truncate=4)
        assert found[f"texture_s{sigma}_sd"][0] == pytest.approx(blurred.std(), rel=2e-3)
        inner = np.abs(filters.laplace(blurred, 3)).mean()
        assert found[f"texture_s{sigma}_laplacian"][0] == pytest.approx(inner, rel=0.03)


def test_colours_are_those_of_scikit_image():
    patch = textured(1, seed=5)[0]
    hsv = color.rgb2hsv(patch).reshape(-1, 3)
    found = described(patch)
    hue = (hsv[:, 0] + 0.5) % 1 * 180
    assert found["hue_mean"][0] == pytest.approx(hue.mean(), abs=0.1)
    assert found["hue_sd"][0] == pytest.approx(hue.std(), abs=0.1)
    assert found["saturation_mean"][0] == pytest.approx(255 * hsv[:, 1].mean(), abs=0.5)
    assert found["value_sd"][0] == pytest.approx(255 * hsv[:, 2].std(), abs=0.5)


def test_the_circle_of_hues_is_not_cut_where_eosin_lies():
    reds = np.zeros((112, 112, 3), dtype=np.uint8) + np.array([200, 100, 120], dtype=np.uint8)
    reds[::2] = [200, 120, 100]
    found = described(reds)
    assert found["hue_mean"][0] == pytest.approx(90, abs=1)
    assert found["hue_sd"][0] < 8


@pytest.mark.parametrize("n", [0, 1, 7, 30])
@pytest.mark.parametrize("radius", [3.0, 5.0])
def test_planted_nuclei_are_counted(n, radius):
    patch, area = nuclei(n, radius)
    found = described(patch)
    assert found["nuclei_count"][0] == n
    assert found["nuclei_area_px"][0] == pytest.approx(area if n else 0)
    assert found["nuclei_cover"][0] == pytest.approx(n * area / patch.shape[0] ** 2)


def test_pieces_that_touch_at_a_corner_are_one_nucleus():
    amount = np.zeros((112, 112))
    amount[20:26, 20:26] = amount[26:32, 26:32] = 0.15
    found = described(stained(amount, 0.03))
    assert (found["nuclei_count"][0], found["nuclei_area_px"][0]) == (1, 72)


@pytest.mark.parametrize(("haematoxylin", "eosin"), [(0.1, 0.0), (0.0, 0.08), (0.06, 0.04)])
def test_planted_amounts_of_stain_are_found(haematoxylin, eosin):
    found = described(stained(np.full((112, 112), haematoxylin), eosin))
    assert found["haematoxylin_mean"][0] == pytest.approx(haematoxylin, abs=2e-3)
    assert found["eosin_p50"][0] == pytest.approx(eosin, abs=2e-3)
    assert found["dab_mean"][0] < 3e-3


def test_empty_glass_has_no_nuclei_and_is_all_lumen():
    glass = np.clip(np.random.default_rng(0).normal(242, 4, (112, 112, 3)), 0, 255).astype(np.uint8)
    found = described(glass)
    assert found["nuclei_count"][0] == 0
    assert found["nuclei_cover"][0] < 0.01
    assert found["lumen_share"][0] == 1


def test_turned_and_mirrored_patches_are_described_alike():
    patch = textured(1, seed=2)[0]
    turned = np.stack([patch, np.rot90(patch), patch[::-1], patch.transpose(1, 0, 2)])
    features = HandcraftedEncoder().encode(turned)
    np.testing.assert_allclose(features, np.broadcast_to(features[0], features.shape), rtol=2e-4, atol=1e-4)


def test_unknown_and_argued_encoders_are_refused():
    with pytest.raises(UnknownName, match=r"no image encoder 'handcraft'.*Did you mean 'handcrafted'"):
        find_encoder("handcraft")
    with pytest.raises(InputError, match="takes no argument, found '3'"):
        find_encoder("handcrafted:3")
