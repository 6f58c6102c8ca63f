"""Registration: laws of transforms, planted poses, and statuses that are never a silent identity."""

import warnings

import numpy as np
import pytest
from anndata import AnnData

from insignia.core.errors import InputError, RegistrationWarning
from insignia.data import Handling, Section, SectionStack, SerialOptions, Transform, simulate_sections
from insignia.data.bend import Bend
from insignia.data.warp import warp
from insignia.spatial.registration import from_landmarks, register, registration_table
from insignia.spatial.registration.gate import objections
from insignia.spatial.registration.pair import register_pair
from insignia.spatial.registration.views import view_of


def simulated(damage=None, *, seed=0, n_sections=2, handling=None, **options):
    return simulate_sections(
        SerialOptions(n_sections=n_sections, handling=handling or Handling.hard(), damage=damage or {}, **options),
        rng=seed,
    )


def error_in_pitches(simulated, registered, section="s2", reference="s1", *, of=None):
    """Median over the section's spots, or over some of them."""
    error = simulated.truth.alignment_error_um(registered, section, reference=reference)
    return float(np.median(error if of is None else error[of])) / registered.pitch_um


def turned(damage=None, *, seed):
    """Turned by up to 180 degrees, shifted, stretched by up to 5 % and stained differently."""
    return simulated(damage, seed=seed, handling=Handling(rotation_deg=180, shift_um=300, scale=0.05, stain=0.1))


def registered(made, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RegistrationWarning)
        return register(made.stack, reference="s1", **options)


@pytest.mark.parametrize("seed", [9, 13])
def test_sections_come_back_from_any_rotation(seed):
    made = turned(seed=seed)
    placed = register(made.stack, reference="s1")
    assert placed["s1"].pose.status == "reference"
    assert placed["s2"].pose.status == "registered"
    assert placed["s2"].pose.stage == "ecc"
    assert error_in_pitches(made, placed) < 0.25


@pytest.mark.full
def test_every_seed_comes_back_within_a_third_of_a_pitch():
    stacks = [turned(seed=seed) for seed in range(16)]
    placed = [registered(made) for made in stacks]
    assert all(stack["s2"].pose.is_ok for stack in placed)
    assert max(map(error_in_pitches, stacks, placed)) < 0.35


@pytest.mark.full
def test_torn_sections_are_within_half_a_pitch_on_every_seed():
    for seed in range(16):
        made = turned({"s2": ("tear",)}, seed=seed)
        placed = registered(made)
        assert placed["s2"].pose.is_ok
        assert error_in_pitches(made, placed, of=~made.truth["s2"].is_displaced) < 0.5


@pytest.mark.full
def test_sections_upside_down_are_recognised_and_foreign_ones_are_not():
    recognised = mistaken = foreign = 0
    for seed in range(16):
        made, other = (turned({"s2": (kind,)}, seed=seed) for kind in ("mirrored", "foreign"))
        pose = registered(made, mirrored=True)["s2"].pose
        recognised += pose.is_ok and pose.transform.is_mirrored
        mistaken += registered(made)["s2"].pose.is_ok
        foreign += registered(other)["s2"].pose.is_ok + registered(other, mirrored=True)["s2"].pose.is_ok
    assert (recognised >= 15, mistaken, foreign) == (True, 0, 0)


@pytest.mark.full
def test_most_sections_without_a_corner_are_accepted():
    """What is left need not tell enough; then they fail aloud."""
    stacks = [turned({"s2": ("corner",)}, seed=seed) for seed in range(16)]
    placed = [registered(made) for made in stacks]
    accepted = [stack["s2"].pose.is_ok for stack in placed]
    assert sum(accepted) >= 13
    errors = np.array([error_in_pitches(*pair) for pair in zip(stacks, placed, strict=True)])
    assert errors[accepted].max() < 0.6


@pytest.mark.parametrize("seed", [0, 7])
def test_refinement_is_kept_because_it_improves(seed):
    made = simulated(seed=seed)
    coarse, fine = (register(made.stack, reference="s1", stages=stages) for stages in (("mask",), ("mask", "ecc")))
    assert (coarse["s2"].pose.stage, fine["s2"].pose.stage) == ("mask", "ecc")
    assert error_in_pitches(made, fine) < 0.7 * error_in_pitches(made, coarse)


def test_a_foreign_section_fails_aloud():
    made = simulated({"s2": ("foreign",)}, seed=1)
    with pytest.warns(RegistrationWarning, match=r"1 of 2 sections could not be registered: s2 \(beside s1: "):
        placed = register(made.stack, reference="s1")
    assert not placed["s2"].pose.is_ok
    assert not np.allclose(placed["s2"].pose.transform.matrix, np.eye(2, 3))
    assert registration_table(placed).loc["s2", "note"] == placed["s2"].pose.note


def test_a_section_that_lies_upside_down_is_found_when_asked_for():
    made = simulated({"s2": ("mirrored",)}, seed=0)
    placed = register(made.stack, reference="s1", mirrored=True)
    assert placed["s2"].pose.transform.is_mirrored
    assert error_in_pitches(made, placed) < 0.5
    with pytest.warns(RegistrationWarning, match="it fits better turned over"):
        assert not register(made.stack, reference="s1")["s2"].pose.is_ok


def test_a_section_without_a_corner_is_placed_by_what_is_left():
    made = turned({"s2": ("corner",)}, seed=1)
    assert error_in_pitches(made, register(made.stack, reference="s1")) < 0.4


def test_a_torn_section_is_followed_on_both_sides():
    made = turned({"s2": ("tear",)}, seed=2)
    placed = register(made.stack, reference="s1")
    moved = made.truth["s2"].is_displaced
    assert placed["s2"].pose.stage == "pieces"
    (bend,) = placed["s2"].pose.transform.bends
    assert bend.smallest_jacobian > 0.2
    for piece in (moved, ~moved):
        assert error_in_pitches(made, placed, of=piece) < 0.4


def test_a_chain_reaches_sections_far_from_the_reference():
    made = simulated(seed=3, n_sections=3)
    placed = register(made.stack, reference="s1")
    assert all(section.pose.is_ok for section in placed)
    assert error_in_pitches(made, placed, "s3") < 0.6
    assert {"ncc", "iou", "inverse_um", "cycle_um"} <= set(placed["s3"].pose.quality)


def test_sections_without_pictures_are_placed_by_their_spots():
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(24.0), np.arange(24.0)), -1).reshape(-1, 2)
    inside = ((grid - [10, 12]) ** 2 / [81, 30]).sum(1) + 0.1 * (grid[:, 0] > 12) * (grid[:, 1] > 12) < 1
    points = grid[inside | ((grid - [4, 5]) ** 2).sum(1).__lt__(12)] * 100
    turn = Transform.rigid(40, np.array([300.0, -200.0]), about_um=points.mean(0))
    moved = turn.inverse().apply(points) + rng.normal(0, 5, points.shape)
    stack = SectionStack("x", (bare("a", 0.0, points), bare("b", 10.0, moved)), pitch_um=100.0)
    placed = register(stack, reference="a")
    assert placed["b"].pose.status == "registered"
    off = placed["b"].common_um[:, :2] - points
    assert np.median(np.linalg.norm(off, axis=1)) < 60


def bare(name, z, points):
    return Section(name, z, AnnData(np.zeros((len(points), 0), dtype=np.float32), obsm={"spatial": points}))


def test_given_transforms_and_landmarks_are_taken_as_they_are():
    made = simulated(seed=0, with_images=False)
    truth = made.truth.between("s2", "s1")
    placed = register(made.stack, reference="s1", transforms={"s2": truth})
    assert placed["s2"].pose.status == "given"
    np.testing.assert_array_equal(placed["s2"].pose.transform.matrix, truth.matrix)
    points = made.stack["s2"].points_um[:5]
    marked = register(made.stack, reference="s1", landmarks={"s2": (points, truth.apply(points))})
    np.testing.assert_allclose(marked["s2"].pose.transform.matrix, truth.matrix, atol=1e-6)


def test_landmarks_on_a_line_and_unknown_stages_are_refused():
    line = np.column_stack([np.arange(4.0), 2 * np.arange(4.0)])
    with pytest.raises(InputError, match="lie on a line"):
        from_landmarks(line, line)
    with pytest.raises(InputError, match="three or more pairs"):
        from_landmarks(line[:2], line[:2])
    with pytest.raises(InputError, match="stages are 'mask'"):
        register(simulated(with_images=False).stack, stages=("warp",))


def test_equal_runs_give_equal_poses():
    made = simulated(seed=4)
    first, second = (register(made.stack, reference="s1")["s2"].pose.transform.matrix for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_table_lists_every_section():
    made = simulated(seed=0)
    assert list(registration_table(made.stack)["status"]) == ["not registered"] * 2
    table = registration_table(register(made.stack, reference="s1"))
    assert list(table["status"]) == ["reference", "registered"]
    assert table.loc["s2", "iou"] > 0.7


def test_points_and_pictures_go_the_same_way():
    picture = np.zeros((120, 160), dtype=np.float32)
    picture[30:33, 90:93] = 1
    turn = Transform.rigid(25, np.array([12.0, -7.0]), about_um=np.array([160.0, 120.0]))
    drawn = warp(picture, 2.0, turn, shape=(150, 200))
    rows, columns = np.nonzero(drawn > 0.5)
    found = (np.array([columns.mean(), rows.mean()]) + 0.5) * 2.0
    np.testing.assert_allclose(found, turn.apply(np.array([[183.0, 63.0]]))[0], atol=1.0)


def test_a_bend_and_its_inverse_undo_each_other():
    grid = np.stack(np.meshgrid(np.linspace(0, 3, 9), np.linspace(0, 3, 8)), -1)
    bend = Bend(20 * np.sin(grid), (0.0, 0.0), 50.0)
    bent = Transform.rigid(30, np.array([5.0, 9.0])).then(Transform(np.eye(2, 3), (bend,)))
    points = np.random.default_rng(0).uniform(20, 300, (40, 2))
    np.testing.assert_allclose(bent.inverse().apply(bent.apply(points)), points, atol=0.01)
    twice = bent.then(Transform.rigid(-10, np.array([1.0, 2.0])))
    np.testing.assert_allclose(
        twice.apply(points), Transform.rigid(-10, np.array([1.0, 2.0])).apply(bent.apply(points))
    )


def test_itk_parameters_go_there_and_back():
    turn = Transform.rigid(33, np.array([5.0, -7.0]), about_um=np.array([100.0, 50.0]))
    np.testing.assert_allclose(Transform.from_itk(*turn.to_itk((40.0, 60.0))).matrix, turn.matrix)


def test_real_breast_sections_are_placed_by_their_pictures(real_data):
    from insignia.data import read_stacks

    real_data("her2st/ST-imgs/C/C2/5714_HE_BT_C2.jpg")
    (stack,) = read_stacks(real_data("her2st"), sections=["C2", "C3", "C4"])
    placed = register(stack, reference="C2")
    for name in ("C3", "C4"):
        assert placed[name].pose.status == "registered"
        assert placed[name].pose.quality["iou"] >= 0.93
        assert abs(placed[name].pose.transform.degrees) < 15


@pytest.fixture(scope="module")
def cortex(real_data):
    """Sections of cortex as (section, pitch), and the layer of every spot."""
    import pandas as pd

    from insignia.data import read_stacks

    table = pd.read_csv(
        real_data("dlpfc/10X/barcode_level_layer_map.tsv"), sep="\t", header=None, names=["b", "section", "layer"]
    )
    sections, layers = {}, {}
    for stack in read_stacks(real_data("dlpfc/10X")):
        for section in stack:
            own = table[table["section"] == int(section.name)].set_index("b")["layer"]
            sections[section.name] = section, stack.pitch_um
            layers[section.name] = own.reindex(section.spots.obs_names.str.split("/").str[-1]).to_numpy()
    return sections, layers


def registered_cortex(cortex, moving, fixed):
    """The pair, and the share of spots that land beside a spot of their own layer."""
    import pandas as pd
    from scipy.spatial import cKDTree

    sections, layers = cortex
    pair = register_pair(*(view_of(*sections[name]) for name in (moving, fixed)))
    first, second = (sections[name][0].points_um for name in (moving, fixed))
    carried = layers[fixed][cKDTree(second).query(pair.whole.apply(first))[1]]
    both = pd.notna(layers[moving]) & pd.notna(carried)
    return pair, (layers[moving][both] == carried[both]).mean()


@pytest.mark.parametrize(
    ("moving", "fixed"),
    [("151508", "151507"), ("151510", "151509"), ("151670", "151669"), ("151672", "151671"), ("151674", "151673")],
)
def test_layers_of_cortex_meet_their_neighbours(cortex, moving, fixed):
    pair, same_layer = registered_cortex(cortex, moving, fixed)
    assert objections(pair) == ()
    assert same_layer >= 0.85


def test_cortex_from_300_um_away_is_not_placed_by_accident(cortex):
    """An affine map by the picture alone was seen to carry .57 of the layers here, where the sections as mounted give
    .80: what is returned must be better than that, or must be refused."""
    pair, same_layer = registered_cortex(cortex, "151671", "151670")
    assert objections(pair)
    assert same_layer > 0.65
