"""How alike spots are expected to be, by what their images show and by where they lie."""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from scipy.spatial.distance import cdist

from insignia.spatial.contract import StackSpots
from insignia.spatial.fading import Fading

__all__ = ["IMAGE_SHAPES", "SPACE_SHAPES", "Covariance", "ImageCovariance", "Shape", "SpaceCovariance"]


@dataclass(frozen=True)
class Shape:
    """A covariance function.

    Parameters
    ----------
    name
        ``"linear"``, ``"gaussian"``, ``"exponential"`` or ``"matern32"``.
    length
        In pitches for space; for images in root mean square differences of z-scored features.
    """

    name: str
    length: float = 1.0

    def __call__(self, distance: np.ndarray) -> np.ndarray:
        """Covariance at a distance, 1 at distance 0."""
        scaled = distance / self.length
        if self.name == "gaussian":
            return np.asarray(np.exp(-(scaled**2) / 2))
        if self.name == "exponential":
            return np.asarray(np.exp(-scaled))
        assert self.name == "matern32", self.name
        return np.asarray((1 + np.sqrt(3) * scaled) * np.exp(-np.sqrt(3) * scaled))


IMAGE_SHAPES: Final = (Shape("linear"), Shape("gaussian", 1.0), Shape("gaussian", 0.7))
SPACE_SHAPES: Final = tuple(
    Shape(name, length) for name, lengths in (("matern32", (1, 2, 4)), ("exponential", (2, 4, 8))) for length in lengths
)


class Covariance(Protocol):
    """How a source of expression varies together between spots."""

    def __call__(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the covariance between rows of a stack, (rows, columns)."""

    def variance(self, rows: np.ndarray) -> np.ndarray:
        """Return the diagonal, (rows,)."""


@dataclass(frozen=True, eq=False)
class ImageCovariance:
    """Covariance of spots by their image features; 0 for spots without.

    Parameters
    ----------
    spots, shape
        The stack, with features, and the covariance function.
    """

    spots: StackSpots
    shape: Shape

    def __call__(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return (rows, columns)."""
        first, has_first = self._features(rows)
        second, has_second = self._features(columns)
        if self.shape.name == "linear":
            return np.asarray(first @ second.T / first.shape[1])
        covariance = self.shape(cdist(first, second) / np.sqrt(first.shape[1]))
        return np.asarray(np.where(has_first[:, None] & has_second, covariance, 0.0))

    def variance(self, rows: np.ndarray) -> np.ndarray:
        """Return the diagonal, (rows,)."""
        features, has_features = self._features(rows)
        if self.shape.name == "linear":
            return np.asarray((features**2).mean(axis=1))
        return has_features.astype(np.float64)

    def _features(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert self.spots.features is not None
        features = self.spots.features[rows].astype(np.float64)
        has_features = np.isfinite(features).all(axis=1)
        return np.where(has_features[:, None], features, 0.0), has_features


@dataclass(frozen=True, eq=False)
class SpaceCovariance:
    """Covariance of spots by where they lie; 0 between sections of which one is not placed.

    Parameters
    ----------
    spots, shape
        The stack and the covariance function in the plane.
    fading
        What is left of it between sections.
    """

    spots: StackSpots
    shape: Shape
    fading: Fading

    def __call__(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return (rows, columns)."""
        spots = self.spots
        points = spots.xyz_um[:, :2] / spots.pitch_um
        is_same = spots.section[rows][:, None] == spots.section[columns]
        may_meet = is_same | (spots.is_placed[rows][:, None] & spots.is_placed[columns])
        left = self.fading.persistence(spots.xyz_um[rows, 2][:, None] - spots.xyz_um[columns, 2], is_same)
        return np.asarray(np.where(may_meet, self.shape(cdist(points[rows], points[columns])) * left, 0.0))

    def variance(self, rows: np.ndarray) -> np.ndarray:
        """Return the diagonal, (rows,)."""
        return np.ones(len(rows))
