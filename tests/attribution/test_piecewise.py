"""The walk through a piecewise-linear activation gives the numbers of following the path node by node."""

import numpy as np
import pytest
import torch
from tests.attribution.conftest import N_GENES, make_cells, vocabulary
from torch import nn

from insignia.attribution import PathOptions, find_target, methods
from insignia.attribution.integral import Integral, PiecewiseIntegral
from insignia.attribution.piecewise import piecewise_layer
from insignia.data import Expression
from insignia.models import MLPEncoder


def per_unit():
    activation = nn.PReLU(24)
    nn.init.uniform_(activation.weight, -0.3, 0.6)
    return activation


ACTIVATIONS = {"ReLU": nn.ReLU, "LeakyReLU": lambda: nn.LeakyReLU(0.2), "PReLU": nn.PReLU, "PReLU per unit": per_unit}


def network(activation, *, is_normalised=True):
    torch.manual_seed(0)
    layers = [nn.Linear(N_GENES, 24), activation(), nn.Dropout(0.3), nn.Linear(24, 20), nn.Tanh(), nn.Linear(20, 8)]
    return MLPEncoder("net", vocabulary(), layers, is_normalised=is_normalised, fingerprint="net")


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("target", ["self", "self_abs", "self_raw"])
def test_it_equals_the_path_followed_node_by_node(cells, name, target, monkeypatch):
    encoder = network(ACTIVATIONS[name])
    assert piecewise_layer(encoder.tail_layers) is not None
    inputs = encoder.prepare(Expression.from_adata(cells).block(0, 12))
    starts = [
        None,
        encoder.prepare(Expression.from_adata(make_cells(3, seed=9)).block(0, 1)),
        inputs.rows(np.arange(12)[::-1].copy()),
    ]

    def explain(start, n_steps, max_values=2**21):
        options = PathOptions(n_steps, max_values=max_values)
        return methods["integrated_gradients"].explain(
            encoder, inputs, start, target=find_target(target), options=options
        )

    for start in starts:
        for n_steps in (2, 7, 50):
            walked, pieces = explain(start, n_steps), explain(start, n_steps, 500)
            with monkeypatch.context() as patch:
                patch.setattr("insignia.attribution.path_gradient.piecewise_layer", lambda _: None)
                followed = explain(start, n_steps)
            expected = followed.attribution.toarray()
            for found in (walked, pieces):
                np.testing.assert_allclose(found.attribution.toarray(), expected, atol=2e-5 * np.abs(expected).max())
                np.testing.assert_allclose(found.change, followed.change, atol=1e-6)


def test_the_walk_is_taken_where_it_applies_and_only_there(cells, monkeypatch):
    taken = []
    for kind in (PiecewiseIntegral, Integral):
        original = kind.mean_gradient
        monkeypatch.setattr(
            kind,
            "mean_gradient",
            lambda self, held, kind=kind, original=original: taken.append(kind) or original(self, held),
        )
    for activation in (nn.ReLU, nn.Tanh):
        encoder = network(activation)
        inputs = encoder.prepare(Expression.from_adata(cells).block(0, 12))
        methods["integrated_gradients"].explain(
            encoder, inputs, None, target=find_target("self"), options=PathOptions()
        )
    assert taken == [PiecewiseIntegral, Integral]


def test_units_that_start_on_the_kink_take_the_side_they_move_to():
    """With a zero bias and the zero baseline every unit starts at exactly 0."""
    encoder = network(nn.ReLU)
    encoder.module[0].bias.zero_()
    cells = make_cells()
    inputs = encoder.prepare(Expression.from_adata(cells).block(0, 11))
    found = methods["integrated_gradients"].explain(
        encoder, inputs, None, target=find_target("self"), options=PathOptions()
    )
    assert found.gap.max() < 1e-3
