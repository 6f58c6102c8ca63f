"""Coverage of intervals whose chance is known, in all and by bin."""

import numpy as np
import pytest
from scipy.stats import norm

from insignia.core.errors import InputError
from insignia.stats import conformal_width, coverage_by_bin, interval_coverage


def test_intervals_of_the_right_width_cover_what_they_promise():
    rng = np.random.default_rng(0)
    measured, half = rng.normal(0, 2, (2000, 20)), 2 * norm.ppf(0.95)
    coverage, width = interval_coverage(np.full_like(measured, -half), np.full_like(measured, half), measured)
    assert coverage == pytest.approx(0.90, abs=0.005)
    assert width == pytest.approx(2 * half)


def test_ends_belong_to_an_interval():
    assert interval_coverage(np.zeros(4), np.ones(4), np.array([0.0, 1.0, 1.5, -0.5]))[0] == 0.5


def test_bins_find_where_coverage_fails():
    rng = np.random.default_rng(0)
    support = np.repeat([0.0, 0.3, 1.0], 500)
    noise = np.where(support == 0, 3.0, 1.0)[:, None]
    measured = noise * rng.normal(size=(1500, 10))
    half = norm.ppf(0.95) * np.ones_like(measured)
    table = coverage_by_bin(-half, half, measured, support, [0.0, 0.1, 0.5, 1.0])
    assert table["rows"].tolist() == [500, 500, 500]
    assert table["coverage"].tolist() == pytest.approx([2 * norm.cdf(norm.ppf(0.95) / 3) - 1, 0.9, 0.9], abs=0.02)
    # each row belongs to one bin, so that the bins add up to the whole
    whole = interval_coverage(-half, half, measured)[0]
    assert (table["coverage"] * table["rows"]).sum() / 1500 == pytest.approx(whole)


def test_empty_bins_and_rows_outside_are_left_out():
    table = coverage_by_bin(np.zeros((3, 1)), np.ones((3, 1)), np.ones((3, 1)), np.array([-1.0, 0.5, 9.0]), [0, 1, 2])
    assert table[["from", "to", "rows"]].to_numpy().tolist() == [[0, 1, 1]]


def test_intervals_refuse():
    with pytest.raises(InputError, match="1 of 2 intervals end before they begin"):
        interval_coverage(np.array([0.0, 2.0]), np.ones(2), np.ones(2))
    with pytest.raises(InputError, match="one shape"):
        interval_coverage(np.zeros(2), np.ones(3), np.ones(2))
    with pytest.raises(InputError, match="Edges of bins must ascend"):
        coverage_by_bin(np.zeros((1, 1)), np.ones((1, 1)), np.ones((1, 1)), np.zeros(1), [1, 0])


def test_a_conformal_interval_holds_new_values_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = []
    for n in (9, 19, 40):
        old, new = rng.standard_t(3, (400, n)), rng.standard_t(3, (400, 50))
        width = np.array([conformal_width(errors, level=0.9) for errors in old])
        inside.append(np.mean(np.abs(new) <= width[:, None]))
    expected = [np.ceil((n + 1) * 0.9) / (n + 1) for n in (9, 19, 40)]
    np.testing.assert_allclose(inside, expected, atol=0.02)
    assert np.isnan(conformal_width(np.ones(8), level=0.9))
