"""How errors grow with the depth between a spot and what is known, learnt where more than one section was measured."""

from collections.abc import Sequence

import numpy as np

from insignia.spatial.contract import Imputer, StackSpots
from insignia.spatial.known import support_and_distance
from insignia.spatial.uncertainty import Calibration

__all__ = ["depth_slope", "gaps_to_known"]


def gaps_to_known(spots: StackSpots) -> np.ndarray:
    """Return how many typical gaps lie between each spot and the nearest known section, (spots,) float64."""
    depths = np.unique(np.round(spots.xyz_um[:, 2], 6))
    gap = float(np.median(np.diff(depths))) if len(depths) > 1 else 1.0
    known = np.unique(spots.xyz_um[spots.is_known, 2])
    if not len(known):
        return np.zeros(len(spots))
    return np.asarray(np.abs(spots.xyz_um[:, 2][:, None] - known).min(axis=1) / gap)


def depth_slope(
    imputer: Imputer, training: Sequence[StackSpots], calibration: Calibration, *, seed: int = 0
) -> float | None:
    """Learn what the variance gains with every section in between, on training stacks of which one section is kept.

    Parameters
    ----------
    imputer
        Fitted to each stack anew.
    training
        Stacks measured in full; those with one section teach nothing.
    calibration
        Of the intervals where nothing lies in between.
    seed
        Of the imputer.

    Returns
    -------
    The slope, at least 0: least squares of square error over calibrated variance, less 1, on gaps. `None` if no
    training stack has two known sections.
    """
    over, gaps = [], []
    for stack in training:
        sections = np.unique(stack.section[stack.is_known])
        if len(sections) < 2:
            continue
        hidden = stack.is_known & (stack.section != sections[0])
        left = stack.hide(hidden)
        guess, rows = imputer.impute(left, seed=seed), np.flatnonzero(hidden)
        support, _ = support_and_distance(left, rows)
        sd, _, _ = calibration.apply(guess.mean[rows], guess.sd[rows], support)
        square = ((stack.expression[rows] - guess.mean[rows]) / np.maximum(sd, 1e-12)) ** 2
        over.append(square.mean(axis=1))
        gaps.append(gaps_to_known(left)[rows])
    if not over:
        return None
    steps = np.concatenate(gaps)
    return max(float((steps * (np.concatenate(over) - 1)).sum() / max((steps**2).sum(), 1e-12)), 0.0)
