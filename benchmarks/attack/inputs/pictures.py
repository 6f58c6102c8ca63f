"""Pictures of sections: PNG, JPEG and TIFF that are cut, damaged, odd, or made to exhaust memory."""

import io
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from tests.lookalikes import section_folders

from benchmarks.attack.case import Case
from benchmarks.attack.mutations import damaged

__all__ = ["cases"]

LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij", strict=True))
    + ']><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image>&j;</Image></OME>'
)
FEATURES = ("spatial", "features", "stack", "-o", "out", "--scale-um", "200")
CHECK = ("spatial", "check", "stack")

Make = Callable[[], bytes]


def cases(folder: Path, rng: np.random.Generator, amount: int) -> list[Case]:
    """Put other pictures in the place of a section's own, and describe what is around its spots."""
    planted = section_folders.stutility(folder / "stack")["m1"].picture
    for name in ("m2.tsv", "m2.png", "alignment_table_m2.tsv"):
        (folder / "stack" / name).unlink()
    sound = {name: make() for name, make in _sound(planted).items()}
    made = []
    for name, content in sound.items():
        must = "either" if "turned" in name or "tiny" in name else "answer"
        made.append(_case(folder, name, name, lambda content=content: content, FEATURES, must=must))
        for _ in range(amount):
            what, broken = damaged(content, rng)
            made.append(_case(folder, f"{name} {what}", name, lambda broken=broken: broken, FEATURES))
    for name, make in {**_odd_png(planted), **_odd_jpeg(planted), **_odd_tiff(planted)}.items():
        made += [_case(folder, f"{name}, {how[1]}", name, make, how, seconds=60) for how in (FEATURES, CHECK)]
    made += [_placed(folder, what, put) for what, put in _odd_places()]
    return made


def _case(folder: Path, name: str, file: str, make: Make, command: Sequence[str], **what: Any) -> Case:
    suffix = Path(file.split(" ")[0]).suffix

    def prepare(place: Path) -> Sequence[str]:
        shutil.copytree(folder / "stack", place / "stack")
        (place / "stack" / "m1.png").unlink()
        (place / "stack" / f"m1{suffix}").write_bytes(make())
        return command

    return Case(name, prepare, **what)


def _placed(folder: Path, name: str, put: Callable[[Path], object]) -> Case:
    def prepare(place: Path) -> Sequence[str]:
        shutil.copytree(folder / "stack", place / "stack")
        put(place / "stack" / "m1.png")
        return FEATURES

    return Case(f"picture is {name}", prepare, seconds=20)


def _odd_places() -> Iterator[tuple[str, Callable[[Path], object]]]:
    yield "a folder", lambda path: (path.unlink(), path.mkdir())
    yield "a pipe", lambda path: (path.unlink(), os.mkfifo(path))
    yield "empty", lambda path: path.write_bytes(b"")
    yield "a link out of the folder", lambda path: (shutil.move(path, path.parents[1] / "x"), path.symlink_to("../x"))
    yield "a link to itself", lambda path: (path.unlink(), path.symlink_to(path.name))
    yield "a link to nothing", lambda path: (path.unlink(), path.symlink_to("nowhere"))
    yield "a device", lambda path: (path.unlink(), path.symlink_to("/dev/zero"))
    yield "of an endless process", lambda path: (path.unlink(), path.symlink_to("/proc/kmsg"))


def _encoded(suffix: str, picture: np.ndarray, *options: int) -> bytes:
    is_ok, content = cv2.imencode(suffix, picture[:, :, ::-1] if picture.ndim == 3 else picture, list(options))
    assert is_ok
    return content.tobytes()


def _tiff(picture: np.ndarray, *, ome: bool = False, **options: Any) -> bytes:
    made = io.BytesIO()
    with tifffile.TiffWriter(made, ome=ome) as file:
        file.write(picture, **{"photometric": "rgb", "metadata": None, **options})
    return made.getvalue()


def _pyramid(picture: np.ndarray) -> bytes:
    made = io.BytesIO()
    options = {"photometric": "rgb", "tile": (64, 64), "compression": "zlib", "metadata": None}
    with tifffile.TiffWriter(made) as file:
        file.write(picture, subifds=2, **options)
        for shrink in (2, 4):
            file.write(picture[::shrink, ::shrink], subfiletype=1, **options)
    return made.getvalue()


def _sound(picture: np.ndarray) -> dict[str, Make]:
    grey, deep = picture[:, :, 0], picture.astype(np.uint16) * 257
    return {
        "a.png": lambda: _encoded(".png", picture),
        "a.png grey": lambda: _encoded(".png", grey),
        "a.png deep": lambda: _encoded(".png", deep),
        "a.png turned": lambda: _encoded(".png", np.rot90(picture)),
        "a.png tiny": lambda: _encoded(".png", picture[:1, :1]),
        "a.jpg": lambda: _encoded(".jpg", picture),
        "a.jpg progressive": lambda: _encoded(".jpg", picture, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "a.tif": lambda: _tiff(picture),
        "a.tif tiles": lambda: _tiff(picture, tile=(64, 64), compression="zlib"),
        "a.tif deep": lambda: _tiff(deep, tile=(64, 64)),
        "a.tif jpeg": lambda: _tiff(picture, tile=(64, 64), compression="jpeg"),
        "a.tif ome": lambda: _tiff(picture, ome=True, tile=(64, 64), metadata={"axes": "YXS"}),
        "a.tif pyramid": lambda: _pyramid(picture),
    }


def _png_of(width: int, height: int, *, depth: int = 8, kind: int = 2, data: bytes = b"", more: bytes = b"") -> bytes:
    """Return a PNG file with sound checksums, whatever its header says."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    rest = chunk(b"IDAT", data or zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + (chunk(b"zTXt", more) if more else b"") + rest


def _odd_png(picture: np.ndarray) -> dict[str, Make]:
    plain = _encoded(".png", picture)
    sizes = {"a million": 10**6, "all bits": 2**32 - 1, "thirty thousand": 30_000, "none": 0, "negative": 2**31}
    bomb = zlib.compress(bytes(2**24), 9)
    return {
        **{f"a.png of {what} on a side": lambda n=n: _png_of(n, n) for what, n in sizes.items()},
        "a.png of one line": lambda: _png_of(2**31 - 1, 1),
        "a.png with a text of gigabytes": lambda: _png_of(300, 300, more=b"a\0\0" + bomb * 64),
        "a.png that unpacks to more": lambda: _png_of(8, 8, data=zlib.compress(bytes(2**28), 9)),
        "a.png of unknown depth": lambda: _png_of(300, 300, depth=7),
        "a.png of unknown kind": lambda: _png_of(300, 300, kind=5),
        "a.png of a palette without one": lambda: _png_of(300, 300, kind=3),
        "a.png without pixels": lambda: plain[:33] + plain[-12:],
        "a.png cut": lambda: plain[: len(plain) // 2],
        "a.png cut with an end": lambda: plain[: len(plain) // 2] + plain[-12:],
        "a.png of a JPEG": lambda: _encoded(".jpg", picture),
        "a.png of twelve bits": lambda: _encoded(".png", picture.astype(np.uint16) * 8),
        "a.png transparent": lambda: _encoded(".png", np.zeros((*picture.shape[:2], 4), np.uint8)),
    }


def _odd_jpeg(picture: np.ndarray) -> dict[str, Make]:
    plain = _encoded(".jpg", picture)
    at = plain.index(b"\xff\xc0")

    def sized(width: int, height: int, inks: int = 3) -> bytes:
        return plain[: at + 5] + struct.pack(">HHB", height, width, inks) + plain[at + 10 :]

    return {
        "a.jpg of all bits": lambda: sized(65535, 65535),
        "a.jpg without lines": lambda: sized(picture.shape[1], 0),
        "a.jpg of four inks": lambda: sized(picture.shape[1], picture.shape[0], 4),
        "a.jpg of one more ink": lambda: sized(picture.shape[1], picture.shape[0], 1),
        "a.jpg of other sides": lambda: sized(picture.shape[0], picture.shape[1]),
        "a.jpg cut": lambda: plain[: len(plain) // 2],
        "a.jpg cut with an end": lambda: plain[: len(plain) // 2] + b"\xff\xd9",
        "a.jpg of marks": lambda: b"\xff\xd8" + b"\xff" * 2_000_000 + b"\xff\xd9",
        "a.jpg of empty segments": lambda: b"\xff\xd8" + b"\xff\xe0\0\0" * 500_000 + b"\xff\xd9",
    }


def _retagged(content: bytes, **tags: Any) -> bytes:
    """Overwrite tags of the first page, all of the same length in the file."""
    made = io.BytesIO(content)
    with tifffile.TiffFile(made, mode="r+") as file:
        for name, value in tags.items():
            file.pages.first.tags[name].overwrite(value)
    return made.getvalue()


def _looped(content: bytes) -> bytes:
    """Let the first page be followed by itself."""
    first = struct.unpack("<I", content[4:8])[0]
    count = struct.unpack("<H", content[first : first + 2])[0]
    end = first + 2 + 12 * count
    return content[:end] + struct.pack("<I", first) + content[end + 4 :]


def _many_pages() -> bytes:
    made = io.BytesIO()
    with tifffile.TiffWriter(made) as file:
        for _ in range(3000):
            file.write(np.zeros((2, 2), np.uint8), photometric="minisblack", metadata=None)
    return made.getvalue()


def _odd_tiff(picture: np.ndarray) -> dict[str, Make]:
    plain, tiled = _tiff(picture), _tiff(picture, tile=(64, 64), compression="zlib")
    side = {"ImageWidth": 10**6, "ImageLength": 10**6}
    big, grey = np.zeros((16384, 16384), np.uint8), {"photometric": "minisblack"}
    return {
        "a.tif of a million on a side": lambda: _retagged(plain, **side),
        "a.tif of a million on a side, tiles": lambda: _retagged(tiled, **side),
        "a.tif of all bits": lambda: _retagged(tiled, ImageWidth=2**32 - 1, ImageLength=2**32 - 1),
        "a.tif without width": lambda: _retagged(tiled, ImageWidth=0),
        "a.tif of huge tiles": lambda: _retagged(tiled, TileWidth=2**20, TileLength=2**20),
        "a.tif of no tiles": lambda: _retagged(tiled, TileWidth=0),
        "a.tif of seven inks": lambda: _retagged(plain, SamplesPerPixel=7),
        "a.tif of 65535 inks": lambda: _retagged(tiled, SamplesPerPixel=65535),
        "a.tif of unknown packing": lambda: _retagged(tiled, Compression=60000),
        "a.tif of other packing": lambda: _retagged(tiled, Compression=7),
        "a.tif of other colours": lambda: _retagged(tiled, PhotometricInterpretation=5),
        "a.tif that unpacks to much": lambda: _tiff(big, tile=(16384, 16384), compression="zlib", **grey),
        "a.tif of real numbers": lambda: _tiff(picture.astype(np.float32)),
        "a.tif of NaN": lambda: _tiff(np.full(picture.shape, np.nan, np.float32)),
        "a.tif of bytes with sign": lambda: _tiff(picture.astype(np.int8)),
        "a.tif of nine channels": lambda: _tiff(np.zeros((9, 64, 64), np.uint8), **grey),
        "a.tif of a stack": lambda: _tiff(np.zeros((5, 4, 64, 64), np.uint8), **grey),
        "a.tif in a circle": lambda: _looped(plain),
        "a.tif of many pages": _many_pages,
        "a.tif with laughs": lambda: _tiff(picture, description=LAUGHS, tile=(64, 64)),
        "a.tif with broken OME": lambda: _tiff(picture, description=LAUGHS[:300], tile=(64, 64)),
        "a.tif with a long text": lambda: _tiff(picture, description="MPP = " + "9" * 5_000_000),
        "a.tif of no resolution": lambda: _tiff(picture, resolution=(0, 0)),
        "a.tif of endless resolution": lambda: _tiff(picture, description="MPP = 1e400|MPP = nan"),
        "a.tif cut": lambda: plain[: len(plain) // 2],
        "a.tif of a header": lambda: plain[:8],
        "a.tif of one pixel": lambda: _tiff(picture[:1, :1]),
        "a.btf of TIFF": lambda: tiled,
        "a.svs of TIFF": lambda: tiled,
        "a.ndpi of TIFF": lambda: tiled,
        "a.mrxs of TIFF": lambda: tiled,
        "a.dcm of nothing": lambda: bytes(200),
    }
