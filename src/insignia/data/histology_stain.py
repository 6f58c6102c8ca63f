"""The colours of simulated histology: two stains, light through them, and a camera."""

from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["Stain", "draw_pen"]

_HEMATOXYLIN: Final = np.array([0.65, 0.70, 0.33])
_EOSIN: Final = np.array([0.11, 0.92, 0.38])
_PENS: Final = ((0.9, 0.55, 0.08), (0.75, 0.12, 0.7), (0.8, 0.8, 0.75))
"""Absorption of red, green and blue by a blue, a green and a black pen."""


@dataclass(frozen=True, eq=False)
class Stain:
    """How one section was stained and photographed.

    Parameters
    ----------
    vectors
        (2, 3) absorption of red, green and blue by hematoxylin and eosin.
    strength
        (2,) factor of each stain.
    white
        (3,) the empty slide, from 0 to 255.
    """

    vectors: np.ndarray
    strength: np.ndarray
    white: np.ndarray

    @classmethod
    def draw(cls, spread: float, rng: np.random.Generator) -> "Stain":
        """Draw colours and strengths around the usual ones, with a standard deviation of `spread`."""
        vectors = np.stack([_HEMATOXYLIN, _EOSIN]) * (1 + spread * rng.standard_normal((2, 3)))
        vectors = np.clip(vectors, 0.02, None)
        strength = np.exp(1.5 * spread * rng.standard_normal(2))
        white = 243.0 + np.clip(40 * spread, 0, 8) * rng.uniform(-1, 1, 3)
        return cls(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), strength, white)

    def photograph(
        self, hematoxylin: np.ndarray, eosin: np.ndarray, extra: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Light that passes the stains, (height, width, 3) uint8.

        Parameters
        ----------
        hematoxylin, eosin
            (height, width) amounts.
        extra
            Further absorption, (height, width, 3), or (height, width, 1) for grey.
        """
        amounts = np.stack([hematoxylin, eosin], axis=-1) * self.strength.astype(np.float32)
        absorbed = amounts @ self.vectors.astype(np.float32) + extra
        light = self.white.astype(np.float32) * np.exp(-absorbed)
        light += 1.6 * rng.standard_normal(light.shape, dtype=np.float32)
        pixels: np.ndarray = np.clip(light + 0.5, 0, 255).astype(np.uint8)
        return pixels


def draw_pen(height: int, width: int, um_per_px: float, rng: np.random.Generator) -> np.ndarray:
    """Absorption, (height, width, 3), of a stroke of a marker pen around a part of the tissue."""
    x, y = (np.arange(size, dtype=np.float32) + 0.5 for size in (width, height))
    edge = min(height, width)
    cx, cy = edge * (0.5 + 0.22 * rng.uniform(-1, 1, 2))
    dx, dy = x[None, :] - cx, y[:, None] - cy
    angle = np.arctan2(dy, dx)
    start, length = rng.uniform(-np.pi, np.pi), rng.uniform(1.6, 4.0)
    radius = edge * rng.uniform(0.16, 0.28) * (1 + 0.1 * np.sin(2 * angle + start) + 0.04 * np.sin(5 * angle))
    half = rng.uniform(22.0, 36.0) / um_per_px
    stroke = np.clip((half - np.abs(np.hypot(dx, dy) - radius)) / 1.5 + 0.5, 0, 1)
    stroke *= (angle - start) % (2 * np.pi) < length
    density = stroke * (0.85 + 0.15 * np.sin(9 * angle))
    colour = np.array(_PENS[rng.integers(len(_PENS))], dtype=np.float32) * rng.uniform(0.9, 1.5)
    absorption: np.ndarray = density[..., None] * colour
    return absorption
