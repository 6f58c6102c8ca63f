"""PNG and JPEG: decoded whole, JPEG also at a half, a quarter and an eighth of its size at a fraction of the cost."""

import struct
from pathlib import Path
from typing import Final

import numpy as np

from insignia.core.errors import FileFormatError
from insignia.core.optional import need
from insignia.data.pixels.cache import decoded
from insignia.data.pixels.colour import as_rgb, check_range
from insignia.data.pixels.contract import MAX_DECODED, Level, Pixels, check_declared, check_decoded

__all__ = ["RasterPixels"]

PNG: Final = b"\x89PNG\r\n\x1a\n"
JPEG: Final = b"\xff\xd8\xff"

_NO_FRAME: Final = (0xC4, 0xC8, 0xCC)
_HEADER: Final = 2**20
_TAIL: Final = 2**16


class RasterPixels(Pixels):
    """A PNG or JPEG file.

    Pixels are taken as they are stored: an orientation in EXIF is for viewers, and positions of spots do not follow it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        with path.open("rb") as file:
            header = file.read(_HEADER)
            file.seek(max(0, path.stat().st_size - _TAIL))
            tail = file.read()
        self._is_jpeg = header.startswith(JPEG)
        width, height = _jpeg_size(path, header) if self._is_jpeg else _png_size(path, header)
        check_declared(path, width, height)
        _refuse_cut_short(path, tail, b"\xff\xd9" if self._is_jpeg else b"IEND")
        shrinks = [1, 2, 4, 8] if self._is_jpeg else [1]
        sizes = [(-(-width // shrink), -(-height // shrink), float(shrink)) for shrink in shrinks]
        if all(width * height > MAX_DECODED for width, height, _ in sizes):
            check_decoded(path, width, height, "a picture")
        self.levels = tuple(Level(*size) for size in sizes)

    def read(self, level: int, left: int, top: int, width: int, height: int) -> np.ndarray:
        """Return a view of the box; the whole level is decoded and kept for a while."""
        whole = decoded.get((self.token, level), lambda: self._decode(level))
        return whole[top : top + height, left : left + width]

    def _decode(self, level: int) -> np.ndarray:
        assert self.path is not None
        cv2 = need("cv2", extra="spatial", purpose="Reading PNG and JPEG images")
        wanted = self.levels[level]
        check_decoded(self.path, wanted.width, wanted.height, "a picture")
        flags = cv2.IMREAD_UNCHANGED
        if self._is_jpeg:
            shrunk = {1: cv2.IMREAD_COLOR, **{k: getattr(cv2, f"IMREAD_REDUCED_COLOR_{k}") for k in (2, 4, 8)}}
            flags = shrunk[int(wanted.downsample)] | cv2.IMREAD_IGNORE_ORIENTATION
        try:
            pixels = cv2.imdecode(np.fromfile(self.path, dtype=np.uint8), flags)
        except cv2.error as error:
            raise FileFormatError(f"{self.path} could not be decoded: {error}. Fetch or write it again.") from error
        if pixels is None or pixels.shape[:2] != (wanted.height, wanted.width):
            found = "nothing" if pixels is None else f"{pixels.shape[1]} x {pixels.shape[0]} pixels"
            raise FileFormatError(
                f"{self.path} is damaged: its header promises {wanted.width} x {wanted.height} pixels and {found} "
                "could be decoded. Fetch or write it again."
            )
        if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
            turn = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
            cv2.cvtColor(pixels, turn, dst=pixels)
        check_range(self.path, pixels)
        return as_rgb(pixels, self.path)


def _png_size(path: Path, header: bytes) -> tuple[int, int]:
    if len(header) < 24 or header[12:16] != b"IHDR":
        raise FileFormatError(f"{path} begins like a PNG file but has no header. Was it cut short?")
    width, height = struct.unpack(">II", header[16:24])
    return width, height


def _jpeg_size(path: Path, header: bytes) -> tuple[int, int]:
    """Find the frame header, which is the only place where the size stands."""
    at = 2
    while at + 9 < len(header):
        if header[at] != 0xFF:
            break
        marker, length = header[at + 1], int.from_bytes(header[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME:
            height, width = struct.unpack(">HH", header[at + 5 : at + 9])
            if header[at + 9] not in (1, 3):
                raise FileFormatError(f"{path} is a JPEG with {header[at + 9]} inks (CMYK). Convert it to RGB.")
            return width, height
        at += 1 if marker == 0xFF else 2 + length
    raise FileFormatError(f"{path} begins like a JPEG file but holds no picture. Was it cut short?")


def _refuse_cut_short(path: Path, tail: bytes, end: bytes) -> None:
    # decoders fill the missing part with grey and say nothing
    if end not in tail:
        raise FileFormatError(f"{path} ends before its picture does. Fetch or write it again.")
