"""Spread what is known over the spot graph."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import sparse

from insignia.spatial.blocks import block_masks
from insignia.spatial.contract import Imputed, Imputer, StackSpots, imputers
from insignia.spatial.graph import SpotGraph, build_graph
from insignia.spatial.known import mean_and_sd
from insignia.spatial.propagation import Harmonic, edge_weights

__all__ = ["Propagate", "PropagateOptions"]

_LEAST_NOISE: Final = 0.25


@dataclass(frozen=True)
class PropagateOptions:
    """How edges are weighted and what is held fixed; where there are several values, blocks left out choose.

    The first value of each stands until its turn comes.

    Parameters
    ----------
    noise
        How far a known spot may be from what its neighbours say, in units of the variance that a typical spot has given
        its neighbours; 0 holds known spots where they are.
    sigma_pitches
        Width of the weights.
    pull
        Strength with which spots are drawn to the mean, in units of the median degree.
    kappa
        How much edges count for between spots whose images look alike, from 0 to 1.
    within
        Factor for edges within a section.
    radius_pitches
        Spots further apart are not connected.
    max_gap
        Sections further apart, in positions of the stack, are not connected; `None` connects all.
    """

    noise: tuple[float, ...] = (2.0, 0.5, 0.0, 8.0)
    sigma_pitches: tuple[float, ...] = (1.2, 0.8)
    pull: tuple[float, ...] = (0.01, 0.05)
    kappa: tuple[float, ...] = (0.0, 1.0)
    within: float = 0.3
    radius_pitches: float = 2.4
    max_gap: int | None = 4


@dataclass(frozen=True)
class _Setting:
    """One choice of everything."""

    noise: float
    sigma_pitches: float
    pull: float
    kappa: float


@imputers.add("propagate")
class Propagate(Imputer):
    """Make each spot the weighted mean of its neighbours in the graph of all sections, in one sparse solve.

    Known spots are observed with noise, every spot is drawn to the mean of the known ones a little, and the features of
    the image, if there are any, tell which neighbours count for more.

    Parameters
    ----------
    options
        What to choose from.
    """

    def __init__(self, options: PropagateOptions | None = None) -> None:
        self.options = options or PropagateOptions()

    def impute(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> Imputed:  # noqa: ARG002
        """Impute every spot of a stack."""
        mean, sd = mean_and_sd(spots, training)
        if not spots.is_known.any():
            shape = (len(spots), 1)
            return Imputed(np.tile(mean, shape).astype(np.float32), np.tile(sd, shape).astype(np.float32))
        setting = self._choose(spots)
        order = np.lexsort((*spots.xyz_um.T, spots.section))
        filled, variance = np.empty((len(spots), len(mean))), np.empty(len(spots))
        ordered = spots.take(order)
        solved = _Solved(ordered, self._graph(ordered), setting, within=self.options.within)
        filled[order], variance[order] = solved.fill(mean), solved.variance()
        # a spot that nothing reaches varies as the known spots do
        spread = sd * np.sqrt(variance / max(solved.alone, 1e-300))[:, None]
        return Imputed(
            filled.astype(np.float32), spread.astype(np.float32), record=vars(setting) | {"within": self.options.within}
        )

    def tuned(self, spots: StackSpots, *, training: Sequence[StackSpots] = (), seed: int = 0) -> "Propagate":  # noqa: ARG002
        """Fix noise, width, pull and kappa."""
        if not spots.is_known.any():
            return self
        chosen = self._choose(spots)
        return Propagate(
            replace(
                self.options,
                noise=(chosen.noise,),
                sigma_pitches=(chosen.sigma_pitches,),
                pull=(chosen.pull,),
                kappa=(chosen.kappa,),
            )
        )

    def _graph(self, spots: StackSpots) -> SpotGraph:
        options = self.options
        return build_graph(spots, k_within=12, radius_pitches=options.radius_pitches, max_gap=options.max_gap)

    def _choose(self, spots: StackSpots) -> _Setting:
        """Choose one setting after the other, on single known spots left out of the graph of the known ones."""
        options = self.options
        setting = _Setting(options.noise[0], options.sigma_pitches[0], options.pull[0], options.kappa[0])
        known = spots.take(np.flatnonzero(spots.is_known))
        masks = block_masks(known, side_pitches=1.0)
        choices = {name: getattr(options, name) for name in vars(setting)}
        if spots.features is None:
            choices["kappa"] = choices["kappa"][:1]
        if not masks or all(len(values) == 1 for values in choices.values()):
            return setting
        graph = self._graph(known)
        for name, values in choices.items():
            tried = [replace(setting, **{name: value}) for value in values]
            errors = [_error(known, graph, one, masks, within=options.within) for one in tried]
            setting = tried[int(np.argmin(errors))]
        return setting


class _Solved:
    """The system of one stack and setting, in which every known spot hangs on a node that holds what was measured."""

    def __init__(self, spots: StackSpots, graph: SpotGraph, setting: _Setting, *, within: float) -> None:
        self._spots = spots
        weights = edge_weights(graph, sigma_pitches=setting.sigma_pitches, kappa=setting.kappa, within=within)
        degree = np.asarray(weights.sum(axis=1)).ravel()
        unit = float(np.median(degree[degree > 0])) if (degree > 0).any() else 1.0
        self._noise = max(setting.noise, _LEAST_NOISE) / unit
        is_held = spots.is_known
        if setting.noise > 0:
            known = np.flatnonzero(spots.is_known)
            ties = sparse.csr_matrix(
                (np.full(len(known), unit / setting.noise), (known, np.arange(len(known)))),
                shape=(len(spots), len(known)),
            )
            weights = sparse.bmat([[weights, ties], [ties.T, None]], format="csr")
            is_held = np.concatenate([np.zeros(len(spots), dtype=bool), np.ones(len(known), dtype=bool)])
        degree = np.asarray(weights.sum(axis=1)).ravel()
        new_unit = float(np.median(degree[degree > 0])) if (degree > 0).any() else 1.0
        self._harmonic = Harmonic(weights, is_held, pull=setting.pull * unit / new_unit)
        self.alone = 1.0 / (setting.pull * unit) + self._noise

    def fill(self, mean: np.ndarray) -> np.ndarray:
        """Return (spots, genes)."""
        return self._harmonic.fill(self._spots.expression[self._spots.is_known], mean)[: len(self._spots)]

    def variance(self) -> np.ndarray:
        """Return (spots,) variance of a new measurement, in the unit of `alone`, that of a spot without neighbours."""
        return self._harmonic.variance()[: len(self._spots)] + self._noise


def _error(
    known: StackSpots, graph: SpotGraph, setting: _Setting, masks: Sequence[np.ndarray], *, within: float
) -> float:
    total = 0.0
    for mask in masks:
        left = known.hide(mask)
        mean, sd = mean_and_sd(left)
        filled = _Solved(left, graph, setting, within=within).fill(mean)
        total += float((((filled - known.expression) / np.where(sd > 0, sd, 1))[mask] ** 2).sum())
    return total
