"""Alignment losses: least at the truth, at any scale of expression, where the published forms are not."""

import numpy as np
import pytest
import torch
from anndata import read_h5ad
from scipy.spatial.distance import cdist

from insignia.core.errors import GeneMatchError, InputError
from insignia.data import Condition, GenePriors, simulate_screen
from insignia.genes import read_gmt
from insignia.perturb.condition_vectors import ConditionVectors
from insignia.perturb.flow.aligned import make_alignment
from insignia.perturb.flow.alignment import correlation_loss, energy_loss, gene_set_averages
from insignia.perturb.flow.groups import LatentGroups
from insignia.perturb.flow.options import FlowOptions
from insignia.perturb.flow.tokens import TokenTable
from insignia.perturb.flow.trained import train_flow
from insignia.perturb.latents import PCALatent
from insignia.perturb.programs import induce_programs
from insignia.stats import energy_distance, entropic_plan, sinkhorn_divergence

SHIFTS = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 4.0)
SMALL = {"n_latent": 8, "width": 32, "epochs": 2, "steps_per_epoch": 10, "n_groups": 6, "n_programs": 6}


def published_pathway_loss(predicted, measured):
    """The published transport loss: a kernel exp(-cost / 0.1) that is not stabilised, and 50 scalings."""
    cost = torch.cdist(predicted, measured).square()
    kernel = torch.exp(-cost / 0.1)
    left, right = (torch.full((len(side),), 1 / len(side), dtype=cost.dtype) for side in (predicted, measured))
    v = torch.ones_like(right)
    for _ in range(50):
        u = left / (kernel @ v + 1e-10)
        v = right / (kernel.T @ u + 1e-10)
    plan = u[:, None] * kernel * v
    return (plan * cost).sum(), float(plan.sum().detach())


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(
        n_genes=60, n_programs=6, n_perturbations=12, n_doubles=12, n_controls=300, cells_per_condition=100, rng=0
    )


def shifted(controls, cells, k):
    """Controls moved by k times the mean effect of these very cells."""
    return controls + k * (cells.mean(axis=0) - controls.mean(axis=0))


def curve(loss, controls, cells, averages, scale):
    measured = torch.from_numpy(scale * cells @ averages)
    found = [loss(torch.from_numpy(scale * shifted(controls, cells, k) @ averages), measured) for k in SHIFTS]
    return np.array([float(one[0] if isinstance(one, tuple) else one) for one in found])


def slope(loss, controls, cells, averages, k):
    factor = torch.tensor(float(k), dtype=torch.float64, requires_grad=True)
    start, end = torch.from_numpy(controls), torch.from_numpy(cells)
    moved = start + factor * (end.mean(0) - start.mean(0))
    value = loss(moved @ torch.from_numpy(averages), end @ torch.from_numpy(averages))
    (found,) = torch.autograd.grad(value[0] if isinstance(value, tuple) else value, factor)
    return float(found)


def pair(screen):
    """Half of the controls, and the other half moved by a measured effect: alike in everything but their means."""
    condition = next(one for one in screen.data.conditions if len(one.genes) == 2)
    dense = [screen.data.expression[screen.data.rows(one, "context1")].toarray() for one in (Condition(), condition)]
    controls, moved = (part.astype(np.float64) for part in dense)
    return controls[::2], controls[1::2] + moved.mean(axis=0) - controls.mean(axis=0)


def test_energy_is_the_energy_distance():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(3, 20, 4)), rng.normal(size=(3, 30, 4)) + 0.5
    found = energy_loss(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    expected = [energy_distance(one, other) for one, other in zip(first, second, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 2.0, 10.0])
def test_energy_is_least_at_the_true_shift_and_flat_there(screen, scale):
    controls, cells = pair(screen)
    averages = gene_set_averages(screen.priors.gene_sets, screen.data.genes).toarray().astype(np.float64)
    values = curve(energy_loss, controls, cells, averages, scale)
    assert SHIFTS[int(values.argmin())] == 1
    slopes = {k: slope(energy_loss, scale * controls, scale * cells, averages, k) for k in (0.0, 1.0, 2.0)}
    assert slopes[0.0] < 0 < slopes[2.0]
    assert abs(slopes[1.0]) < 0.1 * min(-slopes[0.0], slopes[2.0])


def test_the_published_transport_loses_its_mass_and_its_minimum(screen):
    """Why it is not used: larger at the truth than far from it, and without value or gradient there."""
    controls, cells = pair(screen)
    averages = gene_set_averages(screen.priors.gene_sets, screen.data.genes).toarray().astype(np.float64)
    values = curve(published_pathway_loss, controls, cells, averages, 10.0)
    assert SHIFTS[int(values.argmin())] != 1
    assert values[-1] < 0.1 * values[SHIFTS.index(1.0)]
    right = torch.from_numpy(10 * shifted(controls, cells, 1.0) @ averages)
    assert published_pathway_loss(right, torch.from_numpy(10 * cells @ averages))[1] < 0.9
    assert slope(published_pathway_loss, 10 * controls, 10 * cells, averages, 4.0) == 0


def real_cells(real_data, name):
    """All 100 control cells, all 100 of a perturbation, and the Reactome sets of three measured genes or more."""
    adata = read_h5ad(real_data("perturb/norman19_mcfaline23_perturbench_dev.h5ad"))
    adata = adata[adata.obs["dataset"] == "norman19"]
    controls, cells = (
        adata[adata.obs["condition"].astype(str) == one].X.toarray().astype(np.float64) for one in ("control", name)
    )
    reactome = read_gmt(real_data("genesets/c2.cp.reactome.v7.5.1.symbols.gmt"))
    return controls, cells, gene_set_averages(reactome, tuple(adata.var_names)).toarray().astype(np.float64)


@pytest.mark.parametrize("name", ["KLF1", "MAP2K6"])
@pytest.mark.parametrize("scale", [1.0, 2.0, 10.0])
def test_energy_over_real_pathways_is_least_at_the_true_shift(real_data, name, scale):
    controls, cells, averages = real_cells(real_data, name)
    assert averages.shape[1] == 214
    values = curve(energy_loss, controls, cells, averages, scale)
    assert SHIFTS[int(values.argmin())] == 1
    slopes = {k: slope(energy_loss, scale * controls, scale * cells, averages, k) for k in (0.0, 1.0, 2.0)}
    assert np.isfinite(list(slopes.values())).all()
    assert abs(slopes[1.0]) < 0.3 * min(abs(slopes[0.0]), abs(slopes[2.0]))


@pytest.mark.parametrize("name", ["KLF1", "MAP2K6"])
def test_debiased_transport_over_real_pathways_keeps_its_mass_and_its_minimum(real_data, name):
    """The way to repair the published loss; energy distance does the same with nothing to choose."""
    controls, cells, averages = real_cells(real_data, name)
    for scale in (1.0, 2.0, 10.0):
        measured = scale * cells @ averages
        moved = [scale * shifted(controls, cells, k) @ averages for k in SHIFTS]
        regularisation = 0.1 * float(cdist(moved[SHIFTS.index(1.0)], measured, "sqeuclidean").mean())
        masses = [entropic_plan(cdist(one, measured, "sqeuclidean"), regularisation).mass for one in moved]
        np.testing.assert_allclose(masses, 1, atol=1e-3)
        values = [sinkhorn_divergence(one, measured, regularisation=regularisation) for one in moved]
        assert SHIFTS[int(np.argmin(values))] == 1


def correlated(rng, strength, *, n=64, draws=400, scores=6):
    """Cells whose scores share a common part."""
    common = rng.normal(size=(draws, n, 1))
    return torch.from_numpy(np.sqrt(strength) * common + np.sqrt(1 - strength) * rng.normal(size=(draws, n, scores)))


def test_correlations_are_compared_without_the_noise_of_few_cells():
    """At the truth the loss is zero on average; the plain squared difference is not, and prefers tighter cells."""
    rng = np.random.default_rng(0)
    measured = correlated(rng, 0.3)
    found = {strength: correlation_loss(correlated(rng, strength), measured) for strength in (0.0, 0.3, 0.6)}
    error = float(found[0.3].std()) / 20
    assert abs(float(found[0.3].mean())) < 3 * error
    for strength in (0.0, 0.6):
        assert float(found[strength].mean()) == pytest.approx(0.09, abs=0.02)
        assert float(found[strength].mean()) > 10 * error

    def plain(predicted):
        off = torch.stack(
            [torch.corrcoef(one.T) - torch.corrcoef(two.T) for one, two in zip(predicted, measured, strict=True)]
        )
        return float(off.square().sum((-2, -1)).mean()) / 30

    assert plain(correlated(rng, 0.3)) > 0.02


def test_too_few_cells_make_no_correlation():
    with pytest.raises(InputError, match="16 cells on either side, found 10"):
        correlation_loss(torch.zeros(10, 3), torch.zeros(20, 3))


def test_sets_average_measured_genes_only():
    weights = gene_set_averages({"a": ["g1", "g3", "g4", "far"], "b": ["g1", "g2"]}, ["g1", "g2", "g3", "g4"]).toarray()
    np.testing.assert_allclose(weights, np.array([[1, 0, 1, 1]]).T / 3, rtol=1e-6)
    with pytest.raises(GeneMatchError, match="None of 1 gene sets"):
        gene_set_averages({"b": ["g1", "g2"]}, ["g1", "g2"])


def aligned(screen, **weights):
    table = TokenTable(
        ConditionVectors.fit(screen.priors.embedding, screen.truth.targets), screen.truth.targets, ("",)
    )  # fmt: skip
    options = FlowOptions(**(SMALL | weights))
    latent = PCALatent.fit(screen.data, 8)
    groups = LatentGroups.make(screen.data, latent, table)
    programs = induce_programs(screen.data, n_programs=6)
    made = make_alignment(
        options, groups, latent, genes=screen.data.genes, programs=programs, priors=screen.priors
    )  # fmt: skip
    return table, options, made


def test_nothing_is_aligned_unless_asked_for(screen):
    assert aligned(screen)[2] is None
    assert len(aligned(screen, program_energy=1.0, program_correlation=1.0, pathway_energy=0.5)[2].scores) == 3
    with pytest.raises(InputError, match="gene_sets"):
        make_alignment(
            FlowOptions(pathway_energy=1.0), None, None, genes=screen.data.genes, programs=None, priors=GenePriors()
        )
    with pytest.raises(InputError, match="Weights of losses"):
        FlowOptions(program_energy=-1.0)


@pytest.mark.parametrize("name", ["program_energy", "program_correlation", "pathway_energy"])
def test_alignment_alone_tells_the_flow_where_to_go(screen, name):
    """Gradients of each loss reach encoder and velocity, and the trained flow is better aligned than no flow."""
    table, options, alignment = aligned(screen, **{name: 5.0}, epochs=4, steps_per_epoch=25)
    flow = train_flow(screen.data, table, options, seed=0, priors=screen.priors, show_progress=False)
    flow.network.requires_grad_(True)
    alignment.loss(flow.network, torch.Generator().manual_seed(0)).backward()
    slopes = [float(value.grad.abs().sum()) for value in flow.network.parameters() if value.grad is not None]
    assert np.isfinite(slopes).all()
    assert sum(one > 0 for one in slopes) > 10
    if name == "program_correlation":
        return

    def mean_loss(network):
        with torch.no_grad():
            return np.mean([float(alignment.loss(network, torch.Generator().manual_seed(seed))) for seed in range(10)])

    trained = mean_loss(flow.network)
    for part in (flow.network.velocity.leave, flow.network.velocity.linear):
        torch.nn.init.zeros_(part.weight)
    assert trained < 0.7 * mean_loss(flow.network)
