"""Cells of simulated histology: where nuclei, lumens and fat cells lie, and how they cover the pixels."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

__all__ = ["Ellipses", "coverage", "dust", "fat_cells", "lumens", "nuclei", "palisades"]

_NUCLEUS_SPACING_UM, _LUMEN_SPACING_UM, _FAT_SPACING_UM = 16.0, 130.0, 47.0
_STAMPS: Final = 2048
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
    by_size = np.argsort(ellipses.axes_px.max(axis=1), kind="stable")
    for start in range(0, len(by_size), _STAMPS):
        pixels, cover = _stamped(ellipses.take(by_size[start : start + _STAMPS]), height, width)
        np.maximum.at(image, pixels, cover)
    return image.reshape(height, width)


def _stamped(ellipses: Ellipses, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat positions of the pixels that ellipses touch, and how strongly each is covered."""
    reach = int(np.ceil(ellipses.axes_px.max() + 0.5))
    down, across = (part.ravel() for part in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    x, y = np.floor(ellipses.centres_px).astype(np.int64).T
    offset = (ellipses.centres_px - np.floor(ellipses.centres_px) - 0.5).astype(np.float32)
    dx, dy = across.astype(np.float32) - offset[:, :1], down.astype(np.float32) - offset[:, 1:]
    cos, sin = (part[:, None].astype(np.float32) for part in (np.cos(ellipses.angles), np.sin(ellipses.angles)))
    long, short = ellipses.axes_px.astype(np.float32).T[:, :, None]
    radius = np.sqrt(((dx * cos + dy * sin) / long) ** 2 + ((dy * cos - dx * sin) / short) ** 2)
    # near the rim the distance in pixels is about (radius - 1) times the half axis; the rim is one pixel soft
    cover = np.clip((1 - radius) * np.sqrt(long * short) + 0.5, 0, 1)
    owner, stamp = np.nonzero(cover)
    columns, rows = x[owner] + across[stamp], y[owner] + down[stamp]
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    strength = ellipses.strength.astype(np.float32)[owner] * cover[owner, stamp]
    return (rows * width + columns)[inside], strength[inside]


def nuclei(weights: np.ndarray, fibres: np.ndarray, um_per_px: float, rng: np.random.Generator) -> Ellipses:
    """Scatter nuclei over tissue.

    Parameters
    ----------
    weights
        (4, height, width) tissue types; their sum is below 1 where there is no tissue.
    fibres
        (2, height, width) cosine and sine of twice the angle of the fibres.
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
    cos, sin = bare.take(kept).values(fibres)
    along = 0.5 * np.arctan2(sin, cos) + rng.normal(0.0, 0.25, n)
    angles = np.where(is_fibre, along, rng.uniform(0, np.pi, n))
    return Ellipses(centres, axes, angles, _DARKNESS[kinds] * rng.lognormal(0.0, 0.18, n))


def lumens(weights: np.ndarray, um_per_px: float, rng: np.random.Generator) -> Ellipses:
    """Lumens of glands, within epithelium."""
    centres = _scattered(weights.shape[1:], _LUMEN_SPACING_UM / um_per_px, 0.4, rng)
    n = len(centres)
    radius = rng.uniform(14.0, 34.0, n) / um_per_px
    aspect = rng.uniform(1.0, 1.6, n)
    axes = radius[:, None] * np.column_stack([np.sqrt(aspect), 1 / np.sqrt(aspect)])
    drawn = Ellipses(centres, axes, rng.uniform(0, np.pi, n), np.ones(n))
    around = ndimage.uniform_filter(weights[0], max(1, round(30.0 / um_per_px)))
    return drawn.take(drawn.values(around) * 0.9 - 0.1 > rng.random(n))


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
    """Vacuoles of fat cells, closely packed where most of what is around is adipose tissue."""
    spacing = _FAT_SPACING_UM / um_per_px
    around = ndimage.uniform_filter(weights[3], max(1, round(spacing)))
    centres = _scattered(weights.shape[1:], spacing, 0.12, rng)
    n = len(centres)
    radius = 0.53 * _FAT_SPACING_UM * rng.uniform(0.82, 1.0, n) / um_per_px
    aspect = rng.uniform(1.0, 1.25, n)
    axes = radius[:, None] * np.column_stack([np.sqrt(aspect), 1 / np.sqrt(aspect)])
    drawn = Ellipses(centres, axes, rng.uniform(0, np.pi, n), np.ones(n))
    return drawn.take(drawn.values(around) > rng.uniform(0.35, 0.6, n))


def dust(height: int, width: int, um_per_px: float, rng: np.random.Generator) -> Ellipses:
    """Specks anywhere on the slide, about six on a square millimetre."""
    n = rng.poisson(6e-6 * height * width * um_per_px**2)
    axes = rng.uniform(1.5, 7.0, (n, 2)) / um_per_px
    return Ellipses(rng.random((n, 2)) * [width, height], axes, rng.uniform(0, np.pi, n), rng.uniform(0.2, 1.0, n))


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
