"""Z-scores within a section."""

import numpy as np
import pytest

from insignia.core.errors import InputError
from insignia.spatial.features.scaling import zscore_within_section

RNG = np.random.default_rng(0)


def test_columns_have_mean_0_and_deviation_1():
    scaled = zscore_within_section(RNG.normal(5, 3, (300, 4)), clip=100)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-6)
    assert scaled.dtype == np.float32


def test_a_change_of_gain_and_offset_makes_no_difference():
    features = RNG.normal(size=(60, 3))
    np.testing.assert_allclose(
        zscore_within_section(features * [2, 9, 0.1] + 7), zscore_within_section(features), atol=1e-5
    )


def test_outliers_are_clipped():
    features = np.append(np.zeros(99), 1e6)[:, None]
    features[:50] = 1
    assert zscore_within_section(features).max() == 4
    assert zscore_within_section(features, clip=2).max() == 2


def test_a_constant_is_0_even_with_the_rounding_of_float32():
    features = np.full((50, 1), 123.4, dtype=np.float32)
    features[::2] = np.nextafter(features[::2], np.float32(1e9))
    assert (zscore_within_section(features) == 0).all()
    assert (zscore_within_section(np.zeros((5, 2))) == 0).all()


def test_rows_without_features_stay_so_and_do_not_count():
    features = RNG.normal(size=(40, 2))
    with_gap = np.insert(features, 7, [np.nan, 1e9], axis=0)
    scaled = zscore_within_section(with_gap)
    assert np.isnan(scaled[7]).all()
    np.testing.assert_array_equal(np.delete(scaled, 7, axis=0), zscore_within_section(features))
    assert np.isnan(zscore_within_section(np.full((3, 2), np.nan))).all()


def test_reference_spots_set_the_scale():
    features = RNG.normal(size=(100, 2))
    features[50:] += 20
    reference = np.arange(100) < 50
    scaled = zscore_within_section(features, reference=reference, clip=100)
    np.testing.assert_allclose(scaled[reference].mean(axis=0), 0, atol=1e-6)
    assert scaled[~reference].min() > 10


def test_a_reference_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"reference is \(4,\) of bool, found \(3,\)"):
        zscore_within_section(np.ones((4, 1)), reference=np.ones(3, dtype=bool))
    with pytest.raises(InputError, match="None of the reference spots has features"):
        zscore_within_section(np.ones((4, 1)), reference=np.zeros(4, dtype=bool))
