"""Gene programs explained by some sources, fitted to the known spots of a stack."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from insignia.core import keys
from insignia.spatial.contract import StackSpots
from insignia.spatial.covariance import Covariance, ImageCovariance, Shape, SpaceCovariance
from insignia.spatial.fading import Fading
from insignia.spatial.gaussian_fields import Mixture, Predicted, choose_mixture, predict_mixture, tiles
from insignia.spatial.known import mean_and_sd
from insignia.spatial.programs import Programs

__all__ = ["ModelOptions", "ProgramModel"]


@dataclass(frozen=True)
class ModelOptions:
    """Sizes of the model and of what is solved together.

    Parameters
    ----------
    n_programs
        Gene programs; weak ones are found to be noise, and cost nothing but time.
    most_spots
        Known spots that are solved together. More are cut into tiles that see known spots up to `halo_pitches` beyond.
    halo_pitches
        See `most_spots`.
    block_spots
        Known spots of which the likelihood is computed together.
    """

    n_programs: int = 30
    most_spots: int = 1200
    halo_pitches: float = 4.0
    block_spots: int = 400


@dataclass(frozen=True, eq=False)
class ProgramModel:
    """Programs, how much each source explains of them, and the known spots they are predicted from.

    Parameters
    ----------
    spots
        The stack.
    known
        Rows that are learnt from, in an order that does not depend on that of the stack.
    programs, mixture
        What was fitted.
    shapes
        Covariance function of each source, by name.
    fading
        What known sections lose with depth.
    options
        Sizes.
    """

    spots: StackSpots
    known: np.ndarray
    programs: Programs
    mixture: Mixture
    shapes: Mapping[str, Shape]
    fading: Fading
    options: ModelOptions

    @classmethod
    def fit(
        cls, spots: StackSpots, candidates: Mapping[str, Sequence[Shape]], fading: Fading, options: ModelOptions
    ) -> "ProgramModel":
        """Fit by marginal likelihood.

        Parameters
        ----------
        spots
            The stack.
        candidates
            Covariance functions to choose from, for each source: ``"propagated"``, ``"image"`` or both.
        fading, options
            See the class.
        """
        is_learnt = spots.is_known.copy()
        if keys.PROPAGATED not in candidates and spots.features is not None:
            is_learnt &= np.isfinite(spots.features).all(axis=1)
        known, mean = _in_place(spots, np.flatnonzero(is_learnt)), mean_and_sd(spots)[0]
        programs = Programs.of(spots.expression[known], options.n_programs, mean=mean)
        cut = [rows for rows, _ in tiles(spots.xyz_um[:, :2], known, options.block_spots)]
        blocks = [(rows, programs.scores(spots.expression[rows])) for rows in cut]
        sources = [[_covariance(spots, name, shape, fading) for shape in shapes] for name, shapes in candidates.items()]
        mixture = choose_mixture(sources, blocks)
        chosen = {
            name: shapes[position] for (name, shapes), position in zip(candidates.items(), mixture.choice, strict=True)
        }
        return cls(spots, known, programs, mixture, chosen, fading, options)

    def predict(self, asked: np.ndarray) -> Iterator[tuple[Predicted, np.ndarray]]:
        """Predict some rows, tile by tile; `Predicted.parts` are in the order of `shapes`."""
        points, is_asked = self.spots.xyz_um[:, :2], np.zeros(len(self.spots), dtype=bool)
        is_asked[asked] = True
        sources = [_covariance(self.spots, name, shape, self.fading) for name, shape in self.shapes.items()]
        for inside, every in tiles(points, self.known, self.options.most_spots):
            rows = every[is_asked[every]]
            if len(rows):
                seen = self._within_reach(inside)
                scores = self.programs.scores(self.spots.expression[seen])
                yield predict_mixture(sources, self.mixture, seen, scores, rows), rows

    def _within_reach(self, inside: np.ndarray) -> np.ndarray:
        halo, points = self.options.halo_pitches * self.spots.pitch_um, self.spots.xyz_um[:, :2]
        low, high = points[inside].min(axis=0) - halo, points[inside].max(axis=0) + halo
        reached = ((points[self.known] >= low) & (points[self.known] <= high)).all(axis=1)
        return np.asarray(self.known[reached])

    def describe(self) -> dict[str, object]:
        """Say what was fitted, in plain values: variances are sums over genes."""
        record: dict[str, object] = {"programs": self.programs.loadings.shape[1], "known_spots": len(self.known)}
        for column, (name, shape) in enumerate(self.shapes.items()):
            explained = self.mixture.weights[:, column] * self.mixture.noise
            record[name] = {"shape": shape.name, "length": shape.length, "variance": float(explained.sum())}
        return record | {"noise": {"variance": float(self.mixture.noise.sum() + self.programs.rest.sum())}}


def _in_place(spots: StackSpots, rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows[np.lexsort((*spots.xyz_um[rows].T, spots.section[rows]))])


def _covariance(spots: StackSpots, source: str, shape: Shape, fading: Fading) -> Covariance:
    return ImageCovariance(spots, shape) if source == keys.IMAGE else SpaceCovariance(spots, shape, fading)
