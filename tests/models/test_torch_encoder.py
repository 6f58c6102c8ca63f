"""Any torch network over gene values is an encoder, by the fast path where its first layer is linear."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from tests.attribution.conftest import N_GENES, NAMES, make_cells, vocabulary
from torch import nn

from insignia.attribution import attribute
from insignia.core import keys
from insignia.core.errors import InputError, InputSpaceError, ModelError
from insignia.data import Cells, Expression
from insignia.models.torch_encoder import TorchEncoder


class Gated(nn.Module):
    """Not sequential: every value is gated by a linear map of all."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(N_GENES, N_GENES)
        self.out = nn.Linear(N_GENES, 6)

    def forward(self, x):
        return self.out(x * torch.sigmoid(self.gate(x)))


def sequential(*, bias=True):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(N_GENES, 16, bias=bias), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.BatchNorm1d(16), nn.Linear(16, 6)
    )


def gated():
    torch.manual_seed(0)
    return Gated()


def block(n=12):
    return Expression.from_adata(make_cells(), input_space="counts").block(0, n)


def attributed(encoder, **options):
    adata = make_cells()
    attribute(adata, encoder, show_progress=False, **options)
    assert adata.obs[keys.gap()].median() < 0.01
    return adata.layers[keys.ATTRIBUTION].toarray()


@pytest.mark.parametrize("make", [sequential, gated, lambda: sequential(bias=False)])
@pytest.mark.parametrize("is_normalised", [False, True])
def test_the_embedding_is_that_of_the_network(make, is_normalised):
    module = make()
    encoder = TorchEncoder(module, NAMES, name="mine", is_normalised=is_normalised)
    matrix = block().matrix.toarray()
    logged = np.log1p(matrix / np.maximum(matrix.sum(1, keepdims=True), 1) * 1e4)
    with torch.no_grad():
        expected = module.eval()(torch.tensor(logged)).numpy()
    if is_normalised:
        expected = expected / np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(encoder.embed(block()), expected, atol=1e-5)
    found = attributed(encoder)
    assert (found[make_cells().X.toarray() == 0] == 0).all()


@pytest.mark.parametrize("bias", [True, False])
def test_the_fast_path_equals_the_slow_one(bias):
    fast = TorchEncoder(sequential(bias=bias), vocabulary(), name="mine")
    slow = TorchEncoder(sequential(bias=bias), vocabulary(), name="mine")
    slow.first_layer = None
    assert fast.first_layer is not None
    assert fast.describe()["fast_path"]
    assert [type(layer).__name__ for layer in fast.tail_layers] == ["ReLU", "Dropout", "BatchNorm1d", "Linear"]
    for baseline in (None, np.random.default_rng(0).poisson(1.0, N_GENES)):
        how = {"baseline": baseline, "n_steps": 200}
        np.testing.assert_allclose(attributed(fast, **how), attributed(slow, **how), atol=1e-2)
    np.testing.assert_array_equal(fast.first_layer.by_gene, fast.module[0].weight.numpy().T)
    assert fast.first_layer.by_gene.base is not None


def test_what_may_not_take_the_fast_path_does_not():
    class Doubling(nn.Sequential):
        def forward(self, x):
            return super().forward(2 * x)

    class Scaled(nn.Linear):
        def forward(self, x):
            return 3 * super().forward(x)

    hooked = sequential()
    hooked[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    weighted = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(N_GENES, 16)), nn.Linear(16, 6))
    for module in (Doubling(*sequential()), nn.Sequential(Scaled(N_GENES, 6)), hooked, weighted, gated()):
        encoder = TorchEncoder(module, vocabulary(), name="mine")
        assert encoder.first_layer is None
        with pytest.raises(NotImplementedError):
            encoder.tail(torch.zeros(1, 16), {})
        attributed(encoder)


def test_the_users_network_stays_as_it_is():
    module = sequential().double()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    TorchEncoder(module, vocabulary(), name="mine").embed(block())
    assert module.training
    assert module[1].inplace
    assert all(parameter.requires_grad and parameter.dtype == torch.float64 for parameter in module.parameters())
    assert module[0].weight.is_contiguous()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def raw_counts(cells):
    return cells.matrix


def test_prepare_makes_the_values():
    encoder = TorchEncoder(sequential(), vocabulary(), raw_counts, name="mine", accepts="counts")
    assert encoder.accepts == {"counts"}
    with torch.no_grad():
        expected = sequential().eval()(torch.tensor(block().matrix.toarray())).numpy()
    np.testing.assert_allclose(encoder.embed(block()), expected, atol=1e-5)
    attributed(encoder)
    with pytest.raises(InputSpaceError, match="mine needs counts"):
        encoder.embed(Cells(block().matrix, "log1p", block().obs))
    assert TorchEncoder(sequential(), vocabulary(), raw_counts, name="mine", accepts="log1p").latent == 6


def test_the_fingerprint_follows_weights_genes_network_and_preparation():
    def make(module=None, genes=None, prepare=None, **options):
        module = sequential() if module is None else module
        return TorchEncoder(module, vocabulary() if genes is None else genes, prepare, name="mine", **options)

    selu = sequential()
    selu[1] = nn.SELU()
    other = sequential()
    other[4].bias.data += 1
    first = make().fingerprint
    assert make().fingerprint == first
    assert len(first) == 64
    variants = [make(selu), make(other), make(genes=[*NAMES[:-1], "X"]), make(prepare=raw_counts)]
    variants += [make(is_normalised=True), make(fingerprint="mine-2")]
    assert len({first, *(variant.fingerprint for variant in variants)}) == 7
    assert variants[-1].fingerprint == "mine-2"


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Linear(7, 3), "fails on two empty cells"),
        (nn.Sequential(nn.Linear(N_GENES, 4), nn.Flatten(0)), r"gives \(8,\) for two cells"),
        (nn.LSTM(N_GENES, 4), "gives tuple for two cells"),
    ],
)
def test_a_network_of_another_shape_is_refused(module, message):
    with pytest.raises(ModelError, match=message):
        TorchEncoder(module, vocabulary(), name="mine")


@pytest.mark.parametrize("accepts", ["scaled", ()])
def test_unknown_input_spaces_are_refused(accepts):
    with pytest.raises(InputError, match="accepts should be"):
        TorchEncoder(sequential(), vocabulary(), name="mine", accepts=accepts)


@pytest.mark.parametrize("wrong", [lambda c: c.matrix[:, :5], lambda c: c.matrix * np.nan])
def test_wrong_values_from_prepare_are_refused(wrong):
    encoder = TorchEncoder(sequential(), vocabulary(), wrong, name="mine")
    with pytest.raises(InputError, match=r"prepare of mine should give \(12, 60\) finite values"):
        encoder.embed(block())


def test_an_empty_cell_embeds_without_nan():
    encoder = TorchEncoder(gated(), vocabulary(), name="mine", is_normalised=True)
    empty = Cells(csr_matrix((1, N_GENES), dtype=np.float32), "counts", pd.DataFrame(index=["a"]))
    assert np.isfinite(encoder.embed(empty)).all()
