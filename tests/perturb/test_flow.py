"""The flow: exact nulls, sets without order, couplings, trust, and that it finds what was planted."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data import Condition, read_screen, simulate_screen
from insignia.data.perturbation_splits import stratum, unseen_genes_split
from insignia.perturb import predictors
from insignia.perturb.condition_vectors import ConditionVectors
from insignia.perturb.effects import group_effects
from insignia.perturb.flow.coupling import couplings, squared_distances
from insignia.perturb.flow.groups import LatentGroups
from insignia.perturb.flow.network import FlowNetwork, SetEncoder, VelocityNetwork
from insignia.perturb.flow.objective import FlowObjective
from insignia.perturb.flow.options import FlowOptions
from insignia.perturb.flow.sampler import carry
from insignia.perturb.flow.tokens import TokenTable
from insignia.perturb.flow.trained import train_flow
from insignia.perturb.flow.trust import LeftOut, Trust, fit_trust, shape_errors
from insignia.perturb.latents import PCALatent
from insignia.training import TrainOptions, fit

SMALL = {"n_latent": 8, "width": 32, "epochs": 2, "steps_per_epoch": 10, "n_groups": 6}


@pytest.fixture(scope="module")
def screen():
    return simulate_screen(
        n_genes=60, n_programs=6, n_perturbations=12, n_doubles=12, n_controls=200, cells_per_condition=40, rng=0
    )


@pytest.fixture(scope="module")
def table(screen):
    targets = screen.truth.targets
    return TokenTable(ConditionVectors.fit(screen.priors.embedding, targets), targets, ("",))


@pytest.fixture(scope="module")
def flow(screen, table):
    return train_flow(screen.data, table, FlowOptions(**SMALL), seed=0, show_progress=False)


def network(table, *, latent=8):
    torch.manual_seed(0)
    encoder = SetEncoder(table.n_dimensions, len(table.genes), len(table.kinds) + 1, 32)
    velocity = VelocityNetwork(latent, 32, 2, 1)
    torch.nn.init.normal_(encoder.interaction.weight)
    torch.nn.init.normal_(velocity.linear.weight)
    return FlowNetwork(encoder, velocity).eval()


def test_the_control_moves_nothing_exactly(flow, screen):
    source = screen.data.expression[:20].toarray()
    assert np.array_equal(flow.shift(Condition(), "context1", source, n_steps=10), np.zeros_like(source))
    pair = screen.truth.doubles[0]
    assert np.abs(flow.shift(pair, "context1", source, n_steps=10)).max() > 1e-3


def test_empty_slots_and_order_change_nothing(table, screen):
    encoder = network(table).encoder
    pair, single = screen.truth.doubles[0], Condition.of([screen.truth.targets[3]])
    alone = encoder(table.tokens([single]))
    padded = encoder(table.tokens([single, pair]))
    torch.testing.assert_close(padded[:1], alone)
    tokens = table.tokens([pair])
    turned = type(tokens)(*(part.flip(1) for part in (tokens.vector, tokens.gene, tokens.extra, tokens.filled)))
    torch.testing.assert_close(encoder(turned), encoder(tokens))


def test_pairs_are_more_than_their_sum_once_interactions_are_learned(table, screen):
    encoder = network(table).encoder
    pair = screen.truth.doubles[0]
    together, apart = encoder(table.tokens([pair])), encoder(table.tokens(pair.singles)).sum(0, keepdim=True)
    assert not torch.allclose(together, apart, atol=1e-3)
    torch.nn.init.zeros_(encoder.interaction.weight)
    torch.testing.assert_close(encoder(table.tokens([pair])), apart, rtol=1e-4, atol=1e-5)


def test_exact_coupling_is_the_cheapest_permutation():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    cost = squared_distances(source, target)
    best = min(cost[np.arange(6), order].sum() for order in map(list, permutations(range(6))))
    assert cost[np.arange(6), couplings["exact"](source, target, rng)].sum() == pytest.approx(best)


def test_couplings_realise_what_they_promise_of_the_possible_saving():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(100, 10)), 1 + rng.normal(size=(100, 10))
    cost = squared_distances(source, target)

    def mean_cost(name):
        drawn = [cost[np.arange(100), couplings[name](source, target, rng)].mean() for _ in range(20)]
        return np.mean(drawn)

    saving = {name: (cost.mean() - mean_cost(name)) / (cost.mean() - mean_cost("exact")) for name in couplings}
    assert saving["exact"] == 1
    assert saving["sinkhorn"] > 0.8
    assert abs(saving["independent"]) < 0.15
    assert sorted(couplings["exact"](source, target, rng)) == list(range(100))


def test_exact_coupling_costs_what_pot_finds():
    ot = pytest.importorskip("ot", reason="POT is an optional oracle")
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(64, 10)), 1 + rng.normal(size=(64, 10))
    cost = squared_distances(source, target)
    order = couplings["exact"](source, target, rng)
    even = np.full(64, 1 / 64)
    assert cost[np.arange(64), order].mean() == pytest.approx(ot.emd2(even, even, cost), abs=1e-9)


def test_couplings_of_real_cells_realise_what_they_promise(real_data):
    """All 100 control cells against 100 of KLF1; in batches of 32 less is possible, and most of it is realised."""
    data = read_screen(
        real_data("perturb/norman19_mcfaline23_perturbench_dev.h5ad"), control="control", where={"dataset": "norman19"}
    )
    latent, rng = PCALatent.fit(data, 50), np.random.default_rng(0)
    source, target = (
        latent.encode(data.expression[data.rows(one, "k562")]) for one in (Condition(), Condition.of(["KLF1"]))
    )
    cost = squared_distances(source, target)

    def saving(name, size):
        found = []
        for _ in range(20):
            rows, columns = (rng.permutation(100)[:size] for _ in range(2))
            order = couplings[name](source[rows], target[columns], rng)
            found.append(cost.mean() - cost[rows, columns[order]].mean())
        return np.mean(found)

    possible = saving("exact", 100)
    assert saving("sinkhorn", 100) > 0.8 * possible
    assert saving("exact", 32) > 0.75 * possible


def test_every_parameter_changes_within_ten_steps(screen, table):
    latent = PCALatent.fit(screen.data, 8)
    groups = LatentGroups.make(screen.data, latent, table)
    module = network(table).requires_grad_(True)
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    objective = FlowObjective(groups, couplings["exact"], n_groups=12, n_cells=8, n_steps=10)
    fit(module, objective, TrainOptions(epochs=1, keep="last"), seed=0, show_progress=False)
    still = [name for name, value in module.named_parameters() if torch.equal(before[name], value)]
    assert still == []


def test_the_midpoint_rule_has_converged_at_ten_steps(flow, screen):
    source = screen.data.expression[screen.data.controls("context1")].toarray()
    pair = screen.truth.doubles[0]
    few, many = (flow.shift(pair, "context1", source, n_steps=n).mean(axis=0) for n in (10, 100))
    assert np.linalg.norm(few - many) < 0.01 * np.linalg.norm(many)


def test_the_midpoint_rule_is_of_second_order_where_paths_turn():
    """A velocity that turns points and grows with time: half the step makes a quarter of the error."""
    turn = 1.5 * torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)

    def velocity(point, time, code, context):
        return point @ turn.T + time[:, None] * code

    start = torch.tensor([[1.0, 0.0], [0.5, 2.0]], dtype=torch.float64)
    push = torch.tensor([[0.3, -0.8]], dtype=torch.float64)
    exact = np.array([
        solve_ivp(lambda t, x: turn.numpy() @ x + t * push.numpy()[0], (0, 1), one, rtol=1e-10, atol=1e-10).y[:, -1]
        for one in start.numpy()
    ])  # fmt: skip
    off = [
        np.abs(carry(velocity, start, push, torch.zeros(2, dtype=torch.long), n_steps=n).numpy() - exact).max()
        for n in (10, 20)
    ]
    assert off[0] < 0.02
    assert 3.5 < off[0] / off[1] < 4.5


@torch.no_grad()
def test_ten_steps_come_to_where_an_adaptive_solver_comes(flow, screen):
    """Dormand-Prince of scipy with tight tolerances; Euler's rule is within 4 %, as its means were measured to be."""
    start = torch.from_numpy(flow.latent.encode(screen.data.expression[screen.data.controls("context1")]))[:60]
    code = flow.network.encoder(flow.table.tokens([screen.truth.doubles[0]])).expand(60, -1)
    context = torch.ones(60, dtype=torch.long)

    def velocity(time, flat):
        point = torch.from_numpy(flat.reshape(start.shape).astype(np.float32))
        moving = flow.network.velocity(point, torch.full((60,), float(time)), code, context)
        return moving.numpy().ravel().astype(np.float64)

    solved = solve_ivp(velocity, (0, 1), start.numpy().ravel().astype(np.float64), rtol=1e-4, atol=1e-5)
    moved = solved.y[:, -1].reshape(start.shape).mean(axis=0) - start.numpy().mean(axis=0)
    ours = (carry(flow.network.velocity, start, code[:1], context) - start).numpy().mean(axis=0)
    assert np.linalg.norm(ours - moved) < 0.01 * np.linalg.norm(moved)
    point = start.numpy().ravel().astype(np.float64)
    for step in range(10):
        point = point + 0.1 * velocity(0.1 * step, point)
    euler = point.reshape(start.shape).mean(axis=0) - start.numpy().mean(axis=0)
    assert np.linalg.norm(euler - moved) < 0.04 * np.linalg.norm(moved)


def test_points_are_carried_alike_in_any_company(flow):
    start = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    code = flow.network.encoder(flow.table.tokens([Condition.of([flow.table.genes[0]])]))
    context = torch.ones(30, dtype=torch.long)
    together = carry(flow.network.velocity, start, code, context)
    alone = torch.cat([carry(flow.network.velocity, start[i : i + 1], code, context[:1]) for i in range(30)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_equal_seeds_give_equal_flows(screen, table):
    first, second = (train_flow(screen.data, table, FlowOptions(**SMALL), seed=3) for _ in range(2))
    for one, other in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_trust_falls_to_the_mean_when_the_flow_knows_nothing():
    rng = np.random.default_rng(0)
    mean, zero = rng.normal(size=40), np.zeros(40)
    measured = [mean + 0.3 * rng.normal(size=40) for _ in range(20)]
    noise = [LeftOut(zero, mean, 3 * rng.normal(size=40), one, 1) for one in measured]
    blind = fit_trust(noise)
    assert blind.flow_unseen < 0.05
    assert blind.mean_unseen > 0.9
    sure = fit_trust([LeftOut(zero, mean, one, one, 1) for one in measured])
    assert sure.flow_unseen > 0.95
    nothing = fit_trust([LeftOut(zero, mean, mean, 0.1 * rng.normal(size=40), 1) for _ in range(20)])
    assert nothing.mean_unseen + nothing.flow_unseen < 0.2


def test_combinations_that_were_never_shown_get_the_additive_answer():
    """On the Norman subset, whose training side has singles only, full trust was worse than no change."""
    single = LeftOut(np.zeros(4), np.zeros(4), np.ones(4), np.ones(4), 1)
    pair = LeftOut(np.zeros(4), np.zeros(4), np.ones(4), np.ones(4), 0)
    assert fit_trust([single] * 3).flow_seen == 0
    assert fit_trust([single, pair]).flow_seen == 1
    assert fit_trust([]).flow_seen == 1


def test_a_flow_without_weight_shapes_no_cells(screen):
    """Its cells had the shape that the flow gave a pair it was never shown, at a mean that it did not choose."""
    fitted = predictors["flow"](**SMALL, n_folds=0).fit(screen.data, priors=screen.priors, show_progress=False)
    pair, source = screen.truth.doubles[0], screen.data.expression[:30].toarray()
    assert isinstance(pair, Condition)
    shaped = fitted.cells(pair, "context1", source, rng=np.random.default_rng(0))
    fitted.trust = Trust(flow_seen=0.0, shape_seen=0.0)
    plain = fitted.cells(pair, "context1", source, rng=np.random.default_rng(0))
    expected = np.maximum(source + fitted.effect(pair, "context1").delta, 0)
    assert plain == pytest.approx(expected, abs=1e-5)
    assert np.abs(shaped - plain).max() > 1e-3


def test_the_shape_of_cells_is_trusted_as_far_as_it_was_right():
    """Planted: half of the cells escape. A flow that knows it, one that draws all cells together, and one between."""
    rng = np.random.default_rng(0)
    source = rng.normal(size=(200, 3))
    away = np.array([6.0, 0, 0]) * (np.arange(200) < 100)[:, None]
    measured = rng.normal(size=(150, 3)) + np.array([6.0, 0, 0]) * (np.arange(150) < 75)[:, None]
    half = rng.normal(size=(150, 3)) + np.array([3.0, 0, 0]) * (np.arange(150) < 75)[:, None]

    def weight(carried, cells, n_unseen):
        one = LeftOut(*np.zeros((4, 2)), n_unseen, shape_errors(source, carried, cells))
        trust = fit_trust([one])
        return trust.shape_unseen if n_unseen else trust.shape_seen

    for n_unseen in (0, 1):
        assert weight(source + away, measured, n_unseen) == 1
        assert weight(source + away, half, n_unseen) == 0.5
        assert weight(np.zeros_like(source), rng.normal(size=(150, 3)), n_unseen) == 0
    single = LeftOut(*np.zeros((4, 2)), 1, shape_errors(source, source + away, measured))
    assert fit_trust([single]).shape_seen == 0


def test_a_half_trusted_shape_lies_between_cells_moved_alike_and_cells_as_carried(screen):
    fitted = predictors["flow"](**SMALL, n_folds=0).fit(screen.data, priors=screen.priors, show_progress=False)
    pair = screen.truth.doubles[0]
    source = 20 + fitted._controls["context1"]
    made = {}
    for weight in (0.0, 0.5, 1.0):
        fitted.trust = Trust(shape_seen=weight)
        made[weight] = fitted.cells(pair, "context1", source, rng=np.random.default_rng(0))
        assert np.isfinite(made[weight]).all()
    np.testing.assert_allclose(made[0.5], (made[0.0] + made[1.0]) / 2, atol=1e-4)


def test_a_gene_perturbed_in_another_way_is_unseen_to_the_flow(screen):
    """Activation tells nothing for sure of repression: the weight of unseen genes holds, in mean and in cells."""
    activated = tuple(Condition.of(one.genes, kind="CRISPRa") for one in screen.data.conditions)
    data = replace(screen.data, conditions=activated)
    fitted = predictors["flow"](**SMALL, n_folds=0).fit(data, priors=screen.priors, show_progress=False)
    fitted.trust = Trust(flow_unseen=0.25, flow_seen=0.75)
    gene, other = screen.truth.targets[:2]
    for kind, weight in (("CRISPRa", 0.75), ("CRISPRi", 0.25)):
        assert fitted.effect(Condition.of([gene], kind=kind), "context1").facts[keys.SHRINKAGE] == weight
    known = fitted._known.effect(Condition.of([other], kind="CRISPRa"), "context1").delta
    mixed = Condition((*Condition.of([gene], kind="CRISPRi").perturbations, *Condition.of([other], kind="CRISPRa")
                       .perturbations))  # fmt: skip
    fitted.trust = Trust(mean_unseen=0.0, flow_unseen=0.0)
    np.testing.assert_allclose(fitted.effect(mixed, "context1").delta, known)


def test_trust_mixes_as_it_says():
    known, mean, flow = np.array([1.0]), np.array([10.0]), np.array([5.0])
    trust = Trust(mean_unseen=0.2, flow_unseen=0.5, flow_seen=0.25)
    assert trust.combine(known, mean, flow, n_unseen=0) == 1 + 0.25 * 4
    assert trust.combine(known, mean, flow, n_unseen=2) == 1 + 0.2 * 2 * 10 + 0.5 * 4


def test_impossible_options_are_refused():
    with pytest.raises(InputError, match="n_folds"):
        predictors["flow"](n_folds=1)
    with pytest.raises(KeyError, match="no coupling"):
        predictors["flow"](coupling="best")


def test_it_finds_the_effects_of_genes_it_has_not_seen(screen):
    """Planted: the embedding tells the effects; shuffled, it tells nothing."""
    split = unseen_genes_split(screen.data, share=0.25, rng=1)
    test = [Condition.parse(unit) for unit in split.test]
    train = screen.data.without(test)
    truth = group_effects(screen.replicate)
    unseen = [one for one in test if stratum(one, train.conditions) == "unseen single"]

    def error(name, **options):
        fitted = predictors[name](**options).fit(train, priors=screen.priors, show_progress=False)
        found = [fitted.effect(one, "context1").delta - truth.of(one, "context1") for one in unseen]
        return np.mean([np.linalg.norm(off) for off in found])

    flow = error("flow", n_latent=20, width=64, epochs=4, steps_per_epoch=40, n_groups=8, n_folds=3)
    assert flow < 0.9 * error("perturbed_mean")


def test_scbig_is_the_flow_with_pieces_that_can_be_chosen():
    assert predictors["scbig"]().options.latent == "module"
    assert predictors["scbig"]().options.pathway_energy == 0
    assert predictors["scbig"]().options.programs == "grc"
    assert predictors["scbig"](pieces=()).options == predictors["flow"](programs="grc").options
    whole = predictors["scbig"](pieces="all", program_energy=0.0).options
    assert whole.latent == "module"
    assert whole.pathway_energy > 0
    assert whole.program_energy == 0
    with pytest.raises(KeyError, match="no piece 'modules'"):
        predictors["scbig"](pieces="modules")
