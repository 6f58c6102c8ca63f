"""How a simulated section lies on its slide: the way from points of its image to the tissue they show."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from insignia.data.section_damage import Damage, Fold, Intact, draw_damage
from insignia.data.serial_options import Handling
from insignia.data.tissue_fields import BLOCK_RADIUS
from insignia.data.transform import Transform

__all__ = ["Placement", "slide_size_um"]

_NODES: Final = 24
_SMOOTH: Final = 3.0


@dataclass(frozen=True, eq=False)
class Placement:
    """The way from a section's frame to the common frame.

    Parameters
    ----------
    transform
        The affine part, which registration can hope to find.
    size_um
        Edge of the common frame's square.
    displacement_um
        (2, nodes, nodes) smooth displacement of x and of y over that square, added after `transform`; without its
        affine part.
    damage
        What happened to the tissue after it was stretched and before it was mounted.
    """

    transform: Transform
    size_um: float
    displacement_um: np.ndarray
    damage: tuple[Damage, ...]

    @classmethod
    def draw(cls, handling: Handling, size_um: float, kinds: tuple[str, ...], rng: np.random.Generator) -> "Placement":
        """Draw how a section was mounted."""
        edge_um = slide_size_um(handling, size_um)
        transform = _draw_transform(handling, size_um, edge_um, is_mirrored="mirrored" in kinds, rng=rng)
        displacement = _draw_displacement(handling.deformation_um, rng)
        return cls(transform, size_um, displacement, draw_damage(kinds, size_um, rng))

    def to_common(self, points_um: np.ndarray) -> Intact:
        """Carry points of the section's frame, (points, 2), to the tissue that they show in the common frame."""
        points = self.transform.apply(points_um)
        margin, is_displaced = np.full(len(points), np.inf), np.zeros(len(points), dtype=bool)
        for damage in self.damage:
            step = damage.undo(points)
            points = step.points_um
            margin, is_displaced = np.minimum(margin, step.margin_um), is_displaced | step.is_displaced
        return Intact(points + self.displaced_by_um(points), margin, is_displaced)

    def displaced_by_um(self, points_um: np.ndarray) -> np.ndarray:
        """Smooth displacement at points of the common frame, (points, 2)."""
        x, y = points_um.T / self.size_um * (_NODES - 1)
        return np.column_stack(
            [ndimage.map_coordinates(part, [y, x], order=3, mode="nearest") for part in self.displacement_um]
        )

    def is_folded(self, points_um: np.ndarray) -> np.ndarray:
        """Whether tissue lies in several layers at points of the section's frame, (points,)."""
        points = self.transform.apply(points_um)
        folds = [damage.is_folded(points) for damage in self.damage if isinstance(damage, Fold)]
        return np.logical_or.reduce(folds) if folds else np.zeros(len(points), dtype=bool)


def slide_size_um(handling: Handling, size_um: float) -> float:
    """Edge of an image that holds the tissue however it is mounted."""
    stretched = BLOCK_RADIUS * size_um * (1 + handling.scale + handling.shear)
    return max(size_um, 2 * (stretched + handling.shift_um + 3 * handling.deformation_um))


def _draw_transform(
    handling: Handling, size_um: float, edge_um: float, *, is_mirrored: bool, rng: np.random.Generator
) -> Transform:
    """From the section's frame to the common one; drawn the other way, as the section was mounted."""
    degrees = rng.uniform(-1, 1) * handling.rotation_deg
    shift = rng.uniform(-1, 1, 2) * handling.shift_um
    stretch = 1 + rng.uniform(-1, 1, 2) * handling.scale
    shear = rng.uniform(-1, 1) * handling.shear
    turn = Transform.rigid(degrees, np.zeros(2)).matrix[:, :2]
    linear = turn @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag(stretch * [-1 if is_mirrored else 1, 1])
    mounted = np.column_stack([linear, np.full(2, edge_um / 2) + shift - linear @ np.full(2, size_um / 2)])
    return Transform(mounted).inverse()


def _draw_displacement(rms_um: float, rng: np.random.Generator) -> np.ndarray:
    """(2, nodes, nodes) smooth displacement without its affine part."""
    fields = ndimage.gaussian_filter(rng.standard_normal((2, 3 * _NODES, 3 * _NODES)), (0, _SMOOTH, _SMOOTH))
    fields = fields[:, _NODES : 2 * _NODES, _NODES : 2 * _NODES].reshape(2, -1)
    y, x = np.indices((_NODES, _NODES)).reshape(2, -1)
    affine = np.column_stack([x, y, np.ones_like(x)])
    fields = fields - (affine @ np.linalg.lstsq(affine, fields.T, rcond=None)[0]).T
    fields *= rms_um / np.sqrt(np.mean(np.sum(fields**2, axis=0)))
    displacement: np.ndarray = fields.reshape(2, _NODES, _NODES)
    return displacement
