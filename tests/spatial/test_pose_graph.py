"""Poses of a stack from its pairs: exact where pairs agree, and not misled by one that contradicts the others."""

import numpy as np
import pytest

from insignia.data import Transform
from insignia.spatial.registration.graph import Edge, miss_um, reachable, solve_poses

CROSS = 500.0 + 300.0 * np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])


def poses(count, rng):
    return {f"s{i}": Transform(np.column_stack([turn(rng), rng.uniform(-200, 200, 2)])) for i in range(count)}


def turn(rng):
    return Transform.rigid(rng.uniform(-180, 180), np.zeros(2)).matrix[:, :2] @ (
        np.eye(2) + rng.normal(0, 0.02, (2, 2))
    )


def edge(moving, fixed, truth, *, off_um=0.0, weight=1.0):
    """The pair's map under known poses, shifted in the fixed section's frame."""
    there = truth[moving].then(truth[fixed].inverse())
    return Edge(moving, fixed, there.then(Transform.rigid(0, np.array([off_um, 0.0]))), CROSS, weight)


def farthest_um(found, truth):
    return max(np.linalg.norm(found[name].apply(CROSS) - truth[name].apply(CROSS), axis=1).max() for name in truth)


@pytest.mark.parametrize("pairs", [[(1, 0), (2, 1), (3, 2)], [(1, 0), (2, 1), (2, 0), (3, 2), (3, 1), (3, 0)]])
def test_pairs_that_agree_are_met_exactly(pairs):
    truth = poses(4, np.random.default_rng(0))
    edges = [edge(f"s{moving}", f"s{fixed}", truth) for moving, fixed in pairs]
    found = solve_poses(edges, {"s0": truth["s0"]}, tolerance_um=50.0)
    assert farthest_um(found, truth) < 1e-6
    assert max(miss_um(one, found) for one in edges) < 1e-6


def test_a_pair_that_contradicts_the_others_hardly_counts():
    truth = poses(4, np.random.default_rng(1))
    names = [(1, 0), (2, 1), (2, 0), (3, 2), (3, 1), (3, 0)]
    edges = [edge(f"s{moving}", f"s{fixed}", truth) for moving, fixed in names]
    edges[2] = edge("s2", "s0", truth, off_um=400.0)
    found = solve_poses(edges, {"s0": truth["s0"]}, tolerance_um=20.0)
    assert farthest_um(found, truth) < 40.0
    assert miss_um(edges[2], found) > 350.0
    even = solve_poses(edges, {"s0": truth["s0"]}, tolerance_um=1e9)
    assert farthest_um(even, truth) > 150.0


def test_weight_decides_between_two_pairs():
    truth = poses(2, np.random.default_rng(2))
    two = [edge("s1", "s0", truth, weight=3.0), edge("s1", "s0", truth, off_um=40.0, weight=1.0)]
    found = solve_poses(two, {"s0": truth["s0"]}, tolerance_um=1e9)
    assert farthest_um(found, truth) == pytest.approx(10.0, rel=0.15)


def test_what_no_pair_connects_is_not_reached():
    truth = poses(5, np.random.default_rng(3))
    edges = [edge("s1", "s0", truth), edge("s2", "s1", truth), edge("s4", "s3", truth)]
    assert reachable(edges, ["s0"]) == {"s0", "s1", "s2"}
    assert reachable([], ["s0"]) == {"s0"}
