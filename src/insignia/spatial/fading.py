"""How much of what a known section shows persists in another: less with every section in between."""

from dataclasses import dataclass
from itertools import permutations
from typing import Final

import numpy as np

from insignia.spatial.contract import StackSpots
from insignia.spatial.known import known_neighbours

__all__ = ["Fading", "measure_fading"]

# over the 86 pairs of sections of HER2ST, aligned by their outlines, 0.77 persists one section away and 0.46 five away
_PRIOR: Final = np.array([0.2, 0.1])
_PRIOR_SD: Final = np.array([0.15, 0.1])
_NOISE: Final = 0.1
_WIDTH: Final = 1.4
_NEIGHBOURS: Final = 19
_LEAST: Final = 0.05


@dataclass(frozen=True)
class Fading:
    """Persistence between two sections, ``exp(-step - slope * gaps)``, and 1 within one.

    Parameters
    ----------
    step
        What is lost by going to another section at all: registration, and what differs between experiments.
    slope
        What is lost with every section in between.
    gap_um
        Typical distance of neighbouring sections.
    source
        What it was learnt from: ``"expression"`` of several known sections, ``"image"``, or ``"prior"``.
    """

    step: float
    slope: float
    gap_um: float
    source: str

    def persistence(self, dz_um: np.ndarray, is_same_section: np.ndarray) -> np.ndarray:
        """Return the share of the covariance that is left."""
        fading = np.exp(-self.step - self.slope * np.abs(dz_um) / self.gap_um)
        return np.asarray(np.where(is_same_section, 1.0, fading))


def measure_fading(spots: StackSpots) -> Fading:
    """Measure how quickly sections become different.

    What a known section shows is carried over to the places of another one (Gaussian kernel of 1.4 pitches over 19
    neighbours), and what is found there is regressed on it: the slope is the share that persists. With several known
    sections this is done with their expression. With one, it is done with the image features, which are there in all
    sections: expression is assumed to fade as the image does. Without images there is a prior, measured on HER2ST. All
    slopes are joined by least squares, together with that prior.

    Parameters
    ----------
    spots
        The stack, with at least one known spot.
    """
    depths = np.unique(np.round(spots.xyz_um[:, 2], 6))
    gap = float(np.median(np.diff(depths))) if len(depths) > 1 else 1.0
    pairs, source = _between_known(spots), "expression"
    if not pairs:
        pairs, source = _by_image(spots), "image"
    if not pairs:
        return Fading(float(_PRIOR[0]), float(_PRIOR[1]), gap, "prior")
    slope = np.array([share for _, share in pairs])
    design = np.column_stack([np.ones(len(pairs)), [dz / gap for dz, _ in pairs]])
    lost = -np.log(np.clip(slope, _LEAST, 1.0))
    system = design.T @ design / _NOISE**2 + np.diag(_PRIOR_SD**-2.0)
    step, per_gap = np.linalg.solve(system, design.T @ lost / _NOISE**2 + _PRIOR * _PRIOR_SD**-2.0)
    return Fading(max(float(step), 0.0), max(float(per_gap), 0.0), gap, source)


def _between_known(spots: StackSpots) -> list[tuple[float, float]]:
    known = _sections(spots, spots.is_known)
    found = []
    for here, there in permutations(known, 2):
        only, rows = spots.hide(spots.section != here), np.flatnonzero((spots.section == there) & spots.is_known)
        found.append(_persisting(only, rows, spots.expression, here))
    return found


def _by_image(spots: StackSpots) -> list[tuple[float, float]]:
    if spots.features is None:
        return []
    has_features = np.isfinite(spots.features).all(axis=1)
    shown = spots.hide(~has_features)
    known = _sections(shown, shown.is_known)
    return [
        _persisting(shown, np.flatnonzero((spots.section == there) & has_features), spots.features, known[0])
        for there in _sections(spots, has_features)
        if known and there not in known
    ]


def _sections(spots: StackSpots, which: np.ndarray) -> list[int]:
    return [int(section) for section in np.unique(spots.section[which & spots.is_placed])]


def _persisting(spots: StackSpots, rows: np.ndarray, values: np.ndarray, known: int) -> tuple[float, float]:
    """Return the difference in depth, and the slope of `values` on what is carried over from the known section."""
    near = known_neighbours(spots, rows, _NEIGHBOURS)
    weights = np.exp(-((near.distance / _WIDTH) ** 2) / 2)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    mean = values[spots.is_known].mean(axis=0, dtype=np.float64)
    carried = sum(weights[:, k, None] * (values[near.rows[:, k]] - mean) for k in range(weights.shape[1]))
    found = values[rows].astype(np.float64)
    found = found - found.mean(axis=0)
    depth = np.median(spots.xyz_um[rows, 2]) - np.median(spots.xyz_um[spots.section == known, 2])
    return abs(float(depth)), float((carried * found).sum() / max(float((np.asarray(carried) ** 2).sum()), 1e-12))
