"""TIFF of the kinds that scanners and programs write: exact pixels, no more decoding than needed, scales, refusals."""

import random
import struct

import numpy as np
import pytest

from insignia.core.errors import FileFormatError, InputError, InsigniaError
from insignia.data import SectionImage
from insignia.data.pixels.tiff_page import TiffPage

tifffile = pytest.importorskip("tifffile", reason="images need the extra 'spatial'")
pytest.importorskip("imagecodecs", reason="images need the extra 'spatial'")
cv2 = pytest.importorskip("cv2", reason="images need the extra 'spatial'")


def noise(height=150, width=190, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


PIXELS = noise()
GREY = PIXELS[:, :, 0]
DEEP = (PIXELS.astype(np.uint16) << 8) + (255 - PIXELS)
ALPHA = np.dstack([PIXELS, np.where(GREY > 128, 255, 0).astype(np.uint8)])

KINDS = {
    "plain": (PIXELS, {"photometric": "rgb"}),
    "strips": (PIXELS, {"photometric": "rgb", "rowsperstrip": 16, "compression": "zlib"}),
    "tiles": (PIXELS, {"photometric": "rgb", "tile": (64, 32), "compression": "zlib"}),
    "lzw": (PIXELS, {"photometric": "rgb", "tile": (64, 64), "compression": "lzw", "predictor": True}),
    "planar": (PIXELS.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}),
    "planar tiles": (
        PIXELS.transpose(2, 0, 1),
        {"photometric": "rgb", "planarconfig": "separate", "tile": (32, 64), "compression": "zlib"},
    ),
    "big endian": (PIXELS, {"photometric": "rgb", "byteorder": ">"}),
    "deep": (DEEP, {"photometric": "rgb"}),
    "deep big endian": (DEEP, {"photometric": "rgb", "byteorder": ">", "tile": (64, 64)}),
    "deep big endian plain": (DEEP, {"photometric": "rgb", "byteorder": ">"}),
    "bigtiff": (PIXELS, {"photometric": "rgb", "bigtiff": True, "tile": (64, 64), "compression": "zstd"}),
    "rgba": (ALPHA, {"photometric": "rgb", "extrasamples": ["unassalpha"], "tile": (64, 64), "compression": "zlib"}),
    "grey": (GREY, {"photometric": "minisblack"}),
    "inverted": (255 - GREY, {"photometric": "miniswhite", "tile": (64, 64), "compression": "zlib"}),
    "bits": (GREY > 128, {"photometric": "minisblack"}),
    "ome": (PIXELS, {"photometric": "rgb", "ome": True, "tile": (64, 64)}),
    "ome channels": (
        PIXELS.transpose(2, 0, 1),
        {"photometric": "minisblack", "ome": True, "metadata": {"axes": "CYX"}},
    ),
}
EXPECTED = {
    "rgba": np.where(GREY[:, :, None] > 128, PIXELS, 255),
    "grey": GREY[:, :, None],
    "inverted": GREY[:, :, None],
    "bits": (GREY > 128)[:, :, None] * 255,
}


def write(path, array, *, byteorder=None, bigtiff=False, ome=False, **options):
    with tifffile.TiffWriter(path, byteorder=byteorder, bigtiff=bigtiff, ome=ome) as file:
        file.write(array, **options)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_of_every_kind(tmp_path, kind):
    array, options = KINDS[kind]
    image = SectionImage(write(tmp_path / "a.tif", array, **options), 1.0)
    expected = np.broadcast_to(EXPECTED.get(kind, PIXELS), PIXELS.shape)
    assert (image.pixels == expected).all()
    # a box that cuts through tiles, strips and the border
    assert (image.source.read(0, 50, 60, 140, 90) == expected[60:150, 50:190]).all()


def pyramid(path, *, compression="zlib"):
    base = cv2.resize(noise(40, 50), (800, 640), interpolation=cv2.INTER_CUBIC)
    with tifffile.TiffWriter(path) as file:
        options = {"photometric": "rgb", "tile": (64, 64), "compression": compression}
        file.write(base, subifds=2, resolution=(4e4, 4e4), resolutionunit="CENTIMETER", **options)
        for shrink in (4, 16):
            small = base.reshape(640 // shrink, shrink, 800 // shrink, shrink, 3).mean(axis=(1, 3))
            file.write(small.round().astype(np.uint8), subfiletype=1, **options)
    return base


def test_a_pyramid_is_read_at_the_level_that_suffices(tmp_path, monkeypatch):
    base = pyramid(tmp_path / "a.tif")
    image = SectionImage.open(tmp_path / "a.tif")
    assert image.um_per_px == 0.25
    assert [level.downsample for level in image.source.levels] == [1, 4, 16]
    decoded, decode = [], TiffPage._decode

    def watch(page, file, index):
        decoded.append(page.width)
        return decode(page, file, index)

    monkeypatch.setattr(TiffPage, "_decode", watch)
    exact = SectionImage(base, 0.25)
    assert np.abs(image.at(4.0).astype(int) - exact.at(4.0)).max() <= 1
    assert set(decoded) == {50}
    decoded.clear()
    # 40 um at 1 um per pixel are 40 pixels of the second level: four of its tiles at most
    image.patches(np.array([[64.0, 64.0]]), 40.0, 40)
    assert set(decoded) == {200}
    assert len(decoded) <= 4
    decoded.clear()
    patch = image.patches(np.array([[64.0, 64.0]]), 16.0, 64)[0]
    assert (patch == base[224:288, 224:288]).all()
    assert set(decoded) == {800}
    assert len(decoded) <= 4


def test_tiles_that_were_never_written_are_white(tmp_path):
    path = write(tmp_path / "a.tif", PIXELS, photometric="rgb", tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as file:
        counts = list(file.pages[0].databytecounts)
        counts[0] = 0
        file.pages[0].tags["TileByteCounts"].overwrite(counts)
    pixels = SectionImage(path, 1.0).pixels
    assert (pixels[:64, :64] == 255).all()
    assert (pixels[64:] == PIXELS[64:]).all()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}, 0.5),
        ({"resolution": (50800, 50800), "resolutionunit": "INCH"}, 0.5),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({"description": "Aperio Image Library v11\r\n2220x2967 |AppMag = 20|MPP = 0.4990|Left = 2"}, 0.499),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.325, "PhysicalSizeY": 0.325}}, 0.325),
        (
            {
                "ome": True,
                "metadata": {
                    "PhysicalSizeX": 325,
                    "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 325,
                    "PhysicalSizeYUnit": "nm",
                },
            },
            0.325,
        ),
        ({"resolution": (2.0, 2.0), "description": "ImageJ=1.53\nunit=micron\n"}, 0.5),
        ({}, None),
    ],
)
def test_scales_in_files(tmp_path, options, expected):
    if "description" in options or "resolution" in options:
        options = {**options, "metadata": None}
    path = write(tmp_path / "a.tif", PIXELS, photometric="rgb", **options)
    if expected is None:
        with pytest.raises(InputError, match="says nothing about its scale"):
            SectionImage.open(path)
    else:
        assert SectionImage.open(path).um_per_px == pytest.approx(expected)
    assert SectionImage.open(path, 3.0).um_per_px == 3.0


@pytest.mark.parametrize(
    ("array", "options", "match"),
    [
        (PIXELS.astype(np.float32), {"photometric": "rgb"}, "float32 pixels"),
        (PIXELS.astype(np.uint16) * 15, {"photometric": "rgb"}, "16 bits a colour of which it uses 12"),
        (np.zeros((5, 40, 40), np.uint8), {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}, "axes ZYX"),
        (
            np.zeros((4, 40, 40), np.uint8),
            {"photometric": "minisblack", "ome": True, "metadata": {"axes": "CYX"}},
            "4 channels",
        ),
        (
            np.zeros((40, 40, 4), np.uint8),
            {"photometric": "separated", "extrasamples": []},
            "colours of kind SEPARATED",
        ),
        (GREY, {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}, "colours of kind PALETTE"),
        (PIXELS, {"photometric": "rgb", "resolution": (10000, 20000), "resolutionunit": "CENTIMETER"}, "1.0 x 0.5 um"),
    ],
)
def test_kinds_that_are_no_section_are_refused(tmp_path, array, options, match):
    path = write(tmp_path / "a.tif", array, **options)
    with pytest.raises(FileFormatError, match=match):
        SectionImage(path, 1.0)


def change_tag(path, code, value):
    """Overwrite the inline value of a tag of the first page."""
    data = bytearray(path.read_bytes())
    at = struct.unpack_from("<I", data, 4)[0]
    for entry in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] == code:
            struct.pack_into("<HHII", data, entry, code, 4, 1, value)
    path.write_bytes(data)
    return path


def test_sizes_that_are_not_believed(tmp_path):
    tiled = write(tmp_path / "a.tif", PIXELS, photometric="rgb", tile=(64, 64), compression="zlib")
    change_tag(change_tag(tiled, 256, 2**20), 257, 2**20)
    with pytest.raises(FileFormatError, match="more than the 1e\\+11 that is believed"):
        SectionImage(tiled, 1.0)
    strip = write(tmp_path / "b.tif", PIXELS, photometric="rgb", rowsperstrip=150, compression="zlib")
    change_tag(change_tag(strip, 256, 2**17), 278, 2**17)
    change_tag(strip, 257, 2**17)
    with pytest.raises(FileFormatError, match="only be decoded in one go"):
        SectionImage(strip, 1.0)
    many = write(tmp_path / "c.tif", PIXELS, photometric="rgb", tile=(64, 64), compression="zlib")
    change_tag(change_tag(many, 256, 40_000), 257, 40_000)
    image = SectionImage(many, 1.0)
    with pytest.raises(InputError, match="Ask for a coarser resolution"):
        _ = image.pixels
    with pytest.raises(FileFormatError, match="tiles or strips and needs number"):
        image.patches(np.array([[30_000.0, 30_000.0]]), 64.0, 64)


def test_a_file_that_is_cut_short_is_refused(tmp_path):
    for name, options in (("a", {"tile": (64, 64), "compression": "zlib"}), ("b", {})):
        path = write(tmp_path / f"{name}.tif", PIXELS, photometric="rgb", **options)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - 20_000])
        with pytest.raises(FileFormatError, match=r"ends before its pixels do|could not be read as TIFF"):
            _ = SectionImage(path, 1.0).pixels


def mutated(data, rng):
    """Cut short, overwrite in the header or anywhere, or drop some bytes."""
    at = rng.randrange(min(len(data), rng.choice([64, 600, len(data)])))
    junk = bytes(rng.choice([0, 1, 127, 255, rng.randrange(256)]) for _ in range(rng.choice([1, 2, 4, 8])))
    return rng.choice([data[:at], data[:at] + junk + data[at + len(junk) :], data[:at] + data[at + 5 :]])


def images(folder):
    pyramid(folder / "p.tif", compression="jpeg")
    for name in ("plain", "strips", "tiles", "planar", "ome"):
        array, options = KINDS[name]
        write(folder / f"{name}.tif", array, **options)
    cv2.imwrite(str(folder / "a.png"), PIXELS)
    cv2.imwrite(str(folder / "a.jpg"), PIXELS)
    return sorted(folder.iterdir())


@pytest.mark.parametrize("tries", [120, pytest.param(3000, marks=pytest.mark.full)])
def test_damaged_images_are_read_or_refused(tmp_path, tries):
    rng = random.Random(tries)
    (tmp_path / "in").mkdir()
    whole = [(path.suffix, path.read_bytes()) for path in images(tmp_path / "in")]
    outcomes = {"read": 0, "refused": 0}
    for _ in range(tries):
        suffix, data = rng.choice(whole)
        path = tmp_path / f"x{suffix}"
        path.write_bytes(mutated(data, rng))
        try:
            image = SectionImage(path, 1.0)
            image.at(max(2.0, image.size_um[0] / 50))
            image.patches(np.array([[50.0, 40.0]]), 30.0, 30)
            outcomes["read"] += 1
        except InsigniaError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > tries / 10
