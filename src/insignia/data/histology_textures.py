"""Textures from which simulated histology is put together: periodic noise, drawn once for a stack."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import fft, ndimage, special

__all__ = ["ORIENTATIONS", "Textures", "upsampled"]

ORIENTATIONS: Final = np.pi * np.arange(6) / 6
"""Directions of fibres, radians from x towards y."""

_NEST_UM, _CLOUD_UM = 14.0, 70.0
_FIBRE_UM: Final = (34.0, 3.2)


@dataclass(frozen=True, eq=False)
class Textures:
    """Standardised periodic noise, each (edge, edge) float32 or a stack of such.

    Parameters
    ----------
    nests
        (4, edge, edge) Gumbel noise of the size of cell nests: added to log fractions, the largest wins with exactly
        these fractions.
    fibres
        One for each of `ORIENTATIONS`.
    grain
        Of the size of a pixel.
    clouds
        Slow unevenness.
    """

    nests: np.ndarray
    fibres: np.ndarray
    grain: np.ndarray
    clouds: np.ndarray

    @classmethod
    def draw(cls, edge_px: int, um_per_px: float, rng: np.random.Generator) -> "Textures":
        """Draw textures for images of up to `edge_px`."""
        edge = fft.next_fast_len(edge_px, real=True)
        noise = rng.standard_normal((2, edge, edge), dtype=np.float32)
        spectra = fft.rfft2(noise)
        y, x = fft.fftfreq(edge)[:, None], fft.rfftfreq(edge)[None, :]
        nest, cloud = (_filtered(spectra[0], _gaussian(x, y, um / um_per_px)) for um in (_NEST_UM, _CLOUD_UM))
        fibres = [_filtered(spectra[1], _streak(x, y, angle, um_per_px)) for angle in ORIENTATIONS]
        uniform = np.clip(special.ndtr(nest), 1e-4, 1 - 1e-4)
        gumbel = -np.log(-np.log(uniform)).astype(np.float32)
        quarter = edge // 2
        nests = np.stack([np.roll(gumbel, (i * quarter, j * quarter), axis=(0, 1)) for i in (0, 1) for j in (0, 1)])
        grain = ndimage.gaussian_filter(noise[0], 0.6, mode="wrap")
        return cls(nests, np.stack(fibres), grain / grain.std(), cloud)

    def cut(self, height: int, width: int, rng: np.random.Generator) -> "Textures":
        """Cut a piece from anywhere, the same place for all textures of a kind."""
        edge = self.grain.shape[0]

        def piece(texture: np.ndarray) -> np.ndarray:
            rows, columns = (np.arange(size) + rng.integers(edge) for size in (height, width))
            return texture[..., rows % edge, :][..., columns % edge]

        return Textures(piece(self.nests), piece(self.fibres), piece(self.grain), piece(self.clouds))


def _filtered(spectrum: np.ndarray, response: np.ndarray) -> np.ndarray:
    texture = fft.irfft2(spectrum * response.astype(np.float32), s=(spectrum.shape[0],) * 2)
    texture -= texture.mean()
    standardised: np.ndarray = (texture / texture.std()).astype(np.float32)
    return standardised


def _gaussian(x: np.ndarray, y: np.ndarray, sigma_px: float) -> np.ndarray:
    response: np.ndarray = np.exp(-2 * (np.pi * sigma_px) ** 2 * (x**2 + y**2))
    return response


def _streak(x: np.ndarray, y: np.ndarray, angle: float, um_per_px: float) -> np.ndarray:
    """Long along `angle`, thin across it, with no slow waves across."""
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    length, width = _FIBRE_UM[0] / um_per_px, max(_FIBRE_UM[1] / um_per_px, 0.7)
    fine = np.exp(-2 * np.pi**2 * ((along * length) ** 2 + (across * width) ** 2))
    slow = np.exp(-2 * (np.pi * 4 * width) ** 2 * across**2)
    response: np.ndarray = fine * (1 - 0.8 * slow)
    return response


def upsampled(nodes: np.ndarray, step: int, height: int, width: int) -> np.ndarray:
    """Linear interpolation of (..., rows, columns), known at every `step`-th pixel, at all pixels, float32."""
    nodes = np.asarray(nodes, dtype=np.float32)
    down, across = _weights(height, step, nodes.shape[-2]), _weights(width, step, nodes.shape[-1])
    dense: np.ndarray = down @ (nodes @ across.T)
    return dense


def _weights(size: int, step: int, n_nodes: int) -> np.ndarray:
    """(pixels, nodes) hat functions."""
    distance = np.abs(np.arange(size)[:, None] / step - np.arange(n_nodes)[None, :])
    weights: np.ndarray = np.maximum(0, 1 - distance).astype(np.float32)
    return weights
