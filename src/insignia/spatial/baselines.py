"""The plain imputers and the permuted control beside the one that was asked for, all on the same hidden blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from insignia.spatial.contract import Imputer, StackSpots, imputers
from insignia.spatial.imputers.kernel import Kernel
from insignia.spatial.left_out import LeftOut, judge

__all__ = ["BASELINES", "PERMUTED", "baseline_table", "permute_known"]

BASELINES: Final = ("mean", "nearest", "kernel", "propagate", "ridge")
"""Imputers that stand beside every result, where their input is there."""

_WITHOUT_KNOWN: Final = ("mean", "ridge")

PERMUTED: Final = "kernel, spots permuted"
"""Name of the control."""


def baseline_table(
    spots: StackSpots, *, beside: Mapping[str, LeftOut], training: Sequence[StackSpots] = (), seed: int = 0
) -> pd.DataFrame:
    """Tabulate how well each baseline predicts hidden blocks.

    Parameters
    ----------
    spots
        The stack.
    beside
        Imputers that were tried already, by name.
    training
        Stacks of other donors, which take the place of known spots where there are none.
    seed
        Of the permutation.

    Returns
    -------
    One row an imputer, and one for the control: ``mse``, ``skill`` over the mean profile, ``gene_pcc`` over spots
    within a section, and ``spot_pcc`` over genes, which any mean profile makes high.
    """
    tried: dict[str, LeftOut | None] = dict(beside)
    for name in BASELINES if spots.is_known.any() else _WITHOUT_KNOWN:
        if name not in tried and (_has_features(spots, training) or not imputers[name]().needs_features):
            tried[name] = _tried(imputers[name](), spots, training, seed)
    if spots.is_known.any():
        tried[PERMUTED] = _tried(Kernel(), permute_known(spots, seed), training, seed)
    rows = {name: left_out.summary() for name, left_out in tried.items() if left_out is not None}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["mse", "skill", "gene_pcc", "spot_pcc"])


def permute_known(spots: StackSpots, seed: int) -> StackSpots:
    """Give the known spots of each section one another's expression: whatever is in the places is lost."""
    rng = np.random.default_rng(seed)
    expression = spots.expression.copy()
    for section in np.unique(spots.section[spots.is_known]):
        rows = np.flatnonzero(spots.is_known & (spots.section == section))
        # by name, so that the order of the rows cannot matter
        rows = rows[np.argsort(spots.names[rows].astype(str))]
        expression[rows] = spots.expression[rng.permutation(rows)]
    return replace(spots, expression=expression)


def _tried(imputer: Imputer, spots: StackSpots, training: Sequence[StackSpots], seed: int) -> LeftOut | None:
    tuned = imputer.tuned(spots, training=training, seed=seed)
    return judge(tuned, spots, training=training, seed=seed)


def _has_features(spots: StackSpots, training: Sequence[StackSpots]) -> bool:
    seen = [spots] if spots.is_known.any() else training
    return any(
        stack.features is not None and bool(np.isfinite(stack.features[stack.is_known]).all(axis=1).any())
        for stack in seen
    )
