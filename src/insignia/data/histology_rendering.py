"""Pictures of simulated sections: tissue types become cells, fibres and holes, and these become colours."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from insignia.data.histology_cells import Ellipses, coverage, dust, fat_cells, lumens, nuclei, palisades
from insignia.data.histology_stain import Stain, draw_pen
from insignia.data.histology_textures import ORIENTATIONS, Textures, upsampled

__all__ = ["NODE_UM", "Scene", "render"]

NODE_UM: Final = 16.0
"""Tissue is looked up at nodes about this far apart, and interpolated between them."""

_EOSIN: Final = np.array([0.38, 0.78, 0.5, 0.3], dtype=np.float32)
_CYTOPLASM: Final = np.array([0.26, 0.06, 0.2, 0.04], dtype=np.float32)
_FIBROUS: Final = np.array([0.06, 0.3, 0.14, 0.35], dtype=np.float32)
_NUCLEUS: Final = 1.15
_SHARPNESS: Final = 5.0
_RAGGED_UM: Final = 9.0


@dataclass(frozen=True, eq=False)
class Scene:
    """What a picture shows, at every `step`-th pixel.

    Parameters
    ----------
    height, width
        Of the picture in pixels.
    um_per_px
        Its scale.
    step
        Distance of the nodes in pixels.
    composition
        (4, rows, columns) fractions of the tissue types at the nodes.
    margin_um
        (rows, columns) how far the nodes lie inside the tissue.
    is_folded
        (rows, columns) where tissue lies in several layers, from 0 to 1.
    """

    height: int
    width: int
    um_per_px: float
    step: int
    composition: np.ndarray
    margin_um: np.ndarray
    is_folded: np.ndarray

    def dense(self, nodes: np.ndarray) -> np.ndarray:
        """Values at all pixels."""
        return upsampled(nodes, self.step, self.height, self.width)


def render(
    scene: Scene, textures: Textures, stain: Stain, rng: np.random.Generator, *, with_pen: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a section: (height, width, 3) uint8, and where there is tissue, (height, width) bool."""
    local = textures.cut(scene.height, scene.width, rng)
    margin = scene.dense(np.clip(scene.margin_um, -500, 500)) + _RAGGED_UM * (local.clouds + 0.5 * local.nests[0])
    tissue = np.clip(margin / (1.5 * scene.um_per_px) + 0.5, 0, 1)
    weights = _nests(scene, local) * tissue
    direction = _direction(scene, rng)
    holes, cells = _cells(weights, direction, scene.um_per_px, rng)
    light = np.tensordot(_EOSIN, weights, axes=1) * (1 + 0.12 * local.clouds + 0.06 * local.grain)
    light *= np.clip(1 + np.tensordot(_FIBROUS, weights, axes=1) * _fibres(direction, local), 0.15, None)
    open_ = 1 - 0.93 * holes
    eosin = light * open_ * (1 - 0.45 * cells)
    hematoxylin = np.tensordot(_CYTOPLASM, weights, axes=1) * open_ * (1 + 0.15 * local.grain)
    hematoxylin = np.maximum(hematoxylin, _NUCLEUS * cells * (1 + 0.12 * local.grain) * tissue)
    hematoxylin, eosin = (ndimage.gaussian_filter(amount, 0.5) for amount in (hematoxylin, eosin))
    layers = 1 + 1.5 * ndimage.gaussian_filter(scene.dense(scene.is_folded), 1.0)
    extra = 0.8 * coverage(dust(scene.height, scene.width, scene.um_per_px, rng), scene.height, scene.width)[..., None]
    if with_pen:
        (own,) = rng.spawn(1)  # leaves the noise of the picture as it is without a pen
        extra = extra + draw_pen(scene.height, scene.width, scene.um_per_px, own)
    pixels = stain.photograph(layers * hematoxylin, layers * eosin, extra, rng)
    return pixels, tissue > 0.5


def _nests(scene: Scene, local: Textures) -> np.ndarray:
    """(4, height, width) weights of the tissue types, nearly 0 or 1, whose local means are the composition."""
    logits = scene.dense(np.log(np.maximum(scene.composition, 1e-6))) + local.nests
    logits = np.exp(_SHARPNESS * (logits - logits.max(axis=0)))
    weights: np.ndarray = logits / logits.sum(axis=0)
    return weights


def _direction(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Where fibres run, along the borders of the stroma: cosine and sine of twice the angle, (2, height, width)."""
    down, across = np.gradient(ndimage.gaussian_filter(scene.composition[1], 3.0))
    # a fibre has no head, and so its angle is doubled; a drift across the slide dissolves whirls
    doubled = np.stack([down**2 - across**2, -2 * down * across])
    doubled /= np.sqrt(np.mean(np.sum(doubled**2, axis=0))) + 1e-12
    drift = rng.uniform(0, 2 * np.pi)
    doubled += 0.7 * np.array([np.cos(drift), np.sin(drift)])[:, None, None]
    dense = scene.dense(doubled)
    dense /= np.hypot(*dense) + 1e-6
    return dense


def _fibres(direction: np.ndarray, local: Textures) -> np.ndarray:
    """Texture of fibres that run along `direction`, (height, width), standardised."""
    texture, total = np.zeros_like(direction[0]), np.full_like(direction[0], 1e-6)
    for angle, fibre in zip(ORIENTATIONS, local.fibres, strict=True):
        along = direction[0] * np.float32(np.cos(2 * angle)) + direction[1] * np.float32(np.sin(2 * angle))
        weight = np.maximum(along - np.float32(0.4), 0)
        texture += weight * fibre
        total += weight * weight
    standardised: np.ndarray = texture / np.sqrt(total)
    return standardised


def _cells(
    weights: np.ndarray, direction: np.ndarray, um_per_px: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """How much holes and nuclei cover each pixel, both (height, width)."""
    height, width = weights.shape[1:]
    glands = lumens(weights, um_per_px, rng)
    open_ = coverage(glands, height, width)
    beside = ndimage.maximum_filter(open_, 2 * round(30.0 / um_per_px) + 1)
    fat = fat_cells(weights * (beside == 0), um_per_px, rng)
    lining = palisades(glands, um_per_px, rng)
    holes = np.maximum(open_, coverage(fat, height, width))
    cells = Ellipses.joined([nuclei(weights, direction, um_per_px, rng), lining])
    cells = cells.take(cells.values(holes) < 0.3)
    return holes, coverage(cells, height, width)
