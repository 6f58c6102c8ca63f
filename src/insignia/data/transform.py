"""How points of one section are carried into another frame, in micrometres."""

from dataclasses import dataclass

import numpy as np

from insignia.core.errors import InputError

__all__ = ["Transform"]


@dataclass(frozen=True, eq=False)
class Transform:
    """An affine map of the plane, ``y = A x + t``.

    Points are (x, y) in micrometres, x to the right and y down, as pixels of an image are counted.

    Parameters
    ----------
    matrix
        (2, 3), ``[A | t]``, t in micrometres.
    """

    matrix: np.ndarray

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

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Carry points, (points, 2) in micrometres."""
        moved: np.ndarray = np.asarray(points, dtype=np.float64) @ self.matrix[:, :2].T + self.matrix[:, 2]
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
        return Transform(np.column_stack([back, -back @ self.matrix[:, 2]]))

    def then(self, after: "Transform") -> "Transform":
        """Return the map that does this one first and `after` second."""
        linear = after.matrix[:, :2] @ self.matrix[:, :2]
        return Transform(np.column_stack([linear, after.apply(self.matrix[:, 2])]))
