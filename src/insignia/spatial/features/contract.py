"""What an image encoder must do: describe a patch of a stained section by numbers."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from insignia.core.errors import InputError, ModelError
from insignia.core.registry import Registry

__all__ = ["ImageEncoder", "find_encoder", "image_encoders"]


class ImageEncoder(ABC):
    """A way to describe square patches of an RGB image.

    Attributes
    ----------
    name
        What its features are called: ``obsm["X_" + name]``.
    fingerprint
        Hash of all that its numbers depend on, weights and preprocessing; equal fingerprints give equal features.
    patch_px
        Pixels along the side of the patches that it takes. How much tissue they show is the caller's choice.
    columns
        Names of the numbers that describe a patch.
    """

    name: str
    fingerprint: str
    patch_px: int
    columns: tuple[str, ...]

    def encode(self, patches: np.ndarray) -> np.ndarray:
        """Describe patches.

        Parameters
        ----------
        patches
            (patches, `patch_px`, `patch_px`, 3) uint8, RGB.

        Returns
        -------
        (patches, columns) float32; a row depends on its own patch only.

        Raises
        ------
        InputError
            The patches have another size or type.
        ModelError
            What came out is not finite.
        """
        side = self.patch_px
        if patches.ndim != 4 or patches.shape[1:] != (side, side, 3) or patches.dtype != np.uint8:
            raise InputError(
                f"{self.name} takes patches of (any number, {side}, {side}, 3) uint8, "
                f"found {patches.shape} {patches.dtype}."
            )
        if not len(patches):
            return np.empty((0, len(self.columns)), dtype=np.float32)
        features = np.asarray(self._encode(np.ascontiguousarray(patches)), dtype=np.float32)
        assert features.shape == (len(patches), len(self.columns)), f"{self.name} gave {features.shape}"
        if not np.isfinite(features).all():
            raise ModelError(
                f"{self.name} gave values that are not finite for {int((~np.isfinite(features).all(axis=1)).sum())} of "
                f"{len(patches)} patches. The weights may be damaged or of another model."
            )
        return features

    @abstractmethod
    def _encode(self, patches: np.ndarray) -> np.ndarray:
        """Describe a batch of at least one patch of the right size and type."""


image_encoders: Registry[Callable[[str], ImageEncoder]] = Registry(
    "image encoder", entry_point="insignia.image_encoders"
)
"""Makers of encoders: what stands behind the colon of ``"vit:PATH"`` is their argument."""


def find_encoder(encoder: str | ImageEncoder) -> ImageEncoder:
    """Return an encoder by name, such as ``"handcrafted"`` or ``"vit:PATH"``, or as it is.

    Raises
    ------
    UnknownName
        There is no such encoder.
    """
    if isinstance(encoder, ImageEncoder):
        return encoder
    name, _, argument = encoder.partition(":")
    return image_encoders[name](argument)
