"""How points and pictures of one section are carried into another frame, in micrometres."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from insignia.core.errors import InputError
from insignia.data.bend import Bend

__all__ = ["Transform"]


@dataclass(frozen=True, eq=False)
class Transform:
    """A map of the plane: affine, ``y = A x + t``, and then, if there are any, bends.

    Points are (x, y) in micrometres, x to the right and y down, as pixels of an image are counted.

    Parameters
    ----------
    matrix
        (2, 3), ``[A | t]``, t in micrometres.
    bends
        Displacements applied after the affine map, one after the other.
    """

    matrix: np.ndarray
    bends: tuple[Bend, ...] = ()

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, dtype=np.float64)
        if matrix.shape != (2, 3) or not np.isfinite(matrix).all():
            raise InputError(f"A transform takes a finite matrix of 2 x 3, found {matrix.shape}.")
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def identity(cls) -> "Transform":
        """Leave points where they are."""
        return cls(np.eye(2, 3))

    @classmethod
    def rigid(cls, degrees: float, shift_um: np.ndarray, *, about_um: np.ndarray | None = None) -> "Transform":
        """Turn by an angle (from x towards y) about a point, then shift."""
        angle = np.deg2rad(degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = np.zeros(2) if about_um is None else np.asarray(about_um, dtype=np.float64)
        return cls(np.column_stack([turn, centre - turn @ centre + np.asarray(shift_um, dtype=np.float64)]))

    @classmethod
    def from_homogeneous(cls, matrix: np.ndarray) -> "Transform":
        """Read a (3, 3) matrix that acts on (x, y, 1).

        Raises
        ------
        InputError
            It is not (3, 3), or its last row is not (0, 0, 1): a perspective is not a section's pose.
        """
        matrix = np.asarray(matrix, dtype=np.float64)
        if matrix.shape != (3, 3) or not np.allclose(matrix[2], (0, 0, 1)):
            raise InputError(f"An affine map is a (3, 3) matrix whose last row is 0 0 1, found {matrix.tolist()}.")
        return cls(matrix[:2])

    @classmethod
    def from_itk(cls, parameters: Sequence[float], centre_um: Sequence[float] = (0.0, 0.0)) -> "Transform":
        """Read the parameters of an ITK or ANTs affine transform of the plane, as a map of points.

        Parameters
        ----------
        parameters
            The four numbers of A, row by row, and t: ``y = A (x - c) + t + c``.
        centre_um
            c, the fixed parameters.

        Notes
        -----
        What ANTs calls the forward transform of a registration carries *points of the fixed picture* to the moving one,
        because pictures are resampled backwards: take the `inverse` of what this returns to carry spots of the moving
        section.
        """
        if len(parameters) != 6 or len(centre_um) != 2:
            raise InputError(f"An ITK affine transform of the plane has 6 + 2 numbers, found {len(parameters)}.")
        linear, centre = np.reshape(parameters[:4], (2, 2)), np.asarray(centre_um, dtype=np.float64)
        return cls(np.column_stack([linear, np.asarray(parameters[4:]) + centre - linear @ centre]))

    def to_itk(self, centre_um: Sequence[float] = (0.0, 0.0)) -> tuple[np.ndarray, np.ndarray]:
        """Return the six parameters and the centre of the affine part; see `from_itk`."""
        linear, centre = self.matrix[:, :2], np.asarray(centre_um, dtype=np.float64)
        return np.concatenate([linear.ravel(), self.matrix[:, 2] - centre + linear @ centre]), centre

    @property
    def homogeneous(self) -> np.ndarray:
        """(3, 3) matrix of the affine part, acting on (x, y, 1)."""
        return np.vstack([self.matrix, (0.0, 0.0, 1.0)])

    @property
    def scales(self) -> tuple[float, float]:
        """How much the affine part stretches, along its longest and its shortest direction."""
        longest, shortest = np.linalg.svd(self.matrix[:, :2], compute_uv=False)
        return float(longest), float(shortest)

    @property
    def degrees(self) -> float:
        """By how much it turns (from x towards y), -180 to 180."""
        u, _, v = np.linalg.svd(self.matrix[:, :2])
        turn = u @ v
        return float(np.rad2deg(np.arctan2(turn[1, 0], turn[0, 0])))

    @property
    def is_mirrored(self) -> bool:
        """Whether it turns the section over."""
        return bool(np.linalg.det(self.matrix[:, :2]) < 0)

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Carry points, (points, 2) in micrometres."""
        moved: np.ndarray = np.asarray(points, dtype=np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2]
        for bend in self.bends:
            moved = bend.apply(moved)
        return moved

    def inverse(self) -> "Transform":
        """Return the way back.

        Raises
        ------
        InputError
            The map flattens the plane.
        """
        linear = self.matrix[:, :2]
        if abs(np.linalg.det(linear)) < 1e-9:
            raise InputError("A transform that flattens the plane has no inverse.")
        back = np.linalg.inv(linear)
        matrix = np.column_stack([back, -back @ self.matrix[:, 2]])
        return Transform(matrix, tuple(bend.inverse().seen_through(matrix) for bend in reversed(self.bends)))

    def then(self, after: "Transform") -> "Transform":
        """Return the map that does this one first and `after` second."""
        linear = after.matrix[:, :2] @ self.matrix[:, :2]
        matrix = np.column_stack([linear, after.matrix[:, :2] @ self.matrix[:, 2] + after.matrix[:, 2]])
        return Transform(matrix, (*(bend.seen_through(after.matrix) for bend in self.bends), *after.bends))
