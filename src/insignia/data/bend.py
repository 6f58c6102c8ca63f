"""The part of a transform that is not affine: displacements on a grid, smooth and close to nothing."""

from dataclasses import dataclass, field, replace

import numpy as np

from insignia.core.errors import InputError

__all__ = ["Bend"]

_STEPS = 100


@dataclass(frozen=True, eq=False)
class Bend:
    """Points moved by displacements that are given on a grid, or moved back.

    Parameters
    ----------
    displacement
        (rows, columns, 2), (dx, dy) in micrometres; linear between the points of the grid, and beyond its border as on
        the border.
    origin_um
        (x, y) of the grid's first point.
    spacing_um
        Distance between the points of the grid.
    frame
        (2, 3), from the plane of the grid into the plane of the points.
    is_inverse
        Whether points are moved back.
    """

    displacement: np.ndarray
    origin_um: tuple[float, float]
    spacing_um: float
    frame: np.ndarray = field(default_factory=lambda: np.eye(2, 3))
    is_inverse: bool = False

    def __post_init__(self) -> None:
        shape = np.shape(self.displacement)
        if len(shape) != 3 or shape[2] != 2 or not np.isfinite(self.displacement).all():
            raise InputError(f"Displacements are finite and (rows, columns, 2), found {shape}.")
        if not self.spacing_um > 0:
            raise InputError(f"spacing_um must be positive, found {self.spacing_um}.")

    @property
    def smallest_jacobian(self) -> float:
        """How much the most squeezed place is squeezed: 1 nowhere, at or below 0 the plane folds."""
        if min(self.displacement.shape[:2]) < 2:
            return 1.0
        down, right = (np.gradient(self.displacement, self.spacing_um, axis=axis) for axis in (0, 1))
        areas = (1 + right[..., 0]) * (1 + down[..., 1]) - right[..., 1] * down[..., 0]
        return float(areas.min())

    def inverse(self) -> "Bend":
        """Return the way back.

        Raises
        ------
        InputError
            The plane folds, so that there is none.
        """
        if self.smallest_jacobian <= 0:
            raise self._folds()
        return replace(self, is_inverse=not self.is_inverse)

    def seen_through(self, matrix: np.ndarray) -> "Bend":
        """Return the same bend in a plane that is reached by an affine map, (2, 3)."""
        linear = matrix[:, :2] @ self.frame[:, :2]
        return replace(self, frame=np.column_stack([linear, matrix[:, :2] @ self.frame[:, 2] + matrix[:, 2]]))

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Move points, (points, 2) in micrometres.

        Raises
        ------
        InputError
            The plane folds, so that there is no way back.
        """
        linear, shift = self.frame[:, :2], self.frame[:, 2]
        start = np.linalg.solve(linear, (points - shift).T).T
        end = self._back(start) if self.is_inverse else start + self._at(start)
        moved: np.ndarray = end @ linear.T + shift
        return moved

    def _at(self, points: np.ndarray) -> np.ndarray:
        from scipy.ndimage import map_coordinates

        place = ((points - self.origin_um) / self.spacing_um).T[::-1]
        moved = np.column_stack(
            [map_coordinates(u, place, order=1, mode="nearest") for u in self.displacement.T.swapaxes(1, 2)]
        )
        return np.asarray(moved)

    def _back(self, points: np.ndarray) -> np.ndarray:
        """Solve ``z + u(z) = points`` by Newton's method, each point taking shorter steps where a whole one fails."""
        found = points
        miss = self._at(found)
        for _ in range(_STEPS):
            left = np.flatnonzero(np.abs(miss).max(axis=1) >= 1e-5 * self.spacing_um)
            if not left.size:
                return np.asarray(found)
            found, miss = found.copy(), miss.copy()
            found[left], miss[left] = self._closer(found[left], miss[left], points[left])
        raise self._folds()

    def _closer(self, start: np.ndarray, miss: np.ndarray, goal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take one step of Newton's method, (points, 2), and give what is then missed."""
        reach = 0.5 * self.spacing_um
        slopes = [(self._at(start + side) - self._at(start - side)) / (2 * reach) for side in reach * np.eye(2)]
        step = np.linalg.solve(np.eye(2) + np.stack(slopes, axis=2), miss[:, :, None])[:, :, 0]
        best, best_miss = start, miss
        for share in (1.0, 0.5, 0.25, 0.125, 0.03):
            tried = start - share * step
            tried_miss = tried + self._at(tried) - goal
            better = (np.linalg.norm(tried_miss, axis=1) < np.linalg.norm(best_miss, axis=1))[:, None]
            best, best_miss = np.where(better, tried, best), np.where(better, tried_miss, best_miss)
            if better.all():
                break
        return best, best_miss

    def _folds(self) -> InputError:
        return InputError(
            f"These displacements have no inverse (smallest Jacobian {self.smallest_jacobian:.2f}): the plane folds. "
            "Register with a smoother transform."
        )
