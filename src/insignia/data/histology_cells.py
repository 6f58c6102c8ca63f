"""Cells of simulated histology: where nuclei, lumens and fat cells lie, and how they cover the pixels."""

from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["Ellipses", "coverage", "fat_cells", "lumens", "nuclei", "palisades"]

_NUCLEUS_SPACING_UM, _LUMEN_SPACING_UM, _FAT_SPACING_UM = 16.0, 130.0, 47.0
_DENSITY: Final = np.array([0.85, 0.25, 0.62, 0.05])
_RADIUS_UM: Final = np.array([4.6, 3.3, 6.3, 3.0])
_RADIUS_SPREAD: Final = np.array([0.12, 0.15, 0.25, 0.12])
_ASPECT: Final = np.array([1.35, 2.6, 1.25, 2.2])
_DARKNESS: Final = np.array([1.0, 1.1, 0.8, 1.1])


@dataclass(frozen=True, eq=False)
class Ellipses:
    """Ellipses in an image.

    Parameters
    ----------
    centres_px
        (ellipses, 2) x and y.
    axes_px
        (ellipses, 2) half axes.
    angles
        (ellipses,) direction of the first axis, radians from x towards y.
    strength
        (ellipses,) how strongly they show.
    """

    centres_px: np.ndarray
    axes_px: np.ndarray
    angles: np.ndarray
    strength: np.ndarray

    def __len__(self) -> int:
        return len(self.angles)

    def take(self, which: np.ndarray) -> "Ellipses":
        """Return some of them."""
        return Ellipses(self.centres_px[which], self.axes_px[which], self.angles[which], self.strength[which])

    def values(self, image: np.ndarray) -> np.ndarray:
        """Values of an image, (..., height, width), at the centres, (..., ellipses)."""
        x, y = np.floor(self.centres_px).astype(np.int64).T
        return image[..., np.clip(y, 0, image.shape[-2] - 1), np.clip(x, 0, image.shape[-1] - 1)]

    @classmethod
    def joined(cls, parts: "list[Ellipses]") -> "Ellipses":
        """Put several together."""
        return cls(
            np.concatenate([part.centres_px for part in parts]),
            np.concatenate([part.axes_px for part in parts]),
            np.concatenate([part.angles for part in parts]),
            np.concatenate([part.strength for part in parts]),
        )


def coverage(ellipses: Ellipses, height: int, width: int) -> np.ndarray:
    """How strongly the ellipses cover each pixel, (height, width) float32; where they overlap, the strongest counts."""
    image = np.zeros(height * width, dtype=np.float32)
    if not len(ellipses):
        return image.reshape(height, width)
    reach = int(np.ceil(ellipses.axes_px.max() + 0.7))
    down, across = (part.ravel() for part in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    x, y = np.floor(ellipses.centres_px).astype(np.int64).T
    columns, rows = x[:, None] + across, y[:, None] + down
    dx = (columns + 0.5 - ellipses.centres_px[:, :1]).astype(np.float32)
    dy = (rows + 0.5 - ellipses.centres_px[:, 1:]).astype(np.float32)
    cos, sin = (part[:, None].astype(np.float32) for part in (np.cos(ellipses.angles), np.sin(ellipses.angles)))
    long, short = ellipses.axes_px.astype(np.float32).T[:, :, None]
    radius = np.hypot((dx * cos + dy * sin) / long, (dy * cos - dx * sin) / short)
    # near the rim the distance in pixels is about (radius - 1) times the half axis; the rim is one pixel soft
    cover = np.clip((1 - radius) * np.sqrt(long * short) + 0.5, 0, 1) * ellipses.strength.astype(np.float32)[:, None]
    inside = (cover > 0) & (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    np.maximum.at(image, (rows * width + columns)[inside], cover[inside])
    return image.reshape(height, width)


def nuclei(weights: np.ndarray, angle: np.ndarray, um_per_px: float, rng: np.random.Generator) -> Ellipses:
    """Scatter nuclei over tissue.

    Parameters
    ----------
    weights
        (4, height, width) tissue types; their sum is below 1 where there is no tissue.
    angle
        (height, width) direction of the fibres.
    """
    centres = _scattered(weights.shape[1:], _NUCLEUS_SPACING_UM / um_per_px, 0.42, rng)
    n = len(centres)
    bare = Ellipses(centres, np.ones((n, 2)), np.zeros(n), np.ones(n))
    chance = bare.values(weights) * _DENSITY[:, None]
    draw = rng.random(n)
    kinds = (draw >= np.cumsum(chance, axis=0)).sum(axis=0)
    kept = kinds < len(_DENSITY)
    kinds, centres = kinds[kept], centres[kept]
    n = len(centres)
    radius = _RADIUS_UM[kinds] * rng.lognormal(0.0, _RADIUS_SPREAD[kinds]) / um_per_px
    aspect = np.maximum(1.0, _ASPECT[kinds] * rng.lognormal(0.0, 0.15, n))
    axes = radius[:, None] * np.column_stack([np.sqrt(aspect), 1 / np.sqrt(aspect)])
    is_fibre = np.isin(kinds, (1, 3))
    angles = np.where(is_fibre, bare.take(kept).values(angle) + rng.normal(0.0, 0.25, n), rng.uniform(0, np.pi, n))
    return Ellipses(centres, axes, angles, _DARKNESS[kinds] * rng.lognormal(0.0, 0.18, n))


def lumens(weights: np.ndarray, um_per_px: float, rng: np.random.Generator) -> Ellipses:
    """Lumens of glands, within epithelium."""
    centres = _scattered(weights.shape[1:], _LUMEN_SPACING_UM / um_per_px, 0.4, rng)
    n = len(centres)
    radius = rng.uniform(14.0, 34.0, n) / um_per_px
    aspect = rng.uniform(1.0, 1.6, n)
    axes = radius[:, None] * np.column_stack([np.sqrt(aspect), 1 / np.sqrt(aspect)])
    drawn = Ellipses(centres, axes, rng.uniform(0, np.pi, n), np.ones(n))
    return drawn.take(drawn.values(weights[0]) * 0.8 > rng.random(n))


def palisades(holes: Ellipses, um_per_px: float, rng: np.random.Generator) -> Ellipses:
    """Nuclei that line lumens, pointing away from them."""
    rim = 7.0 / um_per_px
    counts = np.maximum(5, (2 * np.pi * (holes.axes_px.mean(axis=1) + rim) * um_per_px / 8.5)).astype(np.int64)
    owner = np.repeat(np.arange(len(holes)), counts)
    place = np.concatenate([2 * np.pi * np.arange(count) / count for count in counts]) if len(holes) else np.zeros(0)
    place = place + rng.normal(0.0, 0.06, len(place))
    axes = holes.axes_px[owner] + rim * rng.uniform(0.9, 1.25, (len(owner), 1))
    local = axes * np.column_stack([np.cos(place), np.sin(place)])
    cos, sin = np.cos(holes.angles[owner]), np.sin(holes.angles[owner])
    offset = np.column_stack([local[:, 0] * cos - local[:, 1] * sin, local[:, 0] * sin + local[:, 1] * cos])
    size = np.array([5.4, 3.4]) / um_per_px * rng.lognormal(0.0, 0.1, (len(owner), 1))
    angles = np.arctan2(offset[:, 1], offset[:, 0])
    return Ellipses(holes.centres_px[owner] + offset, size, angles, rng.lognormal(0.0, 0.15, len(owner)))


def fat_cells(weights: np.ndarray, um_per_px: float, rng: np.random.Generator) -> Ellipses:
    """Vacuoles of fat cells, closely packed within adipose tissue."""
    centres = _scattered(weights.shape[1:], _FAT_SPACING_UM / um_per_px, 0.12, rng)
    n = len(centres)
    radius = 0.53 * _FAT_SPACING_UM * rng.uniform(0.82, 1.0, n) / um_per_px
    aspect = rng.uniform(1.0, 1.25, n)
    axes = radius[:, None] * np.column_stack([np.sqrt(aspect), 1 / np.sqrt(aspect)])
    drawn = Ellipses(centres, axes, rng.uniform(0, np.pi, n), np.ones(n))
    return drawn.take(drawn.values(weights[3]) > 0.5)


def _scattered(shape: tuple[int, ...], spacing_px: float, jitter: float, rng: np.random.Generator) -> np.ndarray:
    """Points, (points, 2), of a hexagonal lattice of which each is moved by up to `jitter` spacings."""
    rise = spacing_px * np.sqrt(3) / 2
    rows, columns = int(np.ceil(shape[0] / rise)) + 1, int(np.ceil(shape[1] / spacing_px)) + 1
    row, column = (part.ravel() for part in np.mgrid[:rows, :columns])
    lattice = np.column_stack([(column + 0.5 * (row % 2)) * spacing_px, row * rise])
    points = lattice + rng.uniform(-jitter, jitter, lattice.shape) * spacing_px
    inside = (points >= 0).all(axis=1) & (points[:, 0] < shape[1]) & (points[:, 1] < shape[0])
    scattered: np.ndarray = points[inside]
    return scattered
