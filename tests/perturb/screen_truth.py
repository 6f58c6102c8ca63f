"""Guides for simulated screens, and what is true of their genes."""

import numpy as np
import pandas as pd


def guides_of(data, rng, *, of_control=8):
    """Name the guide of each cell: four a perturbed gene."""
    rng = np.random.default_rng(rng)
    labels = [str(one) for one in data.conditions]
    number = rng.integers(0, 4, len(data)), rng.integers(0, of_control, len(data))
    is_control = np.array([one.is_control for one in data.conditions])[data.condition]
    names = [f"{labels[code]}g{n}" for code, n in zip(data.condition, np.where(is_control, *number[::-1]), strict=True)]
    return pd.Series(names, index=data.cells, name="guide")


def expected(screen, condition):
    """(genes,) log change of the share of each gene among all counts: what rises elsewhere lowers the rest."""
    world = screen.truth
    before = world.baseline[0]
    after = before + world.effect(condition) @ world.loadings
    return np.round(after - np.log(np.exp(after).sum()) - before + np.log(np.exp(before).sum()), 9)
