"""Pixels of section images: one source per kind of file, each read level by level and box by box."""

from insignia.data.pixels.array import ArrayPixels
from insignia.data.pixels.contract import Level, Pixels
from insignia.data.pixels.open import open_pixels

__all__ = ["ArrayPixels", "Level", "Pixels", "open_pixels"]
