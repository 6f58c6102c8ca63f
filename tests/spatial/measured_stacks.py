"""Stacks of measured sections whose expression follows smooth fields, for the tests of evaluation and protocols."""

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.data import Pose, Section, SectionStack, Transform

PITCH = 100.0


def measured_stack(
    *, sections=3, side=9, genes=12, depth=400.0, spread=0.8, degrees=25.0, features=True, name="block", seed=0
):
    """Square grids over one smooth field a gene, each section turned in its own frame and posed back.

    The true log rate, up to a constant for each spot, stands in obsm["true"] of every section.
    """
    rng = np.random.default_rng(seed)
    level, waves = rng.normal(0, 1.0, genes), rng.normal(0, 0.6 / (side * PITCH), (genes, 2))
    phase = rng.uniform(0, 2 * np.pi, genes)
    made = []
    for number in range(sections):
        grid = PITCH * np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2).astype(float)
        common = grid + rng.uniform(-40, 40, 2) + rng.normal(0, 5, grid.shape)
        rate = level + spread * np.sin(2 * np.pi * common @ waves.T + phase)
        share = np.exp(rate) / np.exp(rate).sum(1, keepdims=True)
        counts = rng.poisson(share * depth * rng.lognormal(0, 0.3, (len(grid), 1)))
        made.append(_section(f"s{number}", 50.0 * number, common, counts, rate, degrees * number, rng, features))
    return SectionStack(name, tuple(made), PITCH)


def _section(name, z_um, common, counts, rate, degrees, rng, features):
    pose = Transform.rigid(degrees, np.array([30.0, -20.0]))
    spots = AnnData(
        counts.astype(np.float32),
        obs=pd.DataFrame({"total": counts.sum(1)}, index=[f"spot{i}" for i in range(len(counts))]),
        var=pd.DataFrame(index=[f"G{i}" for i in range(counts.shape[1])]),
        obsm={"spatial": pose.inverse().apply(common), "true": rate, "X_pca": rate[:, :3].copy()},
    )
    if features:
        seen = rate[:, ::2] + rng.normal(0, 1.0, rate[:, ::2].shape)
        spots.obsm["X_handcrafted"] = np.column_stack([seen, rng.normal(size=(len(rate), 4))]).astype(np.float32)
    return Section(name, z_um, spots, pose=Pose(pose, "reference" if z_um == 0 else "registered", "mask", {"ncc": 0.3}))
