"""The other methods, the targets and the baselines (T4)."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from scipy.stats import spearmanr
from tests.attribution.conftest import ENCODERS, N_GENES, make_cells, scimilarity_look_alike, vocabulary
from torch import nn

from insignia import tl
from insignia.attribution import (
    AttributeOptions,
    Centroid,
    Contrast,
    Dimension,
    PathOptions,
    Runner,
    attribute,
    find_target,
    methods,
    targets,
)
from insignia.core import keys
from insignia.core.errors import CompletenessWarning, DegenerateTarget, InputError, ModelError
from insignia.data import Expression
from insignia.models import MLPEncoder, fakes

ACTIVATIONS = {
    "ReLU": nn.ReLU,
    "LeakyReLU": nn.LeakyReLU,
    "PReLU": nn.PReLU,
    "ELU": nn.ELU,
    "SELU": nn.SELU,
    "GELU": nn.GELU,
    "Softplus": nn.Softplus,
    "Sigmoid": nn.Sigmoid,
    "Tanh": nn.Tanh,
}


def network(activation, *, is_normalised=False, seed=0):
    torch.manual_seed(seed)
    layers = [nn.Linear(N_GENES, 24), activation(), nn.Dropout(0.5), nn.Linear(24, 16), activation(), nn.Linear(16, 8)]
    return MLPEncoder("net", vocabulary(), layers, is_normalised=is_normalised, fingerprint="net")


def explain(method, encoder, adata, *, target="self", baseline=None, precision="float32", **options):
    expression = Expression.from_adata(adata, input_space="counts")
    made = AttributeOptions(method, target, baseline, signed=True, path=PathOptions(**options), precision=precision)
    (block,) = Runner(encoder, expression, made).blocks(show_progress=False)
    return block


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_deeplift_adds_up_exactly_for_every_activation_it_takes(cells, name):
    """In float32 below 1e-4, but for a cell whose score hardly changes, where rounding shows: float64 has no such."""
    mean = np.asarray(cells.X.mean(0)).ravel()
    for baseline in (None, mean):
        block = explain("deeplift", network(ACTIVATIONS[name]), cells, baseline=baseline)
        assert np.nanquantile(block.gap, 0.9) < 1e-4
        exact = explain("deeplift", network(ACTIVATIONS[name]), cells, baseline=baseline, precision="float64")
        assert np.nanmax(exact.gap) < 1e-9
    slopes = explain("input_x_gradient", network(ACTIVATIONS[name]), cells)
    exact = explain("deeplift", network(ACTIVATIONS[name]), cells)
    assert np.abs(slopes.attribution.toarray() - exact.attribution.toarray()).max() > 1


def test_deeplift_equals_the_rescale_rule_written_out_for_one_cell(cells):
    """An independent computation, layer by layer."""
    encoder = network(nn.ReLU)
    x = torch.from_numpy(encoder.prepare(Expression.from_adata(cells).block(0, 1)).values.toarray())
    first, second, third = encoder.module[0], encoder.module[3], encoder.module[5]

    def states(values):
        h1 = first(values)
        h2 = second(h1.relu())
        return h1, h2, third(h2.relu())

    (h1, h2, z), (b1, b2, _) = states(x), states(torch.zeros_like(x))
    m2 = (z @ third.weight) * (h2.relu() - b2.relu()) / (h2 - b2)
    m1 = (m2 @ second.weight) * (h1.relu() - b1.relu()) / (h1 - b1)
    expected = (x * (m1 @ first.weight)).numpy()
    expected = expected / np.abs(expected).sum() * 1000
    found = explain("deeplift", encoder, cells[:1]).attribution.toarray()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-2)


def test_deeplift_refuses_what_it_has_no_rule_for_by_name(cells):
    with pytest.raises(ModelError, match=r"no rule for nn\.Mish \(layer '1'"):
        explain("deeplift", network(nn.Mish), cells)
    with pytest.raises(DegenerateTarget, match="target='self_raw'"):
        explain("deeplift", scimilarity_look_alike(), cells)
    with pytest.raises(DegenerateTarget, match="'self_abs' is not"):
        explain("deeplift", network(nn.ReLU), cells, target="self_abs")
    with pytest.raises(ModelError, match="plain sequence of layers"):
        explain("deeplift", ENCODERS["token"](), cells)
    assert np.nanmax(explain("deeplift", scimilarity_look_alike(), cells, target="self_raw").gap) < 1e-4


def test_input_x_gradient_of_a_normalised_self_target_is_refused(cells):
    with pytest.raises(DegenerateTarget, match="would be rounding noise"):
        explain("input_x_gradient", scimilarity_look_alike(), cells)
    found = explain("input_x_gradient", scimilarity_look_alike(), cells, target="self_raw")
    assert (np.abs(found.attribution.toarray()[:-1]).sum(1) > 999).all()


def test_input_x_gradient_is_the_slope_at_the_cell_times_the_cell(cells):
    encoder = network(nn.Tanh)
    x = torch.from_numpy(encoder.prepare(Expression.from_adata(cells).block(0, 12)).values.toarray()).requires_grad_()
    z = encoder.module(x)
    (gradient,) = torch.autograd.grad((z * z.detach()).sum(), x)
    expected = (x * gradient).detach().numpy()[:-1]
    expected = expected / np.abs(expected).sum(1, keepdims=True) * 1000
    found = explain("input_x_gradient", encoder, cells).attribution.toarray()[:-1]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_all_methods_agree_on_a_linear_encoder(cells):
    encoder = fakes.linear_encoder(vocabulary())
    expected = explain("integrated_gradients", encoder, cells).attribution.toarray()
    for method in ("deeplift", "input_x_gradient"):
        np.testing.assert_allclose(explain(method, encoder, cells).attribution.toarray(), expected, atol=1e-2)


def test_expected_gradients_are_the_mean_over_baselines(cells):
    encoder = network(nn.Tanh)
    profiles = make_cells(4, seed=8).X[:3]
    inputs = encoder.prepare(Expression.from_adata(cells).block(0, 12))
    starts = encoder.prepare(Expression.from_adata(make_cells(4, seed=8), input_space="counts").block(0, 3))
    single, many = methods["integrated_gradients"], methods["expected_gradients"]
    options = {"target": find_target("self"), "options": PathOptions()}
    parts = [single.explain(encoder, inputs, starts.rows(np.array([k])), **options) for k in range(3)]
    found = many.explain(encoder, inputs, starts, **options)
    expected = np.mean([part.attribution.toarray() for part in parts], axis=0)
    np.testing.assert_allclose(found.attribution.toarray(), expected, atol=1e-5)
    assert np.nanmax(explain("expected_gradients", encoder, cells, baseline=profiles).gap) < 0.02
    with pytest.raises(InputError, match="one row a baseline"):
        explain("expected_gradients", encoder, cells)


def test_matched_baselines_are_those_of_each_cell(cells):
    encoder = network(nn.Tanh)
    matched = make_cells(12, seed=8).X
    together = explain("integrated_gradients", encoder, cells, baseline=matched).attribution.toarray()
    for i in (0, 5):
        alone = explain("integrated_gradients", encoder, cells[i], baseline=matched[i]).attribution.toarray()
        np.testing.assert_allclose(together[i], alone[0], rtol=1e-3, atol=1e-2)
    blocks = list(
        Runner(
            encoder,
            Expression.from_adata(cells, input_space="counts"),
            AttributeOptions(baseline=matched, signed=True, block_size=5),
        ).blocks(show_progress=False)
    )
    np.testing.assert_allclose(np.vstack([b.attribution.toarray() for b in blocks]), together, rtol=1e-3, atol=1e-2)
    with pytest.raises(InputError, match="or one such profile for each of the 12 cells"):
        explain("integrated_gradients", encoder, cells, baseline=matched[:5])


def test_automatic_steps_reach_their_tolerance_with_the_fewest_steps(cells):
    encoder = scimilarity_look_alike((64,) * 12, gain=0.8)
    with pytest.warns(CompletenessWarning):
        coarse = explain("integrated_gradients", encoder, cells, n_steps=8)
    assert np.nanmax(coarse.gap) > 0.01
    found = explain("integrated_gradients", encoder, cells, n_steps=0, tolerance=0.01)
    assert np.nanmax(found.gap) <= 0.01
    easy = explain("integrated_gradients", fakes.linear_encoder(vocabulary()), cells, n_steps=0)
    assert np.nanmax(easy.gap) < 1e-4


@pytest.mark.parametrize("method", sorted(methods))
def test_a_tiny_jitter_leaves_the_ranking(cells, method):
    """T4: every method offered, on an encoder that it takes."""
    encoder = scimilarity_look_alike()
    target = "self" if method in ("integrated_gradients", "expected_gradients") else "self_raw"
    baseline = cells.X[:3] if methods[method].takes_many_baselines else None
    expression = Expression.from_adata(cells, input_space="counts")
    inputs = encoder.prepare(expression.block(0, 11))
    jittered = encoder.prepare(expression.block(0, 11))
    jittered.values.data += 1e-6 * np.random.default_rng(0).normal(size=jittered.values.nnz).astype(np.float32)
    start = None if baseline is None else encoder.prepare(expression.block(0, 3))
    options = {"target": find_target(target), "options": PathOptions()}
    first, second = (methods[method].explain(encoder, x, start, **options).attribution for x in (inputs, jittered))
    for i in range(11):
        assert spearmanr(first[i].toarray().ravel(), second[i].toarray().ravel()).statistic > 0.999


def test_targets_score_what_they_say(cells):
    encoder = network(nn.Tanh)
    z = encoder.embed(Expression.from_adata(cells).block(0, 12))
    zero = encoder.module(torch.zeros(1, N_GENES)).numpy()

    def change(target):
        inputs = encoder.prepare(Expression.from_adata(cells).block(0, 12))
        bound = find_target(target).bind(encoder)
        return (
            methods["integrated_gradients"].explain(encoder, inputs, None, target=bound, options=PathOptions()).change
        )

    np.testing.assert_allclose(change("dim:3"), z[:, 3] - zero[0, 3], atol=1e-6)
    np.testing.assert_allclose(change(Centroid(z[:5])), (z - zero) @ z[:5].mean(0), atol=1e-5)
    towards, against = z[:5].mean(0), z[5:10].mean(0)
    np.testing.assert_allclose(change(Contrast(z[:5], z[5:10])), (z - zero) @ (towards - against), atol=1e-5)
    np.testing.assert_allclose(change("self"), ((z - zero) * z).sum(1), atol=1e-5)


def test_targets_that_cannot_be_are_refused(cells):
    encoder = network(nn.Tanh)
    refusals = {
        "dim:99": (InputError, "dimensions 0 to 7"),
        "dim:x": (InputError, "Name the dimension"),
        "label:B cell": (ModelError, "does not classify cells"),
    }
    for target, (error, message) in refusals.items():
        with pytest.raises(error, match=message):
            attribute(cells, encoder, target=target, show_progress=False)
    with pytest.raises(InputError, match="centroid has 5 dimensions"):
        attribute(cells, encoder, target=Centroid(np.ones(5)), show_progress=False)
    with pytest.raises(InputError, match="non-zero vector"):
        Centroid(np.zeros(8))
    assert Dimension(2).name == "dim:2"


def test_equal_targets_have_equal_names_in_the_record(cells):
    encoder = network(nn.Tanh)
    tl.embed(cells, encoder)
    vectors = cells.obsm["X_net"]

    def recorded(rows):
        result = attribute(cells, encoder, target=Centroid(vectors[rows]), copy=True, show_progress=False)
        return result.uns[keys.ATTRIBUTION]["target"]

    first, same, other = recorded(slice(4)), recorded(slice(4)), recorded(slice(4, 8))
    assert first == same != other
    assert first.startswith("centroid:")


def test_every_method_and_target_names_its_source():
    for registry in (methods, targets):
        for name in registry:
            assert registry.entry(name).source


def test_a_sparse_profile_is_a_baseline(cells):
    encoder = network(nn.Tanh)
    mean = np.asarray(cells.X.mean(0)).ravel()
    dense = explain("integrated_gradients", encoder, cells, baseline=mean).attribution.toarray()
    sparse = explain("integrated_gradients", encoder, cells, baseline=csr_matrix(mean)).attribution.toarray()
    np.testing.assert_array_equal(dense, sparse)
