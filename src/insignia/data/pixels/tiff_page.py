"""One page of a TIFF file: which tiles or strips lie under a box, and their pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np

from insignia.core.errors import FileFormatError
from insignia.data.pixels.cache import decoded

__all__ = ["TiffPage"]


@dataclass(frozen=True, eq=False)
class TiffPage:
    """What is needed to read a page once its file is closed.

    Parameters
    ----------
    side
        (height, width) of one tile or strip.
    plane
        Which of the separately stored colours is read.
    decode
        Turns the bytes of one segment into pixels.
    offset
        Where the pixels begin if they lie there as they are, -1 otherwise.
    """

    path: Path
    token: str
    width: int
    height: int
    samples: int
    side: tuple[int, int]
    plane: int
    dtype: np.dtype[Any]
    stored: np.dtype[Any]
    is_inverted: bool
    decode: Callable[..., Any]
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    tables: bytes | None
    offset: int

    @classmethod
    def of(cls, path: Path, keyframe: Any, page: Any, plane: int) -> "TiffPage":
        """Take what is needed of a tifffile page; frames share all but their offsets with the key frame."""
        height, width = keyframe.imagelength, keyframe.imagewidth
        side = (keyframe.tilelength, keyframe.tilewidth) if keyframe.is_tiled else (keyframe.rowsperstrip, width)
        contiguous = keyframe.planarconfig == 1
        flat = bool(keyframe.is_memmappable) and bool(page.dataoffsets)
        return cls(
            path=path,
            token=uuid4().hex,
            width=width,
            height=height,
            samples=keyframe.samplesperpixel if contiguous else 1,
            side=(min(int(side[0]), height) if not keyframe.is_tiled else int(side[0]), int(side[1])),
            plane=plane,
            dtype=np.dtype(keyframe.dtype),
            stored=np.dtype(keyframe.dtype).newbyteorder(keyframe.parent.byteorder),
            is_inverted=int(keyframe.photometric) == 0,
            decode=keyframe.decode,
            offsets=tuple(page.dataoffsets),
            counts=tuple(page.databytecounts),
            tables=keyframe.jpegtables,
            offset=int(page.dataoffsets[0]) if flat else -1,
        )

    def read(self, file: BinaryIO, left: int, top: int, width: int, height: int) -> np.ndarray:
        """Return (height, width, samples) of a box."""
        if self.offset >= 0:
            box = self._read_flat(left, top, width, height)
        else:
            box = self._read_segments(file, left, top, width, height)
        if not self.is_inverted:
            return box
        return ~box if self.dtype == bool else np.iinfo(self.dtype).max - box

    def _read_flat(self, left: int, top: int, width: int, height: int) -> np.ndarray:
        shape = (self.height, self.width, self.samples)
        start = self.offset + self.plane * self.height * self.width * self.samples * self.stored.itemsize
        whole = np.memmap(self.path, dtype=self.stored, mode="r", offset=start, shape=shape)
        return np.array(whole[top : top + height, left : left + width], dtype=self.dtype)

    def _read_segments(self, file: BinaryIO, left: int, top: int, width: int, height: int) -> np.ndarray:
        empty = 0 if self.is_inverted else 1 if self.dtype == bool else np.iinfo(self.dtype).max
        box = np.full((height, width, self.samples), empty, dtype=self.dtype)
        high, wide = self.side
        columns, rows = -(-self.width // wide), -(-self.height // high)
        for row in range(top // high, (top + height - 1) // high + 1):
            for column in range(left // wide, (left + width - 1) // wide + 1):
                segment = self._segment(file, (self.plane * rows + row) * columns + column)
                if segment is not None:
                    _paste(segment, box, row * high - top, column * wide - left)
        return box

    def _segment(self, file: BinaryIO, index: int) -> np.ndarray | None:
        if index >= len(self.offsets) or index >= len(self.counts):
            raise FileFormatError(
                f"{self.path} lists {len(self.offsets)} tiles or strips and needs number {index + 1}."
            )
        if not self.counts[index]:
            return None
        return decoded.get((self.token, index), lambda: self._decode(file, index))

    def _decode(self, file: BinaryIO, index: int) -> np.ndarray:
        file.seek(self.offsets[index])
        packed = file.read(self.counts[index])
        if len(packed) < self.counts[index]:
            raise FileFormatError(f"{self.path} ends before its pixels do. Fetch or write it again.")
        pixels, _, _ = self.decode(packed, index, jpegtables=self.tables)
        if pixels is None or pixels.ndim != 4 or pixels.shape[0] != 1 or pixels.shape[3] != self.samples:
            raise FileFormatError(f"{self.path} holds a tile or strip, number {index}, that is not what was declared.")
        # a copy, because decoders may hand out buffers that they use again
        return np.array(pixels[0])


def _paste(segment: np.ndarray, box: np.ndarray, top: int, left: int) -> None:
    """Copy the part of a segment that lies in the box, whose corner is the origin."""
    first_row, first_column = max(0, top), max(0, left)
    last_row, last_column = min(len(box), top + len(segment)), min(box.shape[1], left + segment.shape[1])
    if first_row < last_row and first_column < last_column:
        box[first_row:last_row, first_column:last_column] = segment[
            first_row - top : last_row - top, first_column - left : last_column - left
        ]
