"""The plain imputers and the permuted control beside the one that was asked for, all on the same hidden blocks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from insignia.spatial.contract import Imputer, StackSpots, imputers
from insignia.spatial.imputers.kernel import Kernel
from insignia.spatial.left_out import LeftOut, leave_out

__all__ = ["BASELINES", "PERMUTED", "baseline_table", "permute_known"]

BASELINES: Final = ("mean", "nearest", "kernel", "propagate", "ridge")
"""Imputers that stand beside every result, where their input is there."""

PERMUTED: Final = "kernel, spots permuted"
"""Name of the control."""


def baseline_table(
    spots: StackSpots, masks: Sequence[np.ndarray], *, beside: dict[str, LeftOut], seed: int = 0
) -> pd.DataFrame:
    """Tabulate how well each baseline predicts hidden blocks.

    Parameters
    ----------
    spots
        The stack.
    masks
        What is hidden, one after the other.
    beside
        Imputers that were tried already, by name.
    seed
        Of the permutation.

    Returns
    -------
    One row an imputer, and one for the control: ``mse``, ``skill`` over the mean profile, ``gene_pcc`` over spots
    within a section, and ``spot_pcc`` over genes, which any mean profile makes high.
    """
    tried = dict(beside)
    has_features = spots.features is not None and bool(np.isfinite(spots.features[spots.is_known]).all(axis=1).any())
    for name in BASELINES:
        if name in imputers and name not in tried:
            imputer = imputers[name]()
            if has_features or not imputer.needs_features:
                _try(tried, name, imputer, spots, masks, seed)
    _try(tried, PERMUTED, Kernel(), permute_known(spots, seed), masks, seed)
    rows = {name: left_out.summary() for name, left_out in tried.items()}
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


def _try(
    tried: dict[str, LeftOut],
    name: str,
    imputer: Imputer,
    spots: StackSpots,
    masks: Sequence[np.ndarray],
    seed: int,
) -> None:
    left_out = leave_out(imputer.tuned(spots, seed=seed), spots, masks, seed=seed)
    if left_out is not None:
        tried[name] = left_out
