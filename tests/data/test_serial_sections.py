"""Simulated serial sections: what the truth says is what images, spots and counts show."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data import (
    GENE_GROUPS,
    TISSUES,
    Handling,
    Pose,
    SerialOptions,
    Transform,
    detect_space,
    hide_counts,
    simulate_donors,
    simulate_sections,
)
from insignia.data.section_placement import Placement

EASY = SerialOptions(n_sections=3)
NO_PICTURES = replace(EASY, with_images=False)


@pytest.fixture(scope="module")
def easy():
    return simulate_sections(EASY)


def same(one, other):
    """Whether two sections have bit-equal spots and images."""
    spots = [np.array_equal(a, b) for a, b in zip(parts(one.spots), parts(other.spots), strict=True)]
    pictures = [section.image.pixels if section.image else np.zeros(0) for section in (one, other)]
    return all(spots), np.array_equal(*pictures)


def parts(spots):
    return spots.X.toarray(), spots.obsm[keys.SPATIAL], spots.obs_names.to_numpy(), spots.var_names.to_numpy()


def test_set_up(easy):
    stack = easy.stack
    assert stack.names == stack.measured == ("s1", "s2", "s3")
    assert [section.z_um for section in stack] == [0, 90, 180]
    names = np.concatenate([section.spots.obs_names for section in stack])
    assert len(set(names)) == len(names)
    for section in stack:
        assert section.pose is None
        assert detect_space(section.spots.X) == "counts"
        assert section.image.pixels.shape == (640, 640, 3)
        assert 250 < section.spots.n_obs < 420
        distance = np.linalg.norm(section.points_um[:, None] - section.points_um[None], axis=2)
        np.fill_diagonal(distance, np.inf)
        assert distance.min() == pytest.approx(stack.pitch_um)
    # spots lie on a grid of each section's own
    corners = [section.points_um % [100, 100 * np.sqrt(3)] for section in stack]
    assert len({tuple(np.round(corner[0])) for corner in corners}) == 3
    assert easy.truth.genes["group"].value_counts().to_dict() == dict.fromkeys(GENE_GROUPS, 20)


def test_seed_decides_and_scale_of_images_changes_no_count():
    first, again, other = (simulate_sections(EASY, rng=seed).stack["s2"] for seed in (3, np.random.default_rng(3), 4))
    assert same(first, again) == (True, True)
    assert same(first, other) == (False, False)
    for options in (NO_PICTURES, replace(EASY, um_per_px=8.0)):
        assert same(first, simulate_sections(options, rng=3).stack["s2"]) == (True, False)


def test_counts_follow_the_rates(easy):
    for name in easy.stack.names:
        truth, counts = easy.truth[name], easy.stack[name].spots.X.toarray()
        np.testing.assert_allclose(truth.rates.sum(axis=1), 1)
        np.testing.assert_allclose(truth.composition.sum(axis=1), 1)
        shares = counts.sum(axis=0) / counts.sum()
        np.testing.assert_allclose(shares, truth.rates.mean(axis=0), rtol=0.25, atol=5e-4)
        spread = np.log(truth.rates).std(axis=0)
        control = easy.truth.in_group("D")  # moves only with what the others leave of the total
        assert spread[control].max() < 0.35 * np.median(spread[~control])


def test_rates_are_what_the_gene_table_says(easy):
    genes, truth = easy.truth.genes, easy.truth["s2"]
    level = (
        genes["level"].to_numpy()
        + truth.composition.to_numpy() @ genes[list(TISSUES)].to_numpy().T
        + truth.hidden @ genes[["hidden1", "hidden2", "hidden3"]].to_numpy().T
    )
    rates = np.exp(level) / np.exp(level).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(truth.rates, rates)
    assert not genes.loc[genes["group"].isin(["B", "D"]), list(TISSUES)].to_numpy().any()
    assert not genes.loc[genes["group"].isin(["A", "D"]), ["hidden1", "hidden2", "hidden3"]].to_numpy().any()


def test_effects_of_a_group_cancel_in_the_total_so_that_controls_keep_their_share(easy):
    genes = easy.truth.genes
    share = np.exp(genes["level"])
    for _, members in genes.groupby("group"):
        effects = members[[*TISSUES, "hidden1", "hidden2", "hidden3"]]
        np.testing.assert_allclose(share[members.index] @ effects, 0, atol=1e-9)


def test_affine_truth_is_the_whole_truth_when_nothing_is_deformed(easy):
    for section in easy.stack:
        truth = easy.truth[section.name]
        np.testing.assert_allclose(truth.transform.apply(section.points_um), truth.common_um, atol=1e-6)
    there = easy.truth.between("s1", "s3").apply(easy.stack["s1"].points_um)
    back = easy.truth.between("s3", "s1").apply(there)
    np.testing.assert_allclose(back, easy.stack["s1"].points_um, atol=1e-6)


def test_deformation_has_its_size_and_no_affine_part():
    handling = replace(Handling(), deformation_um=20.0)
    placement = Placement.draw(handling, 2560.0, (), np.random.default_rng(1))
    y, x = (part.ravel() for part in np.mgrid[0:2560:24j, 0:2560:24j])
    moved = placement.displaced_by_um(np.column_stack([x, y]))
    assert np.sqrt((moved**2).sum(axis=1).mean()) == pytest.approx(20, rel=0.01)
    affine = np.column_stack([x / 2560, y / 2560, np.ones(len(x))])
    assert np.abs(affine.T @ moved).max() < 1e-6 * len(x)
    made = simulate_sections(replace(NO_PICTURES, handling=handling), rng=1)
    for section in made.stack:
        truth = made.truth[section.name]
        residual = truth.common_um - truth.transform.apply(section.points_um)
        assert 6 < np.sqrt((residual**2).sum(axis=1).mean()) < 40


def stained(section):
    """Mean absorption of red light, where hematoxylin is strongest, in a patch around each spot."""
    image = section.image
    absorption = ndimage.uniform_filter(-np.log((image.pixels[..., 0] + 1.0) / 244), 35)
    x, y = np.floor(section.points_um / image.um_per_px).astype(int).T
    return absorption[y, x]


@pytest.mark.parametrize("handling", [Handling(), Handling.hard()], ids=["easy", "hard"])
def test_images_show_the_tissue_under_the_spots(handling):
    made = simulate_sections(replace(EASY, n_sections=2, handling=handling), rng=5)
    for section in made.stack:
        truth = made.truth[section.name]
        x, y = np.floor(section.points_um / section.image.um_per_px).astype(int).T
        assert truth.mask[y, x].mean() > 0.98
        cells = truth.composition[["epithelium", "tumour"]].sum(axis=1).to_numpy()
        assert np.corrcoef(cells, stained(section))[0, 1] > 0.6
        # turned by half, or with x and y exchanged, it would not fit
        width, height = section.image.size_um
        for points in ([width, height] - section.points_um, section.points_um[:, ::-1]):
            moved = replace(section, spots=section.spots.copy())
            moved.spots.obsm[keys.SPATIAL] = points
            assert np.corrcoef(cells, stained(moved))[0, 1] < 0.45


def test_slide_holds_the_tissue_however_it_is_mounted():
    for seed in range(4):
        made = simulate_sections(replace(EASY, n_sections=2, um_per_px=16.0, handling=Handling.hard()), rng=seed)
        for truth in made.truth.sections.values():
            rim = np.concatenate([truth.mask[[0, -1]].ravel(), truth.mask[:, [0, -1]].ravel()])
            assert not rim.any()
            assert truth.mask.mean() > 0.15


def test_groups_follow_what_they_should():
    within, across = [], []
    for seed in range(3):
        made = simulate_sections(NO_PICTURES, rng=seed)
        first, last = made.truth["s1"], made.truth["s3"]
        within.append(explained(first.composition.to_numpy()[:, 1:], np.log(first.rates), made.truth))
        across.append(explained(first.hidden, np.log(first.rates), made.truth))
        # the invisible fields of the next sections are alike, and so they can be carried over
        near = np.argmin(np.linalg.norm(first.common_um[:, None] - last.common_um[None], axis=2), axis=1)
        assert np.corrcoef(first.hidden[:, 0], last.hidden[near, 0])[0, 1] > 0.75
    image, neighbours = np.mean(within, axis=0), np.mean(across, axis=0)
    assert image[0] > 0.8
    assert image[1] < 0.3
    assert neighbours[1] > 0.8
    assert neighbours[0] < 0.35
    assert 0.2 < image[2] < 0.95
    assert 0.1 < neighbours[2] < 0.95


def explained(predictors, values, truth):
    """Fraction of variance that a linear fit explains, median over the genes of A, B and C."""
    design = np.column_stack([predictors, np.ones(len(predictors))])
    rest = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    fraction = 1 - rest.var(axis=0) / values.var(axis=0)
    return [np.median(fraction[truth.in_group(group)]) for group in "ABC"]


@pytest.mark.parametrize("kind", ["corner", "fold", "foreign", "mirrored", "no_image", "pen", "stain", "tear"])
def test_damage_does_what_it_says_to_its_section_alone(easy, kind):
    made = simulate_sections(replace(EASY, damage={"s2": (kind,)}))
    for untouched in ("s1", "s3"):
        assert same(made.stack[untouched], easy.stack[untouched]) == (True, True)
    before, section = easy.stack["s2"], made.stack["s2"]
    truth, intact = made.truth["s2"], easy.truth["s2"]
    assert truth.damage == (kind,)
    only_the_image = kind in ("no_image", "pen", "stain")
    assert same(before, section) == (only_the_image, False)
    moved = np.linalg.norm(intact.transform.apply(section.points_um) - truth.common_um, axis=1)
    if kind == "corner":
        assert 0.6 * before.spots.n_obs < section.spots.n_obs < 0.92 * before.spots.n_obs
        assert truth.mask.sum() < 0.92 * intact.mask.sum()
        assert not (truth.mask & ~intact.mask).any()
    elif kind in ("tear", "fold"):
        assert 0.05 < truth.is_displaced.mean() < 0.5
        np.testing.assert_allclose(moved[~truth.is_displaced], 0, atol=1e-6)
        assert moved[truth.is_displaced].min() > 40
        assert section.spots.n_obs < 1.02 * before.spots.n_obs
    elif kind == "mirrored":
        assert np.linalg.det(truth.transform.matrix[:, :2]) < 0 < np.linalg.det(intact.transform.matrix[:, :2])
    elif kind == "foreign":
        assert truth.transform is None
        with pytest.raises(InputError, match="'s1' or 's2' is tissue of another block"):
            made.truth.between("s1", "s2")
    elif kind == "no_image":
        assert section.image is None
        assert truth.mask is None
    else:
        changed = (section.image.pixels != before.image.pixels).any(axis=2)
        assert changed.mean() < 0.1 if kind == "pen" else changed.mean() > 0.5
        assert np.array_equal(truth.mask, intact.mask)


def test_a_tear_opens_a_gap_and_a_fold_is_dark():
    made = simulate_sections(replace(EASY, n_sections=2, damage={"s1": ("tear",), "s2": ("fold",)}), rng=2)
    torn = ndimage.binary_opening(made.truth["s1"].mask, iterations=3)
    labels, _ = ndimage.label(torn)
    sizes = np.sort(np.bincount(labels.ravel())[1:])[::-1]
    assert sizes[1] > 0.05 * sizes[0]
    grey = made.stack["s2"].image.pixels.mean(axis=2)
    dark = ndimage.uniform_filter(grey, 9)
    assert np.percentile(dark, 0.5) < 0.75 * np.median(dark[made.truth["s2"].mask])


def test_alignment_error_is_measured_in_the_frame_of_the_reference():
    made = simulate_sections(replace(NO_PICTURES, damage={"s3": ("mirrored",)}), rng=4)
    shift = Transform.rigid(25.0, np.array([300.0, -50.0]))
    registered = made.stack.with_sections(
        {
            section.name: replace(section, pose=Pose(made.truth[section.name].transform.then(shift), "registered"))
            for section in made.stack
        }
    )
    for name in made.stack.names:
        assert made.truth.alignment_error_um(registered, name, reference="s1").max() < 1e-6
    off = made.truth["s2"].transform.then(shift).then(Transform.rigid(0.0, np.array([3.0, 4.0])))
    moved = registered.with_sections({"s2": replace(registered["s2"], pose=Pose(off, "registered"))})
    np.testing.assert_allclose(made.truth.alignment_error_um(moved, "s2", reference="s1"), 5)
    with pytest.raises(InputError, match="reference 's1' needs a pose"):
        made.truth.alignment_error_um(made.stack, "s2", reference="s1")


def test_donors_share_what_tissue_does_to_genes_and_nothing_else():
    options = replace(NO_PICTURES, n_sections=2)
    first, second, _ = simulate_donors(3, options, rng=7)
    assert (first.stack.name, second.stack.name) == ("donor1", "donor2")
    effects = [*TISSUES, "hidden1", "hidden2", "hidden3"]
    assert first.truth.genes[effects].equals(second.truth.genes[effects])
    assert 0.2 < (first.truth.genes["level"] - second.truth.genes["level"]).std() < 0.7
    assert not np.array_equal(first.truth["s1"].hidden[:50], second.truth["s1"].hidden[:50])
    assert not set(first.stack["s1"].spots.obs_names) & set(second.stack["s1"].spots.obs_names)
    alone = simulate_donors(1, options, rng=7)[0]
    assert same(alone.stack["s1"], first.stack["s1"]) == (True, True)


def test_hidden_counts_leave_places_and_nothing_that_derives_from_counts(easy):
    stack = easy.stack
    spots = stack["s2"].spots.copy()
    spots.obs["total_counts"] = spots.X.sum(axis=1)
    spots.obsm["X_pca"] = spots.X.toarray()[:, :3]
    spots.layers["counts"] = spots.X.copy()
    spots.uns["totals"] = spots.X.sum(axis=0)
    stack = stack.with_sections({"s2": replace(stack["s2"], spots=spots)})
    hidden = hide_counts(stack, ("s1",))
    assert hidden.measured == ("s1",)
    assert stack.measured == ("s1", "s2", "s3")
    assert hidden["s1"] is stack["s1"]
    left = hidden["s2"].spots
    assert left.obs_names.equals(spots.obs_names)
    np.testing.assert_array_equal(hidden["s2"].points_um, stack["s2"].points_um)
    assert hidden["s2"].image is stack["s2"].image
    assert left.n_vars == 0
    assert list(left.obs.columns) == []
    assert list(left.obsm) == [keys.SPATIAL]
    assert not left.layers
    assert not left.uns
    assert hide_counts(stack, "s1").measured == ("s1",)


def test_refusals(easy):
    with pytest.raises(InputError, match="no section 's9'"):
        hide_counts(easy.stack, ("s9",))
    with pytest.raises(InputError, match=r"'s2' cannot stay known: it has no counts\. Measured: s1"):
        hide_counts(hide_counts(easy.stack, ("s1",)), ("s2",))
    with pytest.raises(InputError, match="n_sections must be at least 1, not 0"):
        SerialOptions(n_sections=0)
    with pytest.raises(InputError, match="um_per_px must be positive, not 0"):
        SerialOptions(um_per_px=0)
    with pytest.raises(InputError, match="size_um=500 has no room for spots of pitch_um=100"):
        SerialOptions(size_um=500)
    with pytest.raises(InputError, match="'hexagonal' or 'square', not 'round'"):
        SerialOptions(lattice="round")
    with pytest.raises(InputError, match="names the section 's7'; there are s1, s2"):
        SerialOptions(n_sections=2, damage={"s7": ("tear",)})
    with pytest.raises(InputError, match="no damage 'burn'; there are corner, fold"):
        SerialOptions(damage={"s1": ("burn",)})
    with pytest.raises(InputError, match=r"takes a sequence for each section: \{'s1': \('tear',\)\}"):
        SerialOptions(damage={"s1": "tear"})
    with pytest.raises(InputError, match="shift_um must not be negative, found -1"):
        Handling(shift_um=-1)
    with pytest.raises(InputError, match="rotation_deg goes up to 180"):
        Handling(rotation_deg=200)
