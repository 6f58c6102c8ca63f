"""The network of ASIGN: what each spot sees, that all of it is alive, and that nothing else has a say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.spatial.spot_stacks import PITCH, stack

from insignia.core.errors import InputError
from insignia.spatial.asign import AsignOptions
from insignia.spatial.asign.fit import start_network
from insignia.spatial.asign.inputs import InputOptions, network_inputs, tiles_of
from insignia.spatial.asign.losses import lack_of_correlation, tile_means
from insignia.spatial.asign.model import describe

OPTIONS = AsignOptions(width=16, heads=2)


def network(options=OPTIONS, *, features=4, seed=0):
    return start_network(features, options, seed=seed, number=0)


def without_edges(inputs):
    none = torch.zeros(0, dtype=torch.int64)
    return replace(inputs, source=none, target=none, attributes=inputs.attributes[:0])


def jacobian(options, inputs):
    """Gradient of each spot's description with respect to each spot's features, summed in size: (spots, spots)."""
    one = network(options)

    def described(features):
        return one(replace(inputs, features=features))

    found = torch.autograd.functional.jacobian(described, inputs.features)
    return found.abs().sum(dim=(1, 3)).numpy()


def test_without_edges_and_tiles_a_spot_is_described_by_its_own_features_alone():
    options = replace(OPTIONS, inputs=InputOptions(tile_sides_pitches=()))
    size = jacobian(options, without_edges(network_inputs(stack(side=4), options.inputs)))
    own = np.eye(len(size), dtype=bool)
    assert (size[own] > 1e-4).all()
    assert (size[~own] == 0).all()


def test_with_edges_a_spot_sees_its_neighbours_up_to_the_number_of_layers_and_itself_most():
    options = replace(OPTIONS, inputs=InputOptions(tile_sides_pitches=()))
    inputs = network_inputs(stack(side=4), options.inputs)
    size = jacobian(options, inputs)
    n = len(size)
    one_step = np.eye(n, dtype=bool)
    one_step[inputs.target, inputs.source] = True
    assert ((size > 0) == (one_step.astype(int) @ one_step > 0)).all()
    others = size.sum(axis=1) - np.diag(size)
    assert (np.diag(size) > others / (one_step.sum(axis=1) - 1)).all()


def test_a_spot_sees_the_tiles_around_it_and_no_others():
    options = replace(OPTIONS, layers=0)
    spots = stack(side=12, sections=2)
    inputs, own = network_inputs(spots, options.inputs), network(options)
    base = own(inputs)
    for level, tiles in enumerate(inputs.tiles):
        moved = tiles.features.clone()
        moved[0] += 3.0
        changed = [*inputs.tiles]
        changed[level] = replace(tiles, features=moved)
        differs = (own(replace(inputs, tiles=tuple(changed))) - base).abs().amax(dim=1) > 1e-5
        looks = ((tiles.index == 0) & tiles.is_there).any(dim=1)
        assert looks.any()
        assert not looks.all()
        torch.testing.assert_close(differs, looks)


def test_tiles_pool_their_own_section():
    spots = stack(side=6, sections=2)
    inputs = network_inputs(spots, InputOptions())
    tile = tiles_of(spots, 3.0, np.arange(len(spots)))
    for number in np.unique(tile):
        rows = tile == number
        assert len(np.unique(spots.section[rows])) == 1
        assert np.ptp(spots.xyz_um[rows, :2], axis=0).max() <= 3.0 * PITCH
        np.testing.assert_allclose(inputs.tiles[0].features[number], spots.features[rows].mean(axis=0), atol=1e-6)
    looked_at = spots.section[[np.flatnonzero(tile == number)[0] for number in inputs.tiles[0].index[:, 0]]]
    np.testing.assert_array_equal(looked_at, spots.section)


def test_all_weights_are_alive():
    one, inputs = network().train(), network_inputs(stack(side=10), InputOptions())
    before = {name: value.detach().clone() for name, value in one.named_parameters()}
    optimizer = torch.optim.SGD(one.parameters(), lr=0.1)
    target = torch.randn(len(inputs.features), one.width, generator=torch.Generator().manual_seed(0))
    for _ in range(10):
        optimizer.zero_grad()
        (one(inputs) - target).square().sum().backward()
        optimizer.step()
    still = [name for name, value in one.named_parameters() if torch.equal(value, before[name])]
    assert still == []


@pytest.mark.parametrize(
    "part", ["contexts.0.query", "contexts.1.key", "contexts.0.place", "graph.0.edge", "graph.1.score"]
)
def test_scrambled_attention_changes_the_description(part):
    one, inputs = network(), network_inputs(stack(side=10), InputOptions())
    base = one(inputs)
    weight = dict(one.named_parameters())[part if part.endswith("score") else f"{part}.weight"]
    with torch.no_grad():
        weight.copy_(weight.flatten()[torch.randperm(weight.numel())].view_as(weight))
    assert (one(inputs) - base).abs().max() > 1e-4


def test_spots_without_neighbours_are_described():
    spots = stack(side=3)
    xyz = spots.xyz_um.copy()
    xyz[:, :2] += 1e5 * np.arange(len(spots))[:, None]
    inputs = network_inputs(replace(spots, xyz_um=xyz), InputOptions())
    assert len(inputs.source) == 0
    assert torch.isfinite(network()(inputs)).all()


def test_neither_the_order_of_rows_nor_far_spots_have_a_say():
    spots, one = stack(side=5, sections=6), network()
    base = describe(one, spots, InputOptions())
    order = np.random.default_rng(0).permutation(len(spots))
    np.testing.assert_array_equal(describe(one, spots.take(order), InputOptions()), base[order])
    # two layers over edges between neighbouring sections do not reach further than two sections
    near = np.flatnonzero(spots.section <= 2)
    alone = describe(one, spots.take(near), InputOptions())
    np.testing.assert_allclose(alone[spots.section[near] == 0], base[spots.section == 0], atol=1e-6)
    assert np.abs(alone[spots.section[near] == 2] - base[spots.section == 2]).max() > 1e-4


def test_nobody_looks_at_spots_without_features():
    spots = stack(side=5)
    features = spots.features.copy()
    features[spots.section == 1] = np.nan
    seen = describe(network(), replace(spots, features=features), InputOptions())
    np.testing.assert_array_equal(np.isnan(seen).any(axis=1), spots.section == 1)
    rows = np.flatnonzero(spots.section != 1)
    np.testing.assert_array_equal(seen[rows], describe(network(), spots.take(rows), InputOptions()))


@pytest.mark.parametrize(
    "changes", [{"inputs": InputOptions(tile_sides_pitches=())}, {"layers": 0}, {"mixes_layers": False}]
)
def test_parts_can_be_left_out(changes):
    options = replace(OPTIONS, **changes)
    full, less = network(), network(options)
    assert len(list(less.parameters())) < len(list(full.parameters()))
    assert torch.isfinite(less(network_inputs(stack(), options.inputs))).all()


def test_the_mean_profile_does_not_please_the_losses():
    truth = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    section, tile = torch.arange(40) // 20, torch.arange(40) // 5
    profile = truth.mean(0).expand_as(truth)
    assert lack_of_correlation(truth, truth, section) < 1e-4
    assert lack_of_correlation(profile, truth, section) == pytest.approx(1.0, abs=1e-3)
    assert lack_of_correlation(-truth, truth, section) == pytest.approx(2.0, abs=1e-3)
    # an offset between sections is not correlation within them
    assert lack_of_correlation(profile + 9.0 * section[:, None], truth + section[:, None], section) > 0.9
    torch.testing.assert_close(tile_means(truth, tile), truth.view(8, 5, 3).mean(1))


def test_options_out_of_range_are_refused():
    with pytest.raises(InputError, match="network_share between 0 and 1"):
        AsignOptions(network_share=1.5)
