"""Tissue is found by colour and texture, and pens, dust, smears and frames are not tissue."""

import numpy as np
import pytest

from insignia.core.errors import InputError
from insignia.spatial.tissue import tissue_mask

cv2 = pytest.importorskip("cv2")

H, E = np.array([0.65, 0.70, 0.29]), np.array([0.07, 0.99, 0.11])
UM = 8.0


def slide(*, seed=0, stain=1.0, size=400):
    """A stained ellipse with a hole on a slide, and the truth."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    outline = ((x - 190) / 120) ** 2 + ((y - 210) / 90) ** 2 < 1
    hole = (x - 200) ** 2 + (y - 220) ** 2 < 20**2
    nuclei = cv2.GaussianBlur((rng.random((size, size)) < 0.06).astype(float), (0, 0), 1.0) * 3
    fibres = cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0), 3) + 0.6
    density = stain * (nuclei[..., None] * H + 0.25 * fibres.clip(0)[..., None] * E)
    density[~outline | hole] = 0
    picture = 238 * 10**-density + rng.normal(0, 1.5, density.shape)
    return picture.clip(0, 255), outline, hole


def found(picture, **options):
    return tissue_mask(picture.clip(0, 255).astype(np.uint8), UM, **options)


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("stain", [0.35, 1.0, 2.0])
def test_tissue_is_found_whatever_the_depth_of_stain(stain):
    picture, outline, _ = slide(stain=stain)
    assert overlap(found(picture), outline) > 0.96


def test_holes_are_closed_or_kept():
    picture, _, hole = slide()
    inside = cv2.erode(hole.astype(np.uint8), np.ones((9, 9))).astype(bool)
    assert found(picture)[inside].all()
    assert not found(picture, close_holes=False)[inside].any()


@pytest.mark.parametrize(
    "colour", [(30, 60, 170), (20, 130, 80), (25, 25, 25), (215, 25, 45)], ids=["blue", "green", "black", "red"]
)
def test_pen_marks_are_not_tissue(colour):
    picture, outline, _ = slide()
    cv2.line(picture, (30, 30), (370, 50), colour, 12)
    cv2.line(picture, (330, 130), (390, 330), colour, 10)
    mask = found(picture)
    assert overlap(mask, outline) > 0.94
    assert mask[:80].sum() == 0


def test_dust_smears_frames_and_edges_are_not_tissue():
    picture, outline, _ = slide()
    rng = np.random.default_rng(1)
    y, x = np.indices((400, 400))
    smear = cv2.GaussianBlur(((x > 330) & (y < 280)).astype(float), (0, 0), 25)
    picture = picture * 10 ** (-0.10 * smear[..., None] * E)  # eosin that ran out of the tissue
    picture[:, :12] = 40 + rng.normal(0, 3, (400, 12, 3))  # edge of the slide
    picture[380:] *= 0.6  # its frame
    for x, y in rng.integers(10, 300, (60, 2)):
        if not outline[y, x]:
            cv2.circle(picture, (int(x), int(y)), 2, (90, 60, 100), -1)
    assert overlap(found(picture), outline) > 0.94


def test_an_empty_slide_has_no_tissue():
    picture = 238 + np.random.default_rng(0).normal(0, 2, (300, 300, 3))
    assert not found(picture).any()
    assert not tissue_mask(np.full((50, 60, 3), 240, np.uint8), UM).any()


def test_a_grey_picture_goes_by_darkness():
    picture, outline, _ = slide()
    assert overlap(found(np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)), outline) > 0.94


def test_the_mask_has_the_shape_of_the_picture_and_hardly_depends_on_its_scale():
    picture, outline, _ = slide()
    large = cv2.resize(picture.astype(np.uint8), (1201, 1199), interpolation=cv2.INTER_LINEAR)
    mask = tissue_mask(large, UM / 3)
    assert mask.shape == (1199, 1201)
    assert overlap(mask, cv2.resize(outline.astype(np.uint8), (1201, 1199)).astype(bool)) > 0.95


def test_refuses_other_pictures():
    with pytest.raises(InputError, match="of uint8, found"):
        tissue_mask(np.zeros((4, 4, 3)), UM)
    with pytest.raises(InputError, match="must be positive"):
        tissue_mask(np.zeros((4, 4, 3), np.uint8), 0.0)


@pytest.mark.parametrize("section", ["151507", "151510", "151670", "151671", "151674"])
def test_on_real_brain_the_mask_holds_the_spots_under_tissue(real_data, section):
    folder = real_data(f"dlpfc/10X/{section}")
    picture = cv2.imread(str(folder / "tissue_lowres_image.png"))[..., ::-1].copy()
    table = np.loadtxt(folder / "tissue_positions_list.txt", delimiter=",", usecols=(1, 4, 5))
    y, x = (table[:, 1:].T * 0.045).astype(int)
    is_tissue = table[:, 0] > 0
    assert tissue_mask(picture, 12.8)[y, x][is_tissue].mean() > 0.975
    assert (tissue_mask(picture, 12.8, close_holes=False)[y, x] == is_tissue).mean() > 0.95
