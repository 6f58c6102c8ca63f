"""What image files say about their physical scale, and what of it to believe."""

import re
from pathlib import Path
from typing import Any, Final

from insignia.core.errors import FileFormatError

__all__ = ["believable", "square", "tiff_scale"]

_RANGE: Final = (0.02, 50.0)
_UM: Final = {"µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
_UM_PER_UNIT: Final = {2: 25_400.0, 3: 10_000.0}
"""Of the TIFF tag ResolutionUnit: inch and centimetre."""


def believable(um_per_px: object) -> float | None:
    """Return a scale that a microscope may have; a print resolution such as 72 dpi is no scale."""
    try:
        value = float(str(um_per_px))
    except ValueError:
        return None
    return value if _RANGE[0] <= value <= _RANGE[1] else None


def square(path: Path, across: float | None, down: float | None) -> float | None:
    """Return the scale of both sides, or refuse pixels that are not square."""
    if across is None or down is None:
        return across or down
    if abs(across - down) > 0.02 * max(across, down):
        raise FileFormatError(f"{path} has pixels of {across} x {down} um. Resample it to square ones first.")
    return (across + down) / 2


def tiff_scale(path: Path, page: Any, shrink: float = 1.0) -> float | None:
    """Read the scale of a TIFF page: Aperio, OME, ImageJ, or the resolution tags."""
    text = page.description[:100_000] if page.description else ""
    aperio = re.search(r"\bMPP\s*=\s*([\d.]+)", text)
    if aperio and (scale := believable(aperio[1])):
        return scale
    if "PhysicalSizeX" in text:
        return square(path, _ome(text, "X"), _ome(text, "Y"))
    sides = [_resolution(page, name, text) for name in ("XResolution", "YResolution")]
    return square(path, *(None if side is None else believable(side / shrink) for side in sides))


def _ome(text: str, axis: str) -> float | None:
    size = re.search(rf'PhysicalSize{axis}\s*=\s*"([\d.eE+-]+)"', text)
    unit = re.search(rf'PhysicalSize{axis}Unit\s*=\s*"([^"]+)"', text)
    factor = _UM.get(unit[1].replace("&#181;", "µ").replace("&#xB5;", "µ") if unit else "µm")
    try:
        return believable(float(size[1]) * factor) if size and factor else None
    except ValueError:
        return None


def _resolution(page: Any, name: str, text: str) -> float | None:
    tag = page.tags.get(name)
    try:
        numerator, denominator = tag.value
        per_unit = numerator / denominator
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):
        return None
    imagej = re.search(r"^unit=(\S+)", text, re.MULTILINE) if text.startswith("ImageJ=") else None
    unit = _UM.get(imagej[1].replace("\\u00B5", "µ")) if imagej else None
    if unit is None:
        tag = page.tags.get("ResolutionUnit")
        unit = _UM_PER_UNIT.get(int(tag.value)) if tag is not None else _UM_PER_UNIT[2]
    return unit / per_unit if unit and per_unit > 0 else None
