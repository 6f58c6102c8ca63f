"""Refine a guess: an affine map under which stain and outline of two sections agree best.

The stain enters through the enhanced correlation coefficient (Evangelidis & Psarakis 2008, doi:10.1109/TPAMI.2008.113):
both pictures are standardised over their overlap, so that strength and spread of the staining do not matter. The
outline enters through distances to it, with a weight that ignores what is torn off or missing: edges that are far from
each other, or that run in different directions. Stretching and shearing are held back by a prior. Solved by steps of
Gauss and Newton.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from insignia.data.transform import Transform
from insignia.spatial.registration.draw import drawn_in
from insignia.spatial.registration.views import Level

__all__ = ["RefineOptions", "Refiner"]

_MIN_PIXELS: Final = 100
_RIDGE: Final = 1e-6
_SETTLED_PX: Final = 0.05


@dataclass(frozen=True)
class RefineOptions:
    """How one level is refined.

    Parameters
    ----------
    outline_weight
        Of the outline beside the stain.
    reach_px
        Outlines farther apart than this, in pixels of the level, do not pull.
    parallel
        Cosine of the angle between two outlines from which they pull at all, growing to parallel ones; `None` for any.
    iterations
        At most.
    stretch
        Standard deviation of stretching and shearing that sections are expected to have.
    stretch_weight
        Of that prior.
    motion
        Turn and shift only, as far as these standard deviations, micrometres and degrees; `None` for an affine map.
    """

    outline_weight: float = 3.0
    reach_px: float = 12.5
    parallel: float | None = None
    iterations: int = 25
    stretch: float = 0.05
    stretch_weight: float = 0.03
    motion: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Refiner:
    """Two levels, cropped to the fixed tissue, and the derivatives of the fixed pictures; made once for many starts."""

    moving: Level
    fixed: Level
    options: RefineOptions
    origin_um: tuple[float, float]
    shape: tuple[int, int]
    centre_um: np.ndarray
    radius_um: float
    stain: np.ndarray | None
    stain_slope: np.ndarray | None
    inner: np.ndarray
    band: np.ndarray
    outline: np.ndarray
    outline_slope: np.ndarray

    @classmethod
    def make(cls, moving: Level, fixed: Level, options: RefineOptions) -> "Refiner | None":
        """Prepare a pair; `None` if one of the two has no tissue."""
        if not moving.mask.any() or not fixed.mask.any():
            return None
        reach = options.reach_px * fixed.um
        pad = int(2 * options.reach_px)
        rows, columns = np.nonzero(fixed.mask)
        top, left = max(0, rows.min() - pad), max(0, columns.min() - pad)
        here = np.s_[top : rows.max() + pad, left : columns.max() + pad]
        outline = fixed.outline_um[here].clip(-reach, reach) / reach
        origin = (left * fixed.um + fixed.origin_um[0], top * fixed.um + fixed.origin_um[1])
        centre = np.array([columns.mean() - left + 0.5, rows.mean() - top + 0.5]) * fixed.um
        radius = float(np.sqrt(fixed.mask.sum() / np.pi)) * fixed.um
        basis = _basis(outline.shape, fixed.um, centre, radius)
        stain = fixed.stain[here] if fixed.stain is not None and moving.stain is not None else None
        band = np.flatnonzero(np.abs(outline).ravel() < 0.5)
        return cls(
            moving,
            fixed,
            options,
            origin,
            outline.shape,
            centre + origin,
            radius,
            None if stain is None else stain.ravel(),
            None if stain is None else _slopes(stain, basis, radius / fixed.um),
            fixed.inner[here].ravel(),
            band,
            outline.ravel()[band],
            _slopes(outline, basis, radius / fixed.um)[band],
        )

    def refine(self, start: Transform) -> Transform | None:
        """Refine a guess; `None` if the sections slid off each other."""
        transform, moved = start, np.zeros(6)
        for _ in range(self.options.iterations):
            step = self._step(transform, moved)
            if step is None:
                return None
            moved += step
            transform = transform.then(self._as_transform(step))
            if np.abs(step).max() * self.radius_um < _SETTLED_PX * self.fixed.um:
                break
        return transform

    def _step(self, transform: Transform, moved_so_far: np.ndarray) -> np.ndarray | None:
        """Take one Gauss-Newton step: shift in units of the radius, and four numbers of stretching and turning."""
        normal, gradient = self._prior(transform)
        reach = self.options.reach_px * self.fixed.um
        drawn = self._drawn(self.moving.outline_um, transform, fill=-reach)
        off = drawn.ravel()[self.band].clip(-reach, reach) / reach - self.outline
        # Tukey's weight: an outline that is a whole reach away is another edge
        weight = np.where(np.abs(off) < 1, (1 - off**2) ** 2, 0) * self.options.outline_weight / max(1, len(off))
        if self.options.parallel is not None:
            weight = weight * self._facing(drawn, self.options.parallel)
        normal += (self.outline_slope.T * weight) @ self.outline_slope
        gradient += self.outline_slope.T @ (weight * off)
        both = np.flatnonzero(self._drawn(self.moving.inner, transform).ravel() & self.inner)
        if len(both) < _MIN_PIXELS:
            return None
        if self.stain is not None and self.stain_slope is not None and self.moving.stain is not None:
            moved, still = self._drawn(self.moving.stain, transform).ravel()[both], self.stain[both]
            spread = still.std() + 1e-6
            residual = (moved - moved.mean()) / (moved.std() + 1e-6) - (still - still.mean()) / spread
            slope = self.stain_slope[both]
            slope = (slope - slope.mean(axis=0)) / spread
            normal += slope.T @ slope / len(both)
            gradient += slope.T @ residual / len(both)
        return self._solved(normal, gradient, moved_so_far)

    def _solved(self, normal: np.ndarray, gradient: np.ndarray, moved_so_far: np.ndarray) -> np.ndarray:
        free = np.eye(6)
        if self.options.motion is not None:
            free = np.zeros((6, 3))
            free[0, 0] = free[1, 1] = free[4, 2] = 1
            free[3, 2] = -1
            shift_um, degrees = self.options.motion
            expected = np.array([shift_um / self.radius_um, shift_um / self.radius_um, np.deg2rad(degrees)])
            held = np.linalg.pinv(free).T @ np.diag(self.options.stretch_weight / expected**2) @ np.linalg.pinv(free)
            normal, gradient = normal + held, gradient - held @ moved_so_far
        normal = free.T @ normal @ free + _RIDGE * np.eye(free.shape[1])
        return np.asarray(free @ np.linalg.solve(normal, free.T @ gradient))

    def _facing(self, drawn: np.ndarray, parallel: float) -> np.ndarray:
        """Weigh the band by how much both outlines run in one direction: a cut meets the outline at an angle."""
        here, there = np.stack(_along(drawn), axis=-1)[self.band], self.outline_slope[:, :2]
        lengths = np.linalg.norm(here, axis=1) * np.linalg.norm(there, axis=1)
        cosine = (here * there).sum(axis=1) / np.maximum(lengths, 1e-9)
        return np.asarray(np.clip((cosine - parallel) / (1 - parallel), 0, 1))

    def _as_transform(self, step: np.ndarray) -> Transform:
        """Read a step as a map of the fixed section's frame."""
        grow = step[2:].reshape(2, 2)
        return Transform(np.column_stack([np.eye(2) + grow, step[:2] * self.radius_um - grow @ self.centre_um]))

    def _prior(self, transform: Transform) -> tuple[np.ndarray, np.ndarray]:
        """Pull the stretching part of the map towards none."""
        left, sizes, _ = np.linalg.svd(transform.matrix[:, :2])
        stretch = left @ np.diag(sizes) @ left.T - np.eye(2)
        pick = np.zeros((3, 6))
        pick[0, 2] = pick[1, 5] = 1
        pick[2, 3] = pick[2, 4] = 0.5
        weight = self.options.stretch_weight / self.options.stretch**2
        found = np.array([stretch[0, 0], stretch[1, 1], stretch[0, 1]])
        return weight * pick.T @ pick, -weight * pick.T @ found

    def _drawn(self, picture: np.ndarray, transform: Transform, fill: float = 0.0) -> np.ndarray:
        return drawn_in(
            picture,
            self.moving.um,
            self.moving.origin_um,
            transform,
            shape=self.shape,
            to_um=self.fixed.um,
            to_origin_um=self.origin_um,
            fill=fill,
        )


def _basis(shape: tuple[int, int], um: float, centre: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Place of every pixel from the centre of the tissue, in units of its radius: x and y, (pixels,)."""
    rows, columns = np.indices(shape, dtype=np.float32)
    return ((columns + 0.5) * um - centre[0]).ravel() / radius, ((rows + 0.5) * um - centre[1]).ravel() / radius


def _slopes(picture: np.ndarray, basis: tuple[np.ndarray, np.ndarray], pixels: float) -> np.ndarray:
    """(pixels, 6) how a picture changes with a shift and with the four numbers of a linear map."""
    along_x, along_y = (part * pixels for part in _along(picture))
    x, y = basis
    return np.stack([along_x, along_y, along_x * x, along_x * y, along_y * x, along_y * y], axis=-1)


def _along(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(pixels,) each, how a picture changes from pixel to pixel along x and along y."""
    import cv2

    source = np.ascontiguousarray(picture, dtype=np.float32)
    along_x = cv2.Sobel(source, cv2.CV_32F, 1, 0, scale=1 / 8).ravel()
    return along_x, cv2.Sobel(source, cv2.CV_32F, 0, 1, scale=1 / 8).ravel()
