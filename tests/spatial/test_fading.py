"""How much persists from section to section."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from tests.spatial.spot_stacks import stack

from insignia.spatial.fading import Fading, measure_fading

SIDE = 20


def fields(share, n_sections, *, n_fields=12, seed=0):
    """Smooth fields of sections, each a share of those of the one before and the rest of its own."""
    rng = np.random.default_rng(seed)

    def draw():
        smooth = np.stack([gaussian_filter(rng.normal(size=(SIDE, SIDE)), 2.5).ravel() for _ in range(n_fields)], 1)
        return (smooth - smooth.mean(0)) / smooth.std(0)

    made = [draw()]
    for _ in range(n_sections - 1):
        made.append(share * made[-1] + np.sqrt(1 - share**2) * draw())
    return np.concatenate(made).astype(np.float32)


def make(share, *, n_sections=5, known=(0,), noise=0.0, **options):
    spots = stack(side=SIDE, sections=n_sections, jitter=0.0)
    spots.xyz_um[:, :2] = np.tile(spots.xyz_um[: SIDE**2, :2], (n_sections, 1))
    is_known = np.isin(spots.section, known)
    values = fields(share, n_sections)
    values += noise * np.random.default_rng(9).normal(size=values.shape).astype(np.float32)
    expression = np.where(is_known[:, None], values, np.nan).astype(np.float32)
    return replace(spots, features=values, expression=expression, is_known=is_known, **options)


def test_persistence_is_one_within_a_section_and_falls_with_every_gap():
    fading = Fading(0.1, 0.2, 20.0, "given")
    np.testing.assert_allclose(
        fading.persistence(np.array([0.0, 20.0, -60.0]), np.array([True, False, False])),
        [1, np.exp(-0.3), np.exp(-0.7)],
    )


@pytest.mark.parametrize("decay", [0.0, 0.15, 0.4])
def test_images_tell_how_quickly_sections_differ(decay):
    fading = measure_fading(make(np.exp(-decay)))
    assert fading.source == "image"
    assert fading.gap_um == 20.0
    got = fading.persistence(20.0 * np.arange(1, 5), np.zeros(4, dtype=bool))
    np.testing.assert_allclose(got, np.exp(-decay * np.arange(1, 5)), atol=0.12)


def test_noise_in_the_features_is_not_taken_for_fading():
    fading = measure_fading(make(np.exp(-0.2), noise=0.7))
    got = fading.persistence(20.0 * np.arange(1, 5), np.zeros(4, dtype=bool))
    np.testing.assert_allclose(got, np.exp(-0.2 * np.arange(1, 5)), atol=0.12)


def test_several_known_sections_tell_it_by_their_expression():
    spots = make(np.exp(-0.25), known=(0, 1, 3, 4))
    fading = measure_fading(replace(spots, features=None))
    assert fading.source == "expression"
    got = fading.persistence(20.0 * np.arange(1, 5), np.zeros(4, dtype=bool))
    np.testing.assert_allclose(got, np.exp(-0.25 * np.arange(1, 5)), atol=0.12)
    assert measure_fading(spots) == fading, "expression goes before the image"


def test_without_images_and_with_one_known_section_there_is_a_prior():
    spots = make(0.5, n_sections=2)
    assert measure_fading(replace(spots, features=None)).source == "prior"
    alone = replace(spots, is_placed=spots.section == 0)
    assert measure_fading(alone).source == "prior"


def test_expression_that_is_not_known_says_nothing():
    spots = make(0.8, n_sections=3)
    poisoned = spots.expression.copy()
    poisoned[~spots.is_known] = 9.0
    assert measure_fading(replace(spots, expression=poisoned)) == measure_fading(spots)


def test_hidden_spots_of_known_sections_are_left_out():
    spots = make(0.8, known=(0, 2))
    hidden = spots.hide(spots.is_known & (np.arange(len(spots)) % 4 == 0))
    partly, whole = measure_fading(hidden), measure_fading(spots)
    assert partly.source == "expression"
    assert partly.step + 2 * partly.slope == pytest.approx(whole.step + 2 * whole.slope, abs=0.1)
