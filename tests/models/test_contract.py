"""The contract that every encoder keeps, whatever its kind."""

import numpy as np
import pytest
import torch
from tests.attribution.conftest import ENCODERS, make_cells

from insignia.data import Expression
from insignia.models import families


@pytest.fixture(params=sorted(ENCODERS))
def make(request):
    return ENCODERS[request.param]


@pytest.fixture
def encoder(make):
    return make()


@pytest.fixture
def block():
    return Expression.from_adata(make_cells(), input_space="counts").block(0, 12)


def test_embeddings_are_finite_and_do_not_depend_on_the_batch(encoder, block):
    whole = encoder.embed(block)
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    one = Expression.from_adata(make_cells(), input_space="counts").block(3, 4)
    np.testing.assert_allclose(encoder.embed(one), whole[3:4], rtol=1e-4, atol=1e-6)
    if encoder.is_normalised:
        np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-5)


def test_the_path_ends_at_the_cell_and_starts_at_the_same_point_for_all(encoder, block):
    inputs = encoder.prepare(block)
    path = encoder.path(inputs, None)
    assert path.start.shape == path.end.shape
    assert len(path.end) == inputs.n_cells
    assert (path.start == path.start[:1]).all()
    np.testing.assert_allclose(
        encoder.embedding(encoder.forward(path.end, path.context)).numpy(), encoder.embed(block), atol=1e-5
    )


def test_to_genes_keeps_the_sum_and_puts_values_on_expressed_genes_only(encoder, block):
    path = encoder.path(encoder.prepare(block), None)
    attribution = torch.randn(path.end.shape, generator=torch.Generator().manual_seed(0)) * (path.end != 0)
    genes = encoder.to_genes(attribution, path.context)
    assert genes.shape == (12, len(encoder.genes))
    np.testing.assert_allclose(genes.sum(1), attribution.flatten(1).sum(1), atol=1e-4)
    assert (genes[block.matrix.toarray() == 0] == 0).all()


def test_the_first_layer_and_the_tail_are_the_network(encoder, block):
    if encoder.first_layer is None:
        pytest.skip("this encoder has no affine first layer")
    inputs = encoder.prepare(block)
    hidden = torch.from_numpy(inputs.values.toarray()) @ encoder.first_layer.weight.T + encoder.first_layer.bias
    np.testing.assert_allclose(encoder.embedding(encoder.tail(hidden, {})).numpy(), encoder.embed(block), atol=1e-5)
    np.testing.assert_array_equal(encoder.first_layer.by_gene, encoder.first_layer.weight.numpy().T)


def test_parameters_take_no_gradient_and_fingerprints_are_stable(encoder, make):
    assert not any(parameter.requires_grad for parameter in encoder.module.parameters())
    assert not encoder.module.training
    assert encoder.fingerprint == make().fingerprint
    assert set(encoder.describe()) >= {"name", "genes", "parameters", "fingerprint", "fast_path"}


def test_every_family_says_what_it_needs_and_where_it_comes_from():
    for name in families:
        assert families[name].needs
        assert families.entry(name).source
