"""Latent spaces: components of sparse cells, and the autoencoder over program tokens that starts from them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from scipy.sparse import random as random_sparse
from sklearn.decomposition import PCA

from insignia.core.errors import InputError, InsigniaWarning
from insignia.data import GeneEmbedding, GenePriors, simulate_screen
from insignia.perturb.latents import LatentRequest, ModuleLatent, PCALatent, latents, sparse_pca
from insignia.perturb.latents.autoencoder import ModuleOptions, ProgramAutoencoder, ReconstructCells
from insignia.perturb.latents.blocks import GeneTable, ProgramBlock, ToGenes, ToTokens
from insignia.perturb.latents.module import fit_module_latent
from insignia.perturb.latents.sparse_pca import principal_components
from insignia.perturb.programs import Programs, induce_programs
from insignia.training import TrainOptions, fit

QUICK = ModuleOptions(width=8, n_heads=2, batch_size=64, epochs=3, steps_per_epoch=20, learning_rate=3e-3)
N = 10


@pytest.fixture(scope="module")
def screen():
    """53 genes in 6 programs: sizes differ."""
    return simulate_screen(
        n_genes=53, n_programs=6, n_perturbations=12, n_doubles=8, n_controls=200, cells_per_condition=40, rng=0
    )


@pytest.fixture(scope="module")
def programs(screen):
    return induce_programs(screen.data, n_programs=6)


@pytest.fixture(scope="module")
def module(screen, programs):
    return fit_module_latent(screen.data, LatentRequest(N, programs, screen.priors, show_progress=False), QUICK)


@pytest.fixture(scope="module", params=sorted(latents))
def latent(request, screen, programs):
    if request.param == "module":
        return request.getfixturevalue("module")
    return latents[request.param](screen.data, LatentRequest(N, programs, screen.priors))


def test_every_space_holds_cells_and_says_what_moving_means(latent, screen):
    cells = screen.data.expression[:40]
    points = latent.encode(cells)
    assert points.shape == (40, latent.size) == (40, N)
    np.testing.assert_allclose(latent.encode(cells.toarray()), points, atol=1e-4)
    np.testing.assert_allclose(
        latent.decode_tensor(torch.from_numpy(points)).detach(), latent.decode(points), atol=1e-4
    )
    moved = latent.displacement(points, points + 0.5)
    np.testing.assert_allclose(moved, latent.decode(points + 0.5) - latent.decode(points), atol=1e-4)
    np.testing.assert_array_equal(latent.displacement(points, points), 0)
    assert 0.3 < latent.explained(cells) < 1
    spread = latent.encode(screen.data.expression[screen.data.controls("context1")]).std(axis=0)
    np.testing.assert_allclose(spread, 1, atol=0.25)


def test_every_space_is_made_again_of_its_state(latent, screen):
    arrays, about = latent.state()
    again = type(latent).from_state({k: v.copy() for k, v in arrays.items()}, json.loads(json.dumps(about)))
    cells = screen.data.expression[:20]
    np.testing.assert_array_equal(again.encode(cells), latent.encode(cells))
    assert again.describe() == latent.describe()


@pytest.mark.parametrize("few_genes", [10, 1000])
def test_components_are_those_of_the_dense_matrix(monkeypatch, few_genes):
    """Both ways, exact and randomised, against scikit-learn."""
    monkeypatch.setattr(sparse_pca, "_FEW_GENES", few_genes)
    rng = np.random.default_rng(0)
    planted = rng.normal(size=(300, 5)) * [9, 7, 5, 4, 3] @ rng.normal(size=(5, 60))
    cells = csr_matrix((planted + 5) * (random_sparse(300, 60, 0.4, rng=rng).toarray() > 0), dtype=np.float32)
    centre, axes = principal_components(cells, 5)
    exact = PCA(5, svd_solver="full").fit(cells.toarray().astype(np.float64))
    np.testing.assert_allclose(centre, exact.mean_, atol=1e-4)
    assert np.abs((axes * exact.components_).sum(axis=1)) == pytest.approx(np.ones(5), abs=0.01)
    np.testing.assert_allclose(axes @ axes.T, np.eye(5), atol=1e-5)


def test_programs_of_any_size_enter_and_leave_by_their_own_weights():
    """Oracle: one small matrix a program; a gene without a program neither enters nor leaves."""
    genes = tuple("abcdefg")
    table = GeneTable(Programs.from_labels(genes, np.array([0, 1, 0, -1, 1, 0, 2]), source="planted"), genes)
    torch.manual_seed(0)
    enter, leave = ToTokens(table, 3), ToGenes(table, 3, 7)
    torch.nn.init.normal_(leave.weight)
    cells = torch.randn(4, 7)
    members = [[0, 2, 5], [1, 4], [6]]
    tokens = enter(cells)
    for k, rows in enumerate(members):
        torch.testing.assert_close(tokens[:, k], cells[:, rows] @ enter.weight[k, : len(rows)])
    genes_out = leave(tokens)
    for k, rows in enumerate(members):
        torch.testing.assert_close(genes_out[:, rows], tokens[:, k] @ leave.weight[k, :, : len(rows)])
    assert (genes_out[:, 3] == 0).all()


def test_before_training_it_is_principal_components(screen, programs):
    base = PCALatent.fit(screen.data, N)
    network = ProgramAutoencoder(base, GeneTable(programs, screen.data.genes), torch.zeros(6, 0), QUICK)
    cells = torch.from_numpy(screen.data.expression[:30].toarray())
    torch.testing.assert_close(
        network(cells), torch.from_numpy(base.decode(base.encode(cells.numpy()))), atol=1e-4, rtol=1e-4
    )  # fmt: skip


def test_it_holds_unseen_cells_no_worse_than_principal_components(module, screen):
    cells = screen.replicate.expression
    assert module.r2 >= module.r2_pca - 0.001
    assert module.explained(cells) >= module.base.explained(cells) - 0.002


def test_it_learns_what_a_line_cannot_hold():
    """Planted: a curve through programs; one dimension of the autoencoder holds more of it than one component."""
    rng = np.random.default_rng(0)
    screen = simulate_screen(
        n_genes=40, n_programs=4, n_perturbations=3, n_doubles=0, n_controls=500, cells_per_condition=300, rng=0
    )
    angle = rng.uniform(0, np.pi, len(screen.data))
    curve = np.stack([np.cos(angle), np.sin(angle)], axis=1) @ rng.normal(size=(2, 40)) + 3
    data = replace(screen.data, expression=csr_matrix(np.maximum(curve, 0).astype(np.float32)))
    options = replace(QUICK, epochs=15, steps_per_epoch=30)
    curved = fit_module_latent(data, LatentRequest(1, induce_programs(data, n_programs=4), seed=0), options)
    assert curved.r2 > curved.r2_pca + 0.1


def test_a_space_worse_than_principal_components_is_warned_about(screen, programs):
    with pytest.warns(InsigniaWarning, match="principal components of the same size"):
        fit_module_latent(
            screen.data, LatentRequest(N, programs, seed=0), replace(QUICK, epochs=1, learning_rate=0.3)
        )  # fmt: skip


def test_every_weight_of_the_autoencoder_is_trained(screen, programs):
    base = PCALatent.fit(screen.data, N)
    many = Programs.from_labels(screen.data.genes, np.arange(53), source="planted")
    for chosen in (programs, many):
        n = len(chosen)
        network = ProgramAutoencoder(base, GeneTable(chosen, screen.data.genes), torch.randn(n, 5), QUICK)
        before = {name: value.detach().clone() for name, value in network.named_parameters()}
        objective = ReconstructCells(screen.data.expression, screen.data.expression[:10].toarray(), 32, 10)
        fit(network, objective, TrainOptions(epochs=1, keep="last"), seed=0, show_progress=False)
        assert [name for name, value in network.named_parameters() if torch.equal(before[name], value)] == []


def test_many_tokens_attend_through_inducing_points():
    few, many = ProgramBlock(8, 2, 64), ProgramBlock(8, 2, 65)
    assert few.points is None
    assert many.points.shape == (8, 8)
    tokens = torch.randn(2, 65, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(many(tokens)[0, 0].sum() + many(tokens)[0, 0, 0], tokens)
    assert slope[0, 64].abs().sum() > 0
    assert slope[1].abs().sum() == 0


def test_what_genes_are_tells_programs_apart(screen, programs):
    """A gene without a vector does not count; without an embedding there is no relation."""
    first = programs.members["program01"]
    vectors = GeneEmbedding(first[:2], np.array([[1, 2], [3, 4]], dtype=np.float32))
    made = fit_module_latent(
        screen.data, LatentRequest(N, programs, GenePriors(gene_embedding=vectors)), replace(QUICK, epochs=1)
    )
    relations = made.network.relations
    assert relations[0, 1] / relations[0, 0] == pytest.approx(3 / 2)
    assert (relations[1:] == 0).all()


def test_a_space_of_programs_needs_them(screen):
    with pytest.raises(InputError, match="built of programs"):
        latents["module"](screen.data, LatentRequest(N))
    strange = Programs.from_labels(("x", "y"), np.array([0, 1]), source="planted")
    with pytest.raises(InputError, match="none of the measured genes"):
        fit_module_latent(screen.data, LatentRequest(N, strange))
    with pytest.raises(InputError, match="multiple of n_heads"):
        ModuleOptions(width=10, n_heads=4)


def test_equal_seeds_give_equal_spaces(module, screen, programs):
    again = fit_module_latent(screen.data, LatentRequest(N, programs, screen.priors, show_progress=False), QUICK)
    for one, other in zip(module.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert isinstance(again, ModuleLatent)


@pytest.mark.parametrize("few_genes", [10, 1000])
def test_the_order_of_the_genes_changes_no_space(screen, programs, few_genes, monkeypatch):
    monkeypatch.setattr(sparse_pca, "_FEW_GENES", few_genes)
    order = np.random.default_rng(0).permutation(53)
    genes = tuple(np.array(screen.data.genes)[order].tolist())
    turned = replace(screen.data, genes=genes, expression=screen.data.expression[:, order].tocsr())
    request = LatentRequest(N, programs, screen.priors, epochs=1)
    for name in latents:
        first, second = latents[name](screen.data, request), latents[name](turned, request)
        points = first.encode(screen.data.expression[:9])
        np.testing.assert_allclose(second.encode(turned.expression[:9]), points, atol=1e-3)
        np.testing.assert_allclose(second.decode(points), first.decode(points)[:, order], atol=1e-3)
