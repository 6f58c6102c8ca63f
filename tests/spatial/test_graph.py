"""The spot graph: the edges that a slow search finds, whatever the order of the rows, and never an edge to itself."""

from dataclasses import replace

import numpy as np
import pytest
from tests.spatial.spot_stacks import PITCH, stack, take

from insignia.core.errors import InputError
from insignia.spatial.circles import circle_iou
from insignia.spatial.graph import ATTRIBUTES, build_graph


def edges(graph):
    return {(int(i), int(j)) for i, j in zip(graph.source, graph.target, strict=True)}


def slow_edges(spots, *, k_within, radius_pitches, max_gap):
    n, found = len(spots), set()
    distance = np.linalg.norm(spots.xyz_um[:, None, :2] - spots.xyz_um[None, :, :2], axis=2) / spots.pitch_um
    for i in range(n):
        same = [j for j in range(n) if j != i and spots.section[j] == spots.section[i]]
        for j in sorted(same, key=lambda j: distance[i, j])[:k_within]:
            if distance[i, j] < radius_pitches:
                found |= {(i, j), (j, i)}
        for j in range(n):
            gap = abs(int(spots.section[i]) - int(spots.section[j]))
            near = distance[i, j] < radius_pitches and spots.is_placed[i] and spots.is_placed[j]
            if gap and near and (max_gap is None or gap <= max_gap):
                found.add((i, j))
    return found


@pytest.mark.parametrize("max_gap", [None, 1])
@pytest.mark.parametrize(("k_within", "radius_pitches"), [(6, 2.0), (3, 1.3), (0, 1.0)])
def test_edges_are_those_of_a_slow_search(k_within, radius_pitches, max_gap):
    options = {"k_within": k_within, "radius_pitches": radius_pitches, "max_gap": max_gap}
    spots = stack()
    graph = build_graph(spots, **options)
    assert edges(graph) == slow_edges(spots, **options)
    assert len(edges(graph)) == len(graph)


def test_attributes_are_what_they_say():
    spots = stack()
    graph = build_graph(spots)
    a, b = spots.xyz_um[graph.source], spots.xyz_um[graph.target]
    unit = spots.features / np.linalg.norm(spots.features, axis=1, keepdims=True)
    distance = np.linalg.norm(a[:, :2] - b[:, :2], axis=1) / PITCH
    expected = {
        "overlap": circle_iou(distance, 0.5),
        "distance": distance,
        "dz": np.abs(a[:, 2] - b[:, 2]) / PITCH,
        "cosine": (unit[graph.source] * unit[graph.target]).sum(1),
        "is_same_section": spots.section[graph.source] == spots.section[graph.target],
    }
    for column, name in enumerate(ATTRIBUTES):
        np.testing.assert_allclose(graph.attributes[:, column], expected[name], atol=1e-6, err_msg=name)


def test_the_order_of_the_rows_does_not_matter_even_on_a_regular_grid():
    spots = stack(jitter=0.0)
    order = np.random.default_rng(1).permutation(len(spots))
    graph, shuffled = build_graph(spots, k_similar=2), build_graph(take(spots, order), k_similar=2)
    assert {(order[i], order[j]) for i, j in edges(shuffled)} == edges(graph)


def test_no_spot_is_its_own_neighbour_and_edges_go_both_ways():
    graph = build_graph(stack(), k_similar=3)
    assert (graph.source != graph.target).all()
    assert {(j, i) for i, j in edges(graph)} == edges(graph)


def test_a_section_that_is_not_placed_has_neighbours_in_itself_only():
    spots = stack()
    graph = build_graph(replace(spots, is_placed=spots.section != 1), k_similar=2)
    outside = spots.section[graph.source] != spots.section[graph.target]
    assert outside.any()
    assert not np.isin(spots.section[graph.source[outside]], 1).any()
    assert (graph.is_same_section & (spots.section[graph.target] == 1)).any()


def test_isolated_spots_and_spots_without_features_are_fine():
    spots = stack()
    far, blank = spots.xyz_um.copy(), spots.features.copy()
    far[5, :2] += 1e5
    blank[7] = np.nan
    graph = build_graph(replace(spots, xyz_um=far, features=blank))
    assert 5 not in graph.target
    assert np.isfinite(graph.attributes).all()
    assert (graph.cosine[graph.source == 7] == 0).all()
    assert (build_graph(replace(spots, features=None)).cosine == 0).all()


def test_similar_spots_are_added_from_each_other_section():
    spots = stack(jitter=8.0)
    features = spots.features.copy()
    twin = int(np.flatnonzero(spots.section == 2)[-1])
    features[twin] = 3 * features[0]
    near = build_graph(replace(spots, features=features), k_similar=1, similar_radius_pitches=100)
    assert (0, twin) in edges(near)
    assert (0, twin) not in edges(build_graph(replace(spots, features=features)))
    assert (0, twin) not in edges(build_graph(spots, k_similar=1, similar_radius_pitches=3, features=features))


def test_the_matrix_has_a_row_for_each_target():
    graph = build_graph(stack())
    matrix = graph.matrix(graph.distance)
    assert matrix[graph.target[4], graph.source[4]] == graph.distance[4]
    into = np.bincount(graph.target, graph.distance, graph.n_spots)
    np.testing.assert_allclose(matrix @ np.ones(graph.n_spots), into, rtol=1e-5)


def test_edges_grow_with_the_spots():
    small, large = (build_graph(stack(side=side, features=1)) for side in (10, 40))
    assert len(large) / large.n_spots < 1.3 * len(small) / small.n_spots


def test_the_overlap_of_circles_is_that_of_polygons():
    shapely = pytest.importorskip(
        "shapely", reason="the oracle for overlaps is shapely (pip install 'insignia[bench]')"
    )
    distance = np.linspace(0, 2.5, 60)
    circle = shapely.buffer(shapely.points(0.0, 0.0), 1.0, quad_segs=25)
    others = shapely.buffer(shapely.points(distance, 0.0), 1.0, quad_segs=25)
    exact = shapely.area(shapely.intersection(circle, others)) / shapely.area(shapely.union(circle, others))
    np.testing.assert_allclose(circle_iou(distance, 1.0), exact, atol=3e-3)
    assert circle_iou(0.0, 1.0) == 1
    assert circle_iou(2.0, 1.0) == 0


@pytest.mark.parametrize("options", [{"k_within": -1}, {"radius_pitches": 0.0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InputError, match="A graph needs k_within >= 0"):
        build_graph(stack(), **options)


def test_similar_spots_need_features():
    with pytest.raises(InputError, match="k_similar needs features"):
        build_graph(replace(stack(), features=None), k_similar=2)


def test_all_spots_at_the_distance_of_the_last_neighbour_are_taken():
    spots = stack(side=12, sections=1, jitter=0.0)
    graph = build_graph(spots, k_within=6)
    inner = (np.abs(spots.xyz_um[:, :2] - spots.xyz_um[:, :2].mean(0)) < 4.9 * PITCH).all(1)
    assert (np.bincount(graph.target)[inner] == 8).all()
