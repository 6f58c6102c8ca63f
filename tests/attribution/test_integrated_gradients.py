"""Integrated gradients: exact where they can be, complete everywhere, the same by every route (T1-T3)."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.attribution.conftest import make_cells, scimilarity_look_alike, smooth_network, vocabulary

from insignia.attribution import AttributeOptions, PathOptions, Runner, find_target, methods
from insignia.core.errors import InputError
from insignia.data import Expression
from insignia.models import Inputs, fakes


def explain(encoder, adata, *, target="self", n_steps=50, max_values=2**22, baseline=None):
    inputs = encoder.prepare(Expression.from_adata(adata, input_space="counts").block(0, adata.n_obs))
    return methods["integrated_gradients"].explain(
        encoder, inputs, baseline, target=find_target(target), options=PathOptions(n_steps, max_values=max_values)
    )


def without_first_layer(encoder):
    """The same encoder, whose whole network is followed along the path."""
    twin = object.__new__(type(encoder))
    twin.__dict__.update(encoder.__dict__)
    twin.first_layer = None
    return twin


def gaps(explained):
    sums = np.asarray(explained.attribution.sum(1, dtype=np.float64)).ravel()
    with np.errstate(invalid="ignore"):
        return np.abs(sums - explained.change) / np.abs(explained.change)


def test_a_linear_encoder_has_its_known_attribution(cells):
    """T1: IG of w . Wx is x * (W^T w), w = Wx."""
    encoder = fakes.linear_encoder(vocabulary())
    inputs = encoder.prepare(Expression.from_adata(cells).block(0, cells.n_obs))
    x = inputs.values.toarray().astype(np.float64)
    W = encoder.first_layer.weight.numpy().astype(np.float64)
    expected = x * (x @ W.T @ W)
    found = explain(encoder, cells).attribution.toarray()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_attributions_add_up_to_the_change(encoder, cells):
    """T1: below 1 % in the median at 50 steps, and at least halved by 200 where it is not rounding already."""
    coarse = gaps(explain(encoder, cells))[:-1]
    fine = gaps(explain(encoder, cells, n_steps=200))[:-1]
    assert np.median(coarse) < 0.01
    assert np.median(fine) <= max(0.5 * np.median(coarse), 2e-5)


def test_the_fast_path_equals_the_whole_network(cells):
    """T2: equal within float32; with some 25 genes a cell a value of 1,000-scaled rows is about 40."""
    deep = scimilarity_look_alike((64,) * 12, gain=0.8)
    for encoder in (scimilarity_look_alike(), deep, smooth_network()):
        for baseline in (None, encoder.prepare(Expression.from_adata(make_cells(3, seed=9)).block(0, 1))):
            for target in ("self", "self_abs", "self_raw"):
                fast = explain(encoder, cells, target=target, baseline=baseline)
                slow = explain(without_first_layer(encoder), cells, target=target, baseline=baseline)
                scale = np.abs(slow.attribution.toarray()).sum(1, keepdims=True).clip(1e-12) / 1000
                difference = np.abs(fast.attribution.toarray() - slow.attribution.toarray()) / scale
                assert difference[:-1].max() < (1e-2 if target == "self_abs" else 1e-3)
                np.testing.assert_allclose(fast.change, slow.change, atol=1e-6)


def test_integration_equals_a_fine_riemann_sum_in_float64(cells):
    """An independent computation: midpoint rule with finite differences of the whole network."""
    encoder = smooth_network()
    inputs = encoder.prepare(Expression.from_adata(cells).block(0, 1))
    x = torch.from_numpy(inputs.values.toarray()).double()
    network = encoder.module.double()
    held = network(x)
    alphas = (torch.arange(400, dtype=torch.float64) + 0.5) / 400
    expected = torch.zeros_like(x)
    for g in torch.nonzero(x[0]).ravel():
        step = torch.zeros_like(x)
        step[0, g] = 1e-5
        points = alphas[:, None] * x
        slope = ((network(points + step) - network(points - step)) @ held[0]) / 2e-5
        expected[0, g] = x[0, g] * slope.mean()
    network.float()
    found = explain(encoder, cells[:1]).attribution.toarray()
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-4 * expected.abs().max().item())


def test_memory_bounds_change_nothing(encoder, cells):
    whole = explain(encoder, cells, max_values=2**22)
    pieces = explain(encoder, cells, max_values=200)
    scale = np.abs(whole.attribution.toarray()).max()
    np.testing.assert_allclose(pieces.attribution.toarray(), whole.attribution.toarray(), rtol=1e-4, atol=1e-5 * scale)
    np.testing.assert_allclose(pieces.change, whole.change, atol=1e-6)


def test_no_pass_is_larger_than_its_bound(cells, monkeypatch):
    encoder = scimilarity_look_alike()
    largest = []
    tail = type(encoder).tail

    def watch(self, hidden, context):
        largest.append(hidden.numel())
        return tail(self, hidden, context)

    monkeypatch.setattr(type(encoder), "tail", watch)
    explain(encoder, cells, max_values=32 * 7)
    assert max(largest) <= 32 * 7


def test_unexpressed_genes_get_exactly_zero(encoder, cells):
    """T3, zero baseline."""
    found = explain(encoder, cells).attribution.toarray()
    assert (found[cells.X.toarray() == 0] == 0).all()
    assert (found[:-1] != 0).any(1).all()


def test_a_given_baseline_reaches_genes_that_only_it_expresses(cells):
    encoder = smooth_network()
    start = encoder.prepare(Expression.from_adata(make_cells(3, seed=9)).block(0, 1))
    explained = explain(encoder, cells, baseline=start)
    only_baseline = (cells.X.toarray() == 0) & (start.values.toarray() > 0)
    assert (explained.attribution.toarray()[only_baseline] != 0).any()
    assert np.nanmax(gaps(explained)) < 0.01


def test_the_baseline_explained_against_itself_is_nothing(cells):
    encoder = smooth_network()
    block = Expression.from_adata(cells).block(0, 1)
    inputs = encoder.prepare(block)
    explained = methods["integrated_gradients"].explain(
        encoder, Inputs(inputs.values), inputs, target=find_target("self"), options=PathOptions()
    )
    assert explained.attribution.nnz == 0 or np.abs(explained.attribution.data).max() < 1e-6
    assert abs(explained.change[0]) < 1e-6


def test_rows_are_scaled_and_the_sign_is_kept_on_request(encoder, cells):
    """T3: rows add up to 1,000 +- 1e-2, an empty cell gives zeros and no NaN."""
    expression = Expression.from_adata(cells, input_space="counts")
    results = {}
    for signed in (False, True):
        (block,) = Runner(encoder, expression, AttributeOptions(signed=signed)).blocks(show_progress=False)
        results[signed] = block
        sums = np.abs(block.attribution.toarray()).sum(1)
        np.testing.assert_allclose(sums[:-1], 1000, atol=1e-2)
        assert sums[-1] == 0
        assert np.isnan(block.gap[-1])
        assert block.total[-1] == 0
        assert np.isfinite(block.attribution.data).all()
    np.testing.assert_allclose(
        np.abs(results[True].attribution.toarray()), results[False].attribution.toarray(), rtol=1e-6
    )
    assert (results[False].attribution.data > 0).all()


def test_neither_block_size_nor_row_order_matters(encoder, cells):
    expression = Expression.from_adata(cells, input_space="counts")

    def run(source, block_size):
        blocks = list(Runner(encoder, source, AttributeOptions(block_size=block_size)).blocks(show_progress=False))
        return np.concatenate([block.attribution.toarray() for block in blocks])

    whole = run(expression, 256)
    np.testing.assert_allclose(run(expression, 5), whole, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(run(expression, 256), whole)
    order = np.random.default_rng(0).permutation(cells.n_obs)
    shuffled = Expression.from_adata(cells[order].copy(), input_space="counts")
    np.testing.assert_allclose(run(shuffled, 256), whole[order], rtol=1e-4, atol=1e-3)


def test_self_abs_equals_an_independent_vector(cells):
    """T16: self_abs, absolute, rows of 1,000, against plain autograd over the published forward pass."""
    encoder = scimilarity_look_alike()
    x = torch.from_numpy(encoder.prepare(Expression.from_adata(cells).block(0, cells.n_obs)).values.toarray()).double()[
        :-1
    ]
    network = encoder.module.double()

    def embed(values):
        z = network(values)
        return z / z.norm(dim=1, keepdim=True)

    held = embed(x)
    nodes, weights = np.polynomial.legendre.leggauss(50)
    total = torch.zeros_like(x)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        points = (node * x).requires_grad_()
        (gradient,) = torch.autograd.grad((embed(points) * held).abs().sum(), points)
        total += weight * gradient
    expected = (total * x).abs()
    expected = (expected / expected.sum(1, keepdim=True) * 1000).numpy()
    network.float()
    expression = Expression.from_adata(cells[:-1].copy(), input_space="counts")
    (block,) = Runner(encoder, expression, AttributeOptions(target="self_abs")).blocks(show_progress=False)
    np.testing.assert_allclose(block.attribution.toarray(), expected, atol=0.02)


def test_options_are_plain_values():
    expected = {"n_steps": 50, "tolerance": 0.01, "max_values": None, "interpolate": "values"}
    assert dataclasses.asdict(PathOptions()) == expected
    with pytest.raises(InputError, match="interpolate is one of values, amounts; found 'counts'"):
        PathOptions(interpolate="counts")
