"""The blend of image and known sections, and the average of imputers, on planted truth."""

from dataclasses import replace

import numpy as np
import pytest
from tests.spatial.section_stacks import section_stack

from insignia.core.errors import InputError
from insignia.spatial.assemble import assemble
from insignia.spatial.fading import Fading
from insignia.spatial.imputers import Blend, Ensemble, Kernel, Mean, Ridge
from insignia.spatial.imputers.blend import BlendOptions
from insignia.spatial.merge import merge_stacks
from insignia.spatial.panel import choose_panel
from insignia.spatial.program_model import ModelOptions
from insignia.stats import column_correlation

IMAGE_GENES, PLACE_GENES = slice(0, None, 2), slice(1, None, 2)


def make(*, known=("s0",), side=10, **options):
    """Even genes follow the first feature, odd ones a field that the features do not show."""
    stack = section_stack(side=side, **options)
    names = [f"gene{i:02}" for i in range(12)]
    panel = choose_panel([stack["s0"].spots], names)
    return assemble(stack, panel, known=known), assemble(stack, panel).expression


@pytest.fixture(scope="module")
def planted():
    return make()


@pytest.fixture(scope="module")
def imputed(planted):
    return Blend().impute(planted[0])


def error(values, truth, rows):
    return ((values[rows] - truth[rows]) ** 2).mean()


def test_it_beats_each_of_its_parts(planted, imputed):
    spots, truth = planted
    asked = ~spots.is_known
    blended = error(imputed.mean, truth, asked)
    for part in (Kernel(), Ridge()):
        assert blended < error(part.impute(spots).mean, truth, asked)


def test_the_parts_add_up_to_what_is_imputed(planted, imputed):
    mean = planted[0].expression[planted[0].is_known].mean(axis=0)
    added = mean + sum(part - mean for part in imputed.parts.values())
    np.testing.assert_allclose(imputed.mean, added, atol=1e-4)


def strengths(imputed, rows, genes):
    """Standard deviation over spots of what place and image add, averaged over genes."""
    parts = (imputed.parts["propagated"], imputed.parts["image"])
    return [float(part[rows][:, genes].std(axis=0).mean()) for part in parts]


def test_the_image_says_more_of_genes_that_it_shows(planted, imputed):
    rows = ~planted[0].is_known
    shown, unseen = strengths(imputed, rows, IMAGE_GENES), strengths(imputed, rows, PLACE_GENES)
    assert shown[1] / shown[0] > 2 * unseen[1] / unseen[0]


def test_the_place_fades_with_depth_and_the_image_does_not():
    spots, _ = make(sections=5)
    imputed = Blend(BlendOptions(fading=Fading(0.1, 0.3, 20.0, "given"))).impute(spots)
    near, far = (strengths(imputed, spots.section == section, IMAGE_GENES) for section in (1, 4))
    assert far[0] < 0.6 * near[0]
    assert far[1] == pytest.approx(near[1], rel=0.15)


def test_the_say_of_the_place_falls_with_support(planted):
    spots, _ = planted
    pushed = spots.xyz_um.copy()
    rows, steps = np.flatnonzero(spots.section == 1)[:5], np.array([0.0, 200.0, 400.0, 800.0, 4000.0])
    pushed[rows, :2] = pushed[np.flatnonzero(spots.is_known)[9], :2] + np.column_stack([steps, -steps])
    features = spots.features.copy()
    features[rows] = features[rows[0]]
    moved = Blend().impute(replace(spots, xyz_um=pushed, features=features))
    said = np.abs(moved.parts["propagated"][rows] - spots.expression[spots.is_known].mean(axis=0)).mean(axis=1)
    assert (np.diff(said) < 0).all()
    assert said[-1] < 1e-3
    assert (np.diff(moved.sd[rows].mean(axis=1)) > -1e-6).all()


def test_sections_that_are_not_placed_come_from_the_image(planted):
    spots, truth = planted
    lost = Blend().impute(replace(spots, is_placed=spots.section != 2))
    rows, mean = spots.section == 2, spots.expression[spots.is_known].mean(axis=0)
    np.testing.assert_allclose(lost.parts["propagated"][rows], np.tile(mean, (rows.sum(), 1)), atol=1e-5)
    assert column_correlation(lost.mean[rows], truth[rows])[IMAGE_GENES].mean() > 0.4
    assert any("from their image alone" in note for note in lost.notes)
    partly = spots.features.copy()
    partly[np.flatnonzero(spots.is_known)[:40]] = np.nan
    some = Blend().impute(replace(spots, features=partly, is_placed=spots.section != 2))
    assert some.record["image"]["known_spots"] == 60
    kept = Blend().impute(spots)
    assert lost.sd[rows].mean() > 1.05 * kept.sd[rows].mean()


def test_spots_without_an_image_come_from_known_sections_as_well_as_if_no_spot_had_one(planted):
    spots, truth = planted
    features = spots.features.copy()
    features[spots.section == 2] = np.nan
    some, none = Blend().impute(replace(spots, features=features)), Blend().impute(replace(spots, features=None))
    rows = spots.section == 2
    assert column_correlation(some.mean[rows], truth[rows])[PLACE_GENES].mean() > 0.4
    assert error(some.mean, truth, rows) < 1.05 * error(none.mean, truth, rows)
    mean = spots.expression[spots.is_known].mean(axis=0)
    np.testing.assert_allclose(some.parts["image"][rows], np.tile(mean, (rows.sum(), 1)), atol=1e-5)
    assert any(note.startswith("100 spots without features") for note in some.notes)
    assert any("taken from other data" in note for note in none.notes)


def test_permuted_known_spots_predict_nothing(planted):
    spots, truth = planted
    rows, asked, found = np.flatnonzero(spots.is_known), ~spots.is_known, []
    for seed in range(6):
        permuted = spots.expression.copy()
        permuted[rows] = spots.expression[np.random.default_rng(seed).permutation(rows)]
        imputed = Blend().impute(replace(spots, expression=permuted))
        found.append(column_correlation(imputed.mean[asked], truth[asked]).mean())
    # genes follow two fields, so one permutation can be lucky with all of them
    assert abs(np.mean(found)) < 0.12


def test_tiles_hardly_change_what_is_imputed(planted, imputed):
    spots, _ = planted
    cut = Blend(BlendOptions(model=ModelOptions(most_spots=40, halo_pitches=4.0))).impute(spots)
    assert np.abs(cut.mean - imputed.mean).mean() < 0.1 * imputed.mean.std(axis=0).mean()


def test_donors_teach_what_the_image_shows():
    """Loadings are drawn by the seed, so donors here share the genes' response and differ in their level."""
    spots, truth = make(known=())
    donors = []
    for seed in (5, 6):
        donor, _ = make(known=("s0", "s1", "s2"), noise=0.3 + 0.01 * seed)
        donors.append(replace(donor, expression=donor.expression + np.float32(seed)))
    imputed = Blend().impute(spots, training=donors)
    assert column_correlation(imputed.mean, truth)[IMAGE_GENES].mean() > 0.5
    merged = merge_stacks(spots, donors)
    assert len(merged) == 3 * len(spots)
    assert not merged.is_placed[len(spots) :].any()
    level = [merged.expression[i * len(spots) : (i + 1) * len(spots)].mean(axis=0) for i in (1, 2)]
    np.testing.assert_allclose(level[0], level[1], atol=1e-4)


def test_an_ensemble_is_the_average_of_its_members(planted):
    spots, _ = planted
    members = {"first": Kernel(), "second": Ridge()}
    both = Ensemble(members).impute(spots)
    each = [one.impute(spots) for one in members.values()]
    means = np.stack([one.mean for one in each])
    np.testing.assert_allclose(both.mean, means.mean(axis=0), atol=1e-6)
    expected = np.mean([one.sd**2 for one in each], axis=0) + means.var(axis=0)
    np.testing.assert_allclose(both.sd, np.sqrt(expected), rtol=1e-4)
    assert both.record["members"] == ["first", "second"]


def test_an_ensemble_leaves_out_who_needs_what_is_not_there(planted):
    bare = replace(planted[0], features=None)
    some = Ensemble(("mean", "ridge")).impute(bare)
    np.testing.assert_array_equal(some.mean, Mean().impute(bare).mean)
    assert some.notes == ("ridge needs features of the image and was left out of the ensemble",)
    with pytest.raises(InputError, match="All members of the ensemble need features"):
        Ensemble(("ridge",)).impute(bare)
    with pytest.raises(InputError, match="at least one member"):
        Ensemble(())
