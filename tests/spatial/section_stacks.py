"""Small registered stacks whose expression follows two smooth fields, one of which shows in the features."""

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.data import Pose, Section, SectionStack, Transform

PITCH = 100.0


def section_stack(*, side=9, sections=3, genes=12, seed=0, features=True, noise=0.3, name="donor"):
    """Square grids with an offset and a turn of their own; registered with the true pose.

    Even genes follow the field that shows in the features, odd ones the field that does not.
    """
    rng = np.random.default_rng(seed)
    grid = PITCH * (np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2) + 0.5)
    loading = rng.uniform(0.6, 1.2, genes) * rng.choice([-1, 1], genes)
    base = rng.uniform(2.5, 4.5, genes)
    made = []
    for index in range(sections):
        common = grid + rng.uniform(-40, 40, 2) * (index > 0)
        seen, unseen = _field(common, side, phase=0.0), _field(common, side, phase=1.7)
        signal = np.where(np.arange(genes) % 2 == 0, seen[:, None], unseen[:, None]) * loading
        counts = rng.poisson(np.exp(base + signal + noise * rng.normal(size=signal.shape)))
        pose = Transform.rigid(15.0 * index, np.array([30.0, -20.0]) * index)
        spots = AnnData(counts.astype(np.float32), pd.DataFrame(index=[f"spot{i}" for i in range(len(grid))]))
        spots.var_names = [f"gene{i:02}" for i in range(genes)]
        spots.obsm["spatial"] = pose.inverse().apply(common)
        if features:
            shown = np.column_stack([seen, rng.normal(size=(len(grid), 4))])
            spots.obsm["X_handcrafted"] = shown + 0.2 * rng.normal(size=shown.shape)
        status = "registered" if index else "reference"
        made.append(Section(f"s{index}", 20.0 * index, spots, pose=Pose(pose, status)))
    return SectionStack(name, tuple(made), PITCH)


def _field(points, side, *, phase):
    x, y = (points / (PITCH * side)).T
    return np.sin(2 * np.pi * x + phase) * np.cos(1.5 * np.pi * y + 2 * phase)


def changed(stack, name, **changes):
    """Replace fields of one section."""
    from dataclasses import replace

    return stack.with_sections({name: replace(stack[name], **changes)})
