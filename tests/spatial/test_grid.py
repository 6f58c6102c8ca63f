"""Virtual spots on sections where nothing was measured."""

from dataclasses import replace

import numpy as np
import pytest
from anndata import AnnData

pytest.importorskip("cv2", reason="images need the extra 'spatial'")

from insignia.core.errors import InputError
from insignia.data import Section, SectionImage, SectionStack, read_stack
from insignia.data.lattice import Lattice, fit_lattice
from insignia.spatial.grid import GridOptions, grid_points, lay_grid, lay_grids

HEX = Lattice("hex", 100.0, 0.0, (0.0, 0.0))


def lattice_points(lattice, n=14):
    column, row = np.mgrid[:n, :n]
    return np.column_stack([column.ravel(), row.ravel()]) @ lattice.basis + (500.0, 300.0)


@pytest.mark.parametrize("kind", ["square", "hex"])
@pytest.mark.parametrize("degrees", [0.0, 17.0, 44.0])
def test_a_lattice_is_found_again_though_spots_jitter_and_some_are_missing(kind, degrees):
    truth = Lattice(kind, 137.0, degrees, (0.0, 0.0))
    points = lattice_points(truth)
    rng = np.random.default_rng(int(degrees))
    points = (points + rng.normal(0, 0.05 * truth.pitch, points.shape))[rng.random(len(points)) < 0.8]
    found = fit_lattice(points)
    assert found.kind == kind
    assert found.pitch == pytest.approx(truth.pitch, rel=5e-3)
    turn = 90 if kind == "square" else 60
    assert abs((found.degrees - degrees + turn / 2) % turn - turn / 2) < 0.5
    # neighbours seem nearer than they are, which is why the slope is taken
    nearest = np.sort(np.linalg.norm(points[:, None] - points[None], axis=2), axis=1)[:, 1]
    assert np.median(nearest) < 0.97 * truth.pitch


def test_points_without_a_lattice_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="do not lie on a lattice"):
        fit_lattice(rng.uniform(0, 1000, (400, 2)))
    with pytest.raises(InputError, match="too few"):
        fit_lattice(np.zeros((5, 2)))
    with pytest.raises(InputError, match="at the same place"):
        fit_lattice(np.zeros((9, 2)))


@pytest.mark.parametrize("degrees", [0.0, 20.0])
def test_spots_cover_the_tissue_and_nothing_else(degrees):
    mask = np.zeros((300, 400), dtype=bool)
    mask[60:260, 50:350] = True
    points, places, share = grid_points(mask, 5.0, replace(HEX, degrees=degrees))
    # a hexagonal lattice has one point on every 0.866 pitch^2
    area = mask.sum() * 25
    assert len(points) == pytest.approx(area / (100**2 * 3**0.5 / 2), rel=0.08)
    assert (share >= 0.5).all()
    low, high = np.array([50, 60]) * 5, np.array([350, 260]) * 5
    # half a disc on tissue means that its centre is about on the edge
    assert (points > low - 5).all()
    assert (points < high + 5).all()
    y, x = np.nonzero(mask)
    deep = ((x + 0.5) * 5 > low[0] + 60) & ((x + 0.5) * 5 < high[0] - 60)
    deep &= ((y + 0.5) * 5 > low[1] + 60) & ((y + 0.5) * 5 < high[1] - 60)
    inner = np.column_stack([x, y])[deep][::37] * 5.0 + 2.5
    # no place in a triangle of side 1 is further than 0.58 from its corners
    assert np.linalg.norm(inner[:, None] - points[None], axis=2).min(axis=1).max() < 58
    step = (points[1:] - points[0]) @ np.linalg.inv(replace(HEX, degrees=degrees).basis)
    np.testing.assert_allclose(step, places[1:] - places[0], atol=1e-9)
    assert places.min() == 0


def test_the_share_of_tissue_decides():
    mask = np.zeros((200, 200), dtype=bool)
    mask[:, :100] = True
    few, many = (len(grid_points(mask, 5.0, HEX, min_tissue=share)[0]) for share in (1.0, 0.01))
    assert few < len(grid_points(mask, 5.0, HEX)[0]) < many
    assert len(grid_points(np.zeros((50, 50), bool), 5.0, HEX)[0]) == 0
    # beyond the picture there is no tissue
    points, _, share = grid_points(np.ones((200, 200), bool), 5.0, HEX, min_tissue=0.01)
    at_edge = (np.minimum(points, 1000 - points) < 40).any(axis=1)
    assert share[at_edge].max() < 0.97
    assert share[~at_edge].min() > 0.9


def picture(seed=0, radius_um=900.0):
    """A pink round section with darker grains, 4 um per pixel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:600, :600] * 4.0
    pixels = np.full((600, 600, 3), 243.0) + rng.normal(0, 2, (600, 600, 1))
    inside = (x - 1200) ** 2 + (y - 1200) ** 2 < radius_um**2
    pixels[inside] = (215, 130, 180)
    pixels[inside & (rng.random((600, 600)) < 0.15)] = (110, 60, 140)
    return SectionImage(pixels.clip(0, 255).astype(np.uint8), 4.0)


def section(name, z_um, points, genes=2, **options):
    spots = AnnData(np.ones((len(points), genes), dtype=np.float32), obsm={"spatial": points})
    return Section(name, z_um, spots, **options)


def stack_with_a_gap():
    known = section("known", 0.0, lattice_points(replace(HEX, pitch=150.0)))
    return SectionStack("s", (known, section("bare", 10.0, np.empty((0, 2)), genes=0, image=picture())), 150.0)


def test_sections_without_spots_get_those_of_the_known_section():
    stack = stack_with_a_gap()
    laid = lay_grids(stack)
    assert laid["known"] is stack["known"]
    bare = laid["bare"]
    assert bare.is_virtual
    assert not bare.is_measured
    assert fit_lattice(bare.points_um).kind == "hex"
    assert fit_lattice(bare.points_um).pitch == pytest.approx(150.0)
    assert bare.spots.n_obs == pytest.approx(np.pi * 900**2 / (150**2 * 3**0.5 / 2), rel=0.1)
    assert np.linalg.norm(bare.points_um - 1200, axis=1).max() < 910
    assert bare.spots.obs_names.is_unique
    assert "virtual spots on bare: a hex lattice, 150 um from spot to spot" in laid.notes[-1]
    again = lay_grids(stack_with_a_gap())["bare"]
    np.testing.assert_array_equal(again.points_um, bare.points_um)
    assert list(again.spots.obs_names) == list(bare.spots.obs_names)
    assert lay_grids(laid) is laid


def test_pitch_and_section_can_be_chosen():
    stack = stack_with_a_gap()
    square = section("square", 5.0, lattice_points(Lattice("square", 150.0, 0.0, (0, 0))))
    stack = replace(stack, sections=(*stack.sections, square))
    laid = lay_grids(stack, GridOptions(like="square", pitch_um=120.0))["bare"]
    assert fit_lattice(laid.points_um).kind == "square"
    assert fit_lattice(laid.points_um).pitch == pytest.approx(120.0)
    few = replace(stack, sections=(section("few", 0.0, np.zeros((1, 2))), stack["bare"]))
    assert lay_grids(few)["bare"].spots.n_obs > 50
    with pytest.raises(InputError, match="too few"):
        lay_grids(few, GridOptions(like="few"))


def test_what_cannot_be_laid_is_refused():
    bare = section("bare", 0.0, np.empty((0, 2)), genes=0)
    with pytest.raises(InputError, match="'bare' has neither spots nor an image"):
        lay_grid(bare, HEX)
    white = replace(bare, image=SectionImage(np.full((300, 300, 3), 245, dtype=np.uint8), 4.0))
    with pytest.raises(InputError, match="No tissue was found on the image of section 'bare'"):
        lay_grid(white, HEX)
    for options, match in (({"min_tissue": 0.0}, "min_tissue"), ({"pitch_um": -1.0}, "pitch_um")):
        with pytest.raises(InputError, match=match):
            GridOptions(**options)


def test_on_a_real_section_virtual_spots_lie_where_real_ones_do(real_data):
    stack = read_stack(real_data("her2st"), name="C", sections=["C1", "C2"])
    bare = replace(stack["C2"], spots=stack["C2"].spots[:0, :0].copy())
    laid = lay_grids(stack.with_sections({"C2": bare}))["C2"]
    real = stack["C2"].points_um
    assert fit_lattice(laid.points_um).kind == "square"
    assert laid.spots.n_obs == pytest.approx(len(real), rel=0.2)
    far = np.linalg.norm(real[:, None] - laid.points_um[None], axis=2).min(axis=1)
    assert np.mean(far < 200) > 0.95
