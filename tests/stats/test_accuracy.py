"""Correlation, skill and variance ratio against their plain definitions, and where they are not defined."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from insignia.core.errors import InputError
from insignia.stats import column_correlation, mse_skill, variance_ratio


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    measured = rng.normal(-5.5, 0.6, (40, 6))
    return 0.5 * measured + rng.normal(-3, 0.4, (40, 6)), measured


def test_correlation_is_pearsons(pair):
    expected = [pearsonr(one, other).statistic for one, other in zip(pair[0].T, pair[1].T, strict=True)]
    np.testing.assert_allclose(column_correlation(*pair), expected, atol=1e-12)


def test_correlation_ignores_scale_and_level_of_each_column(pair):
    predicted, measured = pair
    np.testing.assert_allclose(
        column_correlation(3 * predicted - np.arange(6), measured), column_correlation(predicted, measured), atol=1e-12
    )


def test_a_prediction_that_does_not_vary_says_nothing(pair):
    _, measured = pair
    constant = np.tile(measured.mean(axis=0), (40, 1))
    # as means that were summed in another order and kept in single precision
    wobbling = np.nextafter(constant.astype(np.float32), np.where(np.arange(40)[:, None] % 2, -9, 9).astype(np.float32))
    assert (column_correlation(constant, measured) == 0).all()
    assert (column_correlation(wobbling, measured) == 0).all()
    assert np.isnan(column_correlation(measured, constant)).all()
    assert (variance_ratio(wobbling, measured) == 0).all()
    assert np.isnan(variance_ratio(measured, constant)).all()


def test_skill_compares_with_the_reference(pair):
    predicted, measured = pair
    mean = measured.mean(axis=0)
    per_gene, overall = mse_skill(predicted, measured, mean)
    for i in range(6):
        error = np.mean([(p - m) ** 2 for p, m in zip(predicted[:, i], measured[:, i], strict=True)])
        assert per_gene[i] == pytest.approx(1 - error / measured[:, i].var())
    assert overall == pytest.approx(1 - ((predicted - measured) ** 2).sum() / ((mean - measured) ** 2).sum())


def test_skill_at_its_ends(pair):
    _, measured = pair
    mean = measured.mean(axis=0)
    np.testing.assert_allclose(mse_skill(np.tile(mean, (40, 1)), measured, mean)[0], 0, atol=1e-12)
    assert mse_skill(measured, measured, mean)[1] == 1.0
    per_gene, overall = mse_skill(measured, measured, measured)
    assert np.isnan(per_gene).all()
    assert np.isnan(overall)


def test_variance_ratio_is_what_it_says(pair):
    np.testing.assert_allclose(variance_ratio(*pair), pair[0].var(axis=0) / pair[1].var(axis=0))
    np.testing.assert_allclose(variance_ratio(pair[1] / 2, pair[1]), 0.25)


def test_accuracy_refuses(pair):
    predicted, measured = pair
    with pytest.raises(InputError, match=r"one shape.*\(40, 5\) and \(40, 6\)"):
        column_correlation(predicted[:, 1:], measured)
    measured[3, 2] = np.nan
    with pytest.raises(InputError, match="1 of 240 measured values are not finite"):
        mse_skill(predicted, measured, 0.0)
