"""Speed and sameness of the spot graph against shapely: an STRtree and exact intersections of polygons.

Both find every pair of circles, one in each of two sections, that overlap, and how much. The time of the whole default
graph, with neighbours in the section, wider radius and all attributes, stands beside it.

    python -m benchmarks.spatial_graph [--quick]
"""

import argparse
import json
import os
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["INSIGNIA_THREADS"] = "1"

import numpy as np
import shapely

from insignia.spatial.contract import StackSpots
from insignia.spatial.graph import build_graph

SPOT_RADIUS = 0.5


def hexagonal_stack(n_spots: int, sections: int, *, seed: int = 0) -> StackSpots:
    """Lay a Visium-like grid over each section, shifted at random from section to section."""
    rng = np.random.default_rng(seed)
    side = round(np.sqrt(n_spots / sections))
    column, row = np.meshgrid(np.arange(side), np.arange(side))
    grid = 100.0 * np.column_stack([(column + 0.5 * (row % 2)).ravel(), (row * np.sqrt(3) / 2).ravel()])
    xy = np.concatenate([grid + rng.uniform(0, 100, 2) for _ in range(sections)])
    n, section = len(xy), np.repeat(np.arange(sections), len(grid))
    return StackSpots(
        names=np.arange(n).astype(str),
        sections=tuple(f"s{i}" for i in range(sections)),
        section=section,
        xyz_um=np.column_stack([xy, 10.0 * section]),
        is_placed=np.ones(n, dtype=bool),
        genes=("gene",),
        expression=np.zeros((n, 1), np.float32),
        is_known=section == 0,
        features=None,
        pitch_um=100.0,
    )


def polygon_pairs(spots: StackSpots) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs of spots of different sections whose polygons of 100 vertices overlap, and how much."""
    polygons = shapely.buffer(shapely.points(spots.xyz_um[:, :2] / spots.pitch_um), SPOT_RADIUS, quad_segs=25)
    one, other = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    keep = (one < other) & (spots.section[one] != spots.section[other])
    one, other = one[keep], other[keep]
    shared = shapely.area(shapely.intersection(polygons[one], polygons[other]))
    area = shapely.area(polygons)
    return one, other, shared / (area[one] + area[other] - shared)


def circle_pairs(spots: StackSpots) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same from the spot graph."""
    graph = build_graph(
        spots, k_within=0, radius_pitches=2 * SPOT_RADIUS, spot_radius_pitches=SPOT_RADIUS, max_gap=None
    )
    once = graph.source < graph.target
    return graph.source[once], graph.target[once], graph.overlap[once]


def graph_speed(n_spots: int = 14_400, *, sections: int = 4, repeats: int = 3) -> dict[str, float]:
    """Time both on one stack, and compare what they find."""
    spots = hexagonal_stack(n_spots, sections)
    seconds_polygons, polygons = timed(lambda: polygon_pairs(spots), 1)
    seconds_circles, circles = timed(lambda: circle_pairs(spots), repeats)
    seconds_graph, graph = timed(lambda: build_graph(spots), repeats)
    exact = {(i, j): value for i, j, value in zip(*polygons, strict=True) if value > 1e-3}
    ours = {(i, j): value for i, j, value in zip(*circles, strict=True)}
    return {
        "spots": len(spots),
        "pairs": len(ours),
        "pairs_missed": len(exact.keys() - ours.keys()),
        "largest_iou_difference": max(abs(ours[pair] - value) for pair, value in exact.items()),
        "seconds_strtree": seconds_polygons,
        "seconds_pairs": seconds_circles,
        "seconds_default_graph": seconds_graph,
        "edges_default_graph": len(graph),
        "speedup_graph": seconds_polygons / seconds_circles,
        "speedup_default_graph": seconds_polygons / seconds_graph,
    }


def timed(call: Callable[[], object], repeats: int) -> tuple[float, object]:
    """Return the shortest of some times, and the last result."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def main() -> None:
    """Print a table and, last, JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a stack of 2,000 spots")
    result = graph_speed(2_000 if parser.parse_args().quick else 14_400)
    for name, value in result.items():
        print(f"{name:24s} {value:12.4g}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
