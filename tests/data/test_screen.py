"""The simulated perturbation screen: sizes, determinism, and that its truth is in its cells."""

import numpy as np
import pytest

from insignia.core.errors import InputError
from insignia.data import Condition, simulate_screen

SMALL = {"n_genes": 80, "n_programs": 8, "n_perturbations": 8, "n_doubles": 6, "n_controls": 200}


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(**SMALL, rng=0)


def shift(data, condition, context="context1"):
    return data.mean(data.rows(condition, context)) - data.mean(data.controls(context))


def test_every_condition_has_its_cells(screen):
    assert len(screen.data) == 200 + (8 + 6) * 100
    assert len(screen.data.controls("context1")) == 200
    assert sum(len(condition.genes) == 2 for condition in screen.data.conditions) == 6


def test_equal_seeds_give_equal_screens(screen):
    again = simulate_screen(**SMALL, rng=0)
    assert (again.data.expression != screen.data.expression).nnz == 0
    assert (again.replicate.expression != screen.data.expression).nnz > 0
    np.testing.assert_array_equal(again.priors.embedding.matrix, screen.priors.embedding.matrix)


def test_a_second_draw_agrees_with_the_first_and_the_truth(screen):
    perturbed = [condition for condition in screen.data.conditions if not condition.is_control]
    found, again = (np.array([shift(data, one) for one in perturbed]) for data in (screen.data, screen.replicate))
    truth = np.array([screen.truth.effect(one) for one in perturbed]) @ screen.truth.loadings

    def agreement(first, second):
        return np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(first, second, strict=True)])

    assert agreement(found, again) > 0.95
    assert agreement(found, truth) > 0.8
    assert abs(agreement(found, np.random.default_rng(0).permuted(truth, axis=1))) < 0.3


def test_a_pair_falls_short_of_its_sum_unless_it_is_told_to_be_additive(screen):
    pair = screen.truth.doubles[0]
    parts = [screen.truth.effect(single) for single in pair.singles]
    short = np.sum(parts, axis=0) - screen.truth.effect(pair)
    np.testing.assert_allclose(np.abs(short), 0.5 * np.min(np.abs(parts), axis=0))
    additive = simulate_screen(**SMALL, interaction=0.0, rng=0).truth
    np.testing.assert_allclose(additive.effect(pair), sum(additive.effect(one) for one in pair.singles))


def test_perturbations_without_effect_look_like_controls():
    screen = simulate_screen(**SMALL, zero_effect=1.0, rng=0)
    for condition in screen.data.conditions:
        if not condition.is_control:
            assert np.abs(shift(screen.data, condition)).mean() < 0.1


def test_the_embedding_tells_effects_and_noise_hides_them():
    def agreement(noise):
        screen = simulate_screen(**SMALL, embedding_noise=noise, rng=1)
        vectors, _ = screen.priors.embedding.rows(screen.truth.targets)
        upper = np.triu_indices(len(vectors), 1)
        return np.corrcoef(np.corrcoef(vectors)[upper], np.corrcoef(screen.truth.single)[upper])[0, 1]

    assert agreement(0.1) > 0.6
    assert abs(agreement(100.0)) < 0.5


def test_a_lower_dose_does_less_and_contexts_answer_differently():
    screen = simulate_screen(**SMALL | {"n_doubles": 0}, doses=(0.25, 1.0), n_contexts=2, rng=0)
    weak = [condition for condition in screen.data.conditions if "@0.25" in str(condition)]
    assert len(weak) == 8
    for condition in weak:
        full = screen.truth.effect(Condition.of(condition.genes))
        np.testing.assert_allclose(screen.truth.effect(condition), 0.5 * full)
    first, second = (shift(screen.data, weak[0], context) for context in screen.data.contexts)
    assert not np.allclose(first, second, atol=0.05)


def test_impossible_sizes_are_refused():
    with pytest.raises(InputError, match="make 28 pairs"):
        simulate_screen(**SMALL | {"n_doubles": 29})
    with pytest.raises(InputError, match="at least 4 programs"):
        simulate_screen(n_programs=3)
