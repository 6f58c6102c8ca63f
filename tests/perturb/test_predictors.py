"""What every predictor owes, and what the plain ones are."""

from dataclasses import replace

import numpy as np
import pytest

from insignia.core.errors import GeneMatchError, InputError
from insignia.data import Condition, GeneEmbedding, simulate_screen
from insignia.perturb import predictors

CONTEXT = "context1"
SMALL = {"n_latent": 8, "width": 32, "epochs": 1, "steps_per_epoch": 4, "n_folds": 2, "n_groups": 4}
QUICK = {"flow": SMALL, "scbig": SMALL | {"n_programs": 6, "latent_epochs": 1, "pieces": "all"}}


def make(name, **options):
    """A predictor as it is registered, or small enough for a test."""
    return predictors[name](**QUICK.get(name, {}), **options)


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(
        n_genes=60, n_programs=6, n_perturbations=12, n_doubles=12, n_controls=200, cells_per_condition=40, rng=0
    )


@pytest.fixture(scope="module")
def unseen(screen):
    return Condition.of([screen.truth.targets[0]])


@pytest.fixture(scope="module")
def train(screen, unseen):
    return screen.data.without([one for one in screen.data.conditions if set(unseen.genes) & set(one.genes)])


@pytest.fixture(scope="module", params=sorted(predictors))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def fitted(name, screen, train):
    return make(name).fit(train, priors=screen.priors)


def shift(data, condition):
    return data.mean(data.rows(condition, CONTEXT)) - data.mean(data.controls(CONTEXT))


def test_the_control_stays_what_it_is(fitted, train):
    source = train.expression[train.controls(CONTEXT)[:5]].toarray()
    np.testing.assert_array_equal(fitted.effect(Condition(), CONTEXT).delta, np.zeros(60))
    cells = fitted.cells(Condition(), CONTEXT, source, rng=np.random.default_rng(0))
    np.testing.assert_allclose(cells, source, atol=1e-5)


def test_the_order_of_the_genes_in_a_condition_does_not_matter(fitted, train):
    pair = next(one for one in train.conditions if len(one.genes) == 2)
    again = Condition.parse("+".join(reversed(pair.genes)))
    np.testing.assert_array_equal(fitted.effect(pair, CONTEXT).delta, fitted.effect(again, CONTEXT).delta)


def test_an_answer_is_finite_or_says_that_there_is_none(fitted, screen, unseen):
    for condition in (unseen, screen.truth.doubles[0]):
        effect = fitted.effect(condition, CONTEXT)
        assert effect.delta.shape == (60,)
        assert np.isfinite(effect.delta).all() == (effect.status != "none")
        assert effect.note or effect.status == "ok"


def test_cells_are_finite_and_never_negative(fitted, train):
    source = train.expression[train.controls(CONTEXT)].toarray()
    single = next(one for one in train.conditions if len(one.genes) == 1)
    cells = fitted.cells(single, CONTEXT, source, rng=np.random.default_rng(0))
    assert cells.shape == source.shape
    assert cells.min() >= 0


def test_the_order_of_the_measured_genes_does_not_matter(name, fitted, screen, train):
    order = np.random.default_rng(0).permutation(60)
    shuffled = type(train)(
        **{name: getattr(train, name) for name in train.__dataclass_fields__}
        | {"genes": tuple(np.array(train.genes)[order]), "expression": train.expression[:, order].tocsr()}
    )
    again = make(name).fit(shuffled, priors=screen.priors)
    pair = next(one for one in train.conditions if len(one.genes) == 2)
    expected = fitted.effect(pair, CONTEXT).delta[order]
    np.testing.assert_allclose(again.effect(pair, CONTEXT).delta, expected, atol=1e-4)


def test_a_gene_without_an_embedding_is_refused_or_flagged_and_never_the_control(screen, train):
    known = [gene for gene in screen.priors.embedding.genes if gene != screen.truth.targets[0]]
    matrix, _ = screen.priors.embedding.rows(known)
    priors = replace(screen.priors, embedding=GeneEmbedding(tuple(known), matrix, "partly"))
    lost = Condition.of([screen.truth.targets[0]])
    for name in sorted(predictors):
        if not predictors[name].needs_embedding and name not in QUICK:
            continue
        with pytest.raises(GeneMatchError, match=f"no vector for {lost}"):
            make(name).fit(train, priors=priors).effect(lost, CONTEXT)
        lenient = make(name, on_missing="mean").fit(train, priors=priors)
        effect = lenient.effect(lost, CONTEXT)
        assert effect.status == "fallback"
        mean = predictors["perturbed_mean"]().fit(train).effect(lost, CONTEXT).delta
        np.testing.assert_allclose(effect.delta, mean)


def test_a_predictor_that_needs_an_embedding_says_how_to_get_one(train):
    with pytest.raises(InputError, match="from_gene_sets"):
        predictors["ridge_embedding"]().fit(train)


def test_additive_is_the_sum_of_the_singles_and_mean_is_the_mean(train):
    pair = next(one for one in train.conditions if len(one.genes) == 2)
    expected = sum(shift(train, one) for one in pair.singles)
    found = predictors["additive"]().fit(train).effect(pair, CONTEXT).delta
    np.testing.assert_allclose(found, expected, atol=1e-9)
    halves = predictors["matching_mean"]().fit(train).effect(pair, CONTEXT).delta
    np.testing.assert_allclose(halves, expected / 2, atol=1e-9)
    perturbed = [one for one in train.conditions if not one.is_control]
    mean = predictors["perturbed_mean"]().fit(train).effect(pair, CONTEXT).delta
    np.testing.assert_allclose(mean, np.mean([shift(train, one) for one in perturbed], axis=0), atol=1e-9)


def test_additive_gives_no_answer_for_what_it_has_not_seen_unless_told_to_guess(train, unseen):
    pair = Condition.of([unseen.genes[0], train.conditions[0].genes[0]])
    effect = predictors["additive"]().fit(train).effect(pair, CONTEXT)
    assert effect.status == "none"
    assert np.isnan(effect.delta).all()
    guess = predictors["additive"](on_missing="mean").fit(train).effect(pair, CONTEXT)
    assert guess.status == "fallback"
    assert np.isfinite(guess.delta).all()


def test_ridge_on_indicators_beats_additive_on_pairs_it_has_not_seen(screen):
    held = screen.truth.doubles[::2]
    train = screen.data.without(held)

    def error(name):
        fitted = predictors[name]().fit(train)
        return np.mean(
            [np.linalg.norm(fitted.effect(one, CONTEXT).delta - shift(screen.replicate, one)) for one in held]
        )

    assert error("ridge_onehot") < error("additive") < error("perturbed_mean") < error("control")
