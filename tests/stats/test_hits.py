"""Hit rules: what they cut, what they ignore, what they refuse."""

import numpy as np
import pytest

from insignia.core.errors import InputError, UnknownName
from insignia.stats import cutoff, rules

PARAMS = {
    "percentile": {"q": 90},
    "quantile": {"q": 0.9},
    "healthy_quantile": {"q": 0.9},
    "null": {"q": 0.9},
    "mad": {"k": 2.0},
    "value": {"value": 0.25},
}


@pytest.fixture
def scores():
    return np.random.default_rng(3).gamma(2.0, size=1001).astype(np.float32)


@pytest.mark.parametrize("name", list(rules))
def test_every_rule_ignores_nan_and_order(name, scores):
    expected = cutoff(scores, name, **PARAMS[name])
    with_nan = np.insert(scores[::-1], [0, 500, 1001], np.nan)
    assert np.isfinite(expected)
    assert cutoff(with_nan, name, **PARAMS[name]) == expected


@pytest.mark.parametrize("name", list(rules))
def test_every_rule_refuses_what_it_does_not_take(name, scores):
    with pytest.raises(InputError, match="takes"):
        cutoff(scores, name, nonsense=1.0)


@pytest.mark.parametrize("name", list(rules))
def test_every_rule_names_its_source(name):
    assert rules.entry(name).source


def test_percentile_takes_a_tenth_of_the_cells(scores):
    assert (scores > cutoff(scores, "percentile", q=90)).sum() == 100
    assert cutoff(scores, "percentile", q=25) == cutoff(scores, "quantile", q=0.25)
    assert cutoff(scores, "percentile", q=90) == pytest.approx(np.sort(scores)[900])


def test_mad_counts_robust_standard_deviations():
    # of a normal distribution they are the standard deviations, and outliers do not move them
    scores = np.random.default_rng(0).normal(5.0, 2.0, 20_000)
    scores[:500] = 1e6
    assert cutoff(scores, "mad", k=2.0) == pytest.approx(9.0, abs=0.25)
    assert cutoff(np.arange(5.0), "mad", k=1.0) == pytest.approx(2 + 1.4826)
    with pytest.raises(InputError, match="robust standard deviations, not nan"):
        cutoff(scores, "mad", k=float("nan"))


def test_value_is_taken_as_it_is(scores):
    assert cutoff(scores, "value", value=0.25) == 0.25


@pytest.mark.parametrize(
    ("rule", "params", "match"),
    [
        ("percentile", {"q": 101}, "within 0 and 100; q is 101"),
        ("percentile", {"q": 0.9}, "rule='quantile' or q=90"),
        ("quantile", {"q": 90}, "within 0 and 1; q is 90"),
        ("value", {"value": np.nan}, "finite number"),
        ("value", {}, "takes value; it was given nothing"),
        (
            "percentile",
            {"q": 90.0, "quantile": 0.9},
            r"takes q; it was given quantile=0\.9\. .*call\('quantile', q=0\.9\)",
        ),
        ("percentile", {"q": 80.0, "k": 1}, r"it was given q=80\.0, k=1\.$"),
    ],
)
def test_bad_parameters(scores, rule, params, match):
    with pytest.raises(InputError, match=match):
        cutoff(scores, rule, **params)


def test_nothing_to_cut():
    with pytest.raises(InputError, match="None of the 3 cells has a score"):
        cutoff(np.full(3, np.nan), "percentile", q=90)
    with pytest.raises(InputError, match="1 scores are infinite"):
        cutoff(np.array([1.0, np.inf]), "percentile", q=90)
    with pytest.raises(UnknownName, match="Did you mean 'percentile'"):
        cutoff(np.ones(3), "percentil", q=90)
