"""Pictures of simulated sections: tissue types become cells, fibres and holes, and these become colours."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from insignia.data.histology_cells import Ellipses, coverage, fat_cells, lumens, nuclei, palisades
from insignia.data.histology_stain import Stain, draw_pen
from insignia.data.histology_textures import ORIENTATIONS, Textures, upsampled

__all__ = ["NODE_UM", "Scene", "render"]

NODE_UM: Final = 16.0
"""Tissue is looked up at nodes about this far apart, and interpolated between them."""

_EOSIN: Final = np.array([0.38, 0.78, 0.5, 0.3], dtype=np.float32)
_CYTOPLASM: Final = np.array([0.26, 0.06, 0.2, 0.04], dtype=np.float32)
_FIBROUS: Final = np.array([0.05, 0.4, 0.12, 0.25], dtype=np.float32)
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
    margin = scene.dense(np.clip(scene.margin_um, -500, 500)) + _RAGGED_UM * (0.6 * local.clouds + 0.5 * local.grain)
    tissue = np.clip(margin / (1.5 * scene.um_per_px) + 0.5, 0, 1)
    weights = _nests(scene, local) * tissue
    angle, fibres = _fibres(scene, local)
    holes, cells = _cells(weights, angle, scene.um_per_px, rng)
    light = np.tensordot(_EOSIN, weights, axes=1) * (1 + 0.12 * local.clouds + 0.06 * local.grain)
    light *= np.clip(1 + np.tensordot(_FIBROUS, weights, axes=1) * fibres, 0.15, None)
    open_ = 1 - 0.93 * holes
    eosin = light * open_ * (1 - 0.45 * cells)
    hematoxylin = np.tensordot(_CYTOPLASM, weights, axes=1) * open_ * (1 + 0.15 * local.grain)
    hematoxylin = np.maximum(hematoxylin, _NUCLEUS * cells * (1 + 0.12 * local.grain) * tissue)
    hematoxylin, eosin = (ndimage.gaussian_filter(amount, 0.5) for amount in (hematoxylin, eosin))
    layers = 1 + 1.5 * ndimage.gaussian_filter(scene.dense(scene.is_folded), 1.0)
    (own,) = rng.spawn(1)  # leaves the noise of the picture as it is without a pen
    extra = draw_pen(scene.height, scene.width, scene.um_per_px, own) if with_pen else None
    pixels = stain.photograph(layers * hematoxylin, layers * eosin, extra, rng)
    return pixels, tissue > 0.5


def _nests(scene: Scene, local: Textures) -> np.ndarray:
    """(4, height, width) weights of the tissue types, nearly 0 or 1, whose local means are the composition."""
    logits = scene.dense(np.log(np.maximum(scene.composition, 1e-6))) + local.nests
    logits = np.exp(_SHARPNESS * (logits - logits.max(axis=0)))
    weights: np.ndarray = logits / logits.sum(axis=0)
    return weights


def _fibres(scene: Scene, local: Textures) -> tuple[np.ndarray, np.ndarray]:
    """Direction of the fibres, along the borders of the stroma, and their texture, both (height, width)."""
    down, across = np.gradient(ndimage.gaussian_filter(scene.composition[1], 2.0))
    # doubled angles, since a fibre has no head
    angle = np.arctan2(down, across) + np.pi / 2
    swirl = ndimage.gaussian_filter(local.clouds[:: scene.step, :: scene.step], 4.0)
    swirl = swirl / max(float(swirl.std()), 1e-6)
    angle[: swirl.shape[0], : swirl.shape[1]] += 0.5 * swirl[: angle.shape[0], : angle.shape[1]]
    doubled = scene.dense(np.stack([np.cos(2 * angle), np.sin(2 * angle)]))
    dense = 0.5 * np.arctan2(doubled[1], doubled[0])
    texture = np.zeros_like(dense)
    total = np.zeros_like(dense)
    for direction, fibre in zip(ORIENTATIONS, local.fibres, strict=True):
        weight = np.maximum(0, np.cos(2 * (dense - direction)) - 0.4)
        texture += weight * fibre
        total += weight**2
    return dense, texture / np.sqrt(total)


def _cells(
    weights: np.ndarray, angle: np.ndarray, um_per_px: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """How much holes and nuclei cover each pixel, both (height, width)."""
    height, width = angle.shape
    glands = lumens(weights, um_per_px, rng)
    fat = fat_cells(weights, um_per_px, rng)
    lining = palisades(glands, um_per_px, rng)
    holes = np.maximum(coverage(glands, height, width), coverage(fat, height, width))
    cells = Ellipses.joined([nuclei(weights, angle, um_per_px, rng), lining])
    cells = cells.take(cells.values(holes) < 0.3)
    return holes, coverage(cells, height, width)
