"""Bringing serial sections into one frame, and saying how well that went."""

from insignia.spatial.registration.landmarks import from_landmarks
from insignia.spatial.registration.register import register
from insignia.spatial.registration.table import registration_table

__all__ = ["from_landmarks", "register", "registration_table"]
