"""Stacks of spots for the tests of graph, propagation and networks."""

from dataclasses import replace

import numpy as np

from insignia.spatial.contract import StackSpots

PITCH = 100.0


def stack(*, side=6, sections=3, features=4, genes=2, jitter=8.0, seed=0, **changes):
    """Square grids, each shifted a little; random features and expression; the first section is known."""
    rng = np.random.default_rng(seed)
    grid = PITCH * np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    xy = np.concatenate([grid + rng.uniform(-60, 60, 2) + rng.normal(0, jitter, grid.shape) for _ in range(sections)])
    section = np.repeat(np.arange(sections), len(grid))
    n, is_known = len(xy), section == 0
    expression = rng.normal(size=(n, genes)).astype(np.float32)
    spots = StackSpots(
        names=np.array([f"spot{i}" for i in range(n)]),
        sections=tuple(f"s{i}" for i in range(sections)),
        section=section,
        xyz_um=np.column_stack([xy, 20.0 * section]),
        is_placed=np.ones(n, dtype=bool),
        genes=tuple(f"g{i}" for i in range(genes)),
        expression=np.where(is_known[:, None], expression, np.nan).astype(np.float32),
        is_known=is_known,
        features=rng.normal(size=(n, features)).astype(np.float32),
        pitch_um=PITCH,
    )
    return replace(spots, **changes)


def take(spots, order):
    """Return some rows, in another order."""
    rows = ("names", "section", "xyz_um", "is_placed", "expression", "is_known", "features")
    return replace(spots, **{name: getattr(spots, name)[order] for name in rows if getattr(spots, name) is not None})
