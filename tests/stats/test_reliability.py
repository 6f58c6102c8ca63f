"""Reliability by thinning: against signal whose share is known, and chance where there is none."""

import numpy as np
import pytest

from insignia.core.errors import InputError
from insignia.stats import column_correlation, spearman_brown, thinning_reliability


def counted(rng, spread, depth=60.0, spots=4000, genes=4):
    rate = depth * np.exp(spread * rng.normal(size=(spots, genes)) - spread**2 / 2)
    return rate, rng.poisson(rate)


def test_two_halves_make_a_whole():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=200_000)
    first, second = (signal + rng.normal(size=signal.size) * 1.5 for _ in range(2))
    between = np.corrcoef(first, second)[0, 1]
    whole = np.corrcoef(signal, first + second)[0, 1] ** 2
    assert spearman_brown(between) == pytest.approx(whole, abs=0.005)
    assert spearman_brown(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


def test_the_ceiling_is_what_the_true_rate_reaches():
    rng = np.random.default_rng(0)
    rate, counts = counted(rng, spread=0.2)
    ceiling = np.sqrt(thinning_reliability(counts, lambda c: c.astype(float), rng=0))
    np.testing.assert_allclose(ceiling, column_correlation(rate, counts), atol=0.02)


def test_counts_without_signal_are_not_reliable():
    rng = np.random.default_rng(0)
    _, counts = counted(rng, spread=0.0)
    assert (thinning_reliability(counts, np.log1p, rng=0) < 0.06).all()


def test_the_same_seed_gives_the_same_reliability():
    _, counts = counted(np.random.default_rng(0), 0.3, spots=50)
    one, same, other = (thinning_reliability(counts, np.log1p, rng=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_reliability_refuses_what_is_not_counted():
    with pytest.raises(InputError, match="Only whole counts"):
        thinning_reliability(np.array([[0.5]]), np.log1p, rng=0)
    with pytest.raises(InputError, match="repeats is 0"):
        thinning_reliability(np.array([[1]]), np.log1p, rng=0, repeats=0)
