"""Pictures of sections: exact averages, patches, and what is refused."""

import struct
import zlib

import numpy as np
import pytest

from insignia.core.errors import FileFormatError, InputError
from insignia.data import SectionImage
from insignia.data.pixels.cache import ArrayCache
from insignia.data.pixels.contract import Level, Pixels

cv2 = pytest.importorskip("cv2", reason="images need the extra 'spatial'")
tifffile = pytest.importorskip("tifffile", reason="images need the extra 'spatial'")


def noise(height=61, width=83, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height=256, width=320):
    """Colours without edges, which JPEG keeps."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 0.6, y * 0.8, 128 + 60 * np.sin(x / 30)], axis=2).clip(0, 255).astype(np.uint8)


def exact_average(pixels, numerator, denominator, height, width):
    """Average to pixels of numerator/denominator, by repeating every pixel and averaging whole blocks, white beyond."""
    fine = pixels.repeat(denominator, axis=0).repeat(denominator, axis=1)
    canvas = np.full((height * numerator, width * numerator, 3), 255.0)
    canvas[: len(fine), : fine.shape[1]] = fine
    return canvas.reshape(height, numerator, width, numerator, 3).mean(axis=(1, 3))


@pytest.mark.parametrize(("numerator", "denominator"), [(2, 1), (7, 5), (3, 1), (10, 3), (1, 2), (3, 4)])
def test_a_coarser_picture_is_the_exact_area_average(numerator, denominator):
    pixels = noise()
    image = SectionImage(pixels, 0.5)
    coarse = image.at(0.5 * numerator / denominator)
    height, width = (-(-side * denominator // numerator) for side in pixels.shape[:2])
    assert coarse.shape == (height, width, 3)
    assert np.abs(coarse - exact_average(pixels, numerator, denominator, height, width)).max() <= 0.51


def test_bands_join_without_a_seam(monkeypatch):
    pixels = noise(200, 90)
    whole = SectionImage(pixels, 1.0).at(2.3)
    monkeypatch.setattr("insignia.data.pixels.resample._BAND", 90 * 3 * 7)
    assert (SectionImage(pixels, 1.0).at(2.3) == whole).all()


def test_a_resolution_is_averaged_once_and_cannot_be_written_into():
    image = SectionImage(noise(), 1.0)
    assert image.at(2.0) is image.at(2.0)
    for um_per_px in (1.0, 2.0):
        with pytest.raises(ValueError, match="read-only"):
            image.at(um_per_px)[0] = 0


def test_the_cache_forgets_the_oldest_but_never_the_newest():
    cache, made = ArrayCache(250), []

    def make(size):
        made.append(size)
        return np.zeros(size, dtype=np.uint8)

    for key, size in (
        ("a", 100),
        ("b", 100),
        ("a", 100),
        ("c", 100),
        ("a", 100),
        ("b", 100),
        ("huge", 1000),
        ("huge", 1),
    ):
        cache.get(key, lambda size=size: make(size))
    assert made == [100, 100, 100, 100, 1000]
    assert cache.bytes == 1000


def test_a_patch_is_half_open_and_exact():
    pixels = noise()
    image = SectionImage(pixels, 0.5)
    patch = image.patches(np.array([[20.0, 15.0]]), 8.0, 16)[0]
    # 8 um are 16 px: columns 32..47 and rows 22..37
    assert (patch == pixels[22:38, 32:48]).all()


@pytest.mark.parametrize(("size_um", "out_px"), [(16.0, 8), (20.0, 5), (11.0, 6), (4.0, 16), (24.0, 3)])
def test_a_patch_averages_the_square_it_covers(size_um, out_px):
    pixels = noise(120, 140)
    image = SectionImage(pixels, 0.5)
    centres = np.array([[30.0, 25.0], [41.5, 33.25], [22.125, 37.0]])
    patches = image.patches(centres, size_um, out_px)
    step = size_um / out_px / 0.5
    for centre, patch in zip(centres, patches, strict=True):
        left, top = (centre - size_um / 2) / 0.5
        for row in range(out_px):
            for column in range(out_px):
                fine = integral(pixels, left + column * step, top + row * step, step)
                # halved levels are rounded to bytes, and edges between their pixels may cut through an average
                assert np.abs(patch[row, column] - fine).max() <= (0.51 if step < 2 else 45)


def integral(pixels, left, top, side):
    """Mean over a square with fractional borders, summed pixel by pixel."""
    total = np.zeros(3)
    for y in range(int(np.floor(top)), int(np.ceil(top + side))):
        for x in range(int(np.floor(left)), int(np.ceil(left + side))):
            share = (min(x + 1, left + side) - max(x, left)) * (min(y + 1, top + side) - max(y, top))
            total += max(0.0, share) * pixels[y, x]
    return total / side**2


def test_patches_are_white_where_they_leave_the_slide():
    pixels = np.zeros((40, 40, 3), dtype=np.uint8)
    image = SectionImage(pixels, 1.0)
    corner, outside = image.patches(np.array([[0.0, 40.0], [-1e6, 1e9]]), 10.0, 10)
    assert (outside == 255).all()
    assert (corner[:5, 5:] == 0).all()
    assert (corner[5:] == 255).all()
    assert (corner[:, :5] == 255).all()


def test_batches_are_the_patches():
    image = SectionImage(noise(), 1.0)
    centres = np.random.default_rng(1).uniform(0, 80, (11, 2))
    batches = list(image.patch_batches(centres, 20.0, 7, batch=4))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    assert (np.concatenate(batches) == image.patches(centres, 20.0, 7)).all()
    assert image.patches(centres[:0], 20.0, 7).shape == (0, 7, 7, 3)


class Watched(Pixels):
    """A pyramid that remembers what is read."""

    def __init__(self, shrinks=(1, 4, 16)):
        super().__init__()
        self.whole = [smooth(512, 512)[:: int(s), :: int(s)] for s in shrinks]
        self.levels = tuple(Level(w.shape[1], w.shape[0], float(s)) for w, s in zip(self.whole, shrinks, strict=True))
        self.reads = []

    def read(self, level, left, top, width, height):
        self.reads.append((level, width * height))
        return self.whole[level][top : top + height, left : left + width]


def test_no_finer_level_is_read_than_suffices():
    source = Watched()
    image = SectionImage(source, 0.25)
    image.at(1.0)
    image.at(3.9)
    assert {level for level, _ in source.reads} == {1}
    source.reads.clear()
    image.patches(np.array([[64.0, 64.0]]), 32.0, 8)
    assert [level for level, _ in source.reads] == [2]
    source.reads.clear()
    image.patches(np.array([[64.0, 64.0]]), 16.0, 64)
    assert source.reads == [(0, 64 * 64)]


@pytest.mark.parametrize("centres", [np.zeros((2, 3)), np.array([[np.nan, 0.0]]), np.zeros(2)])
def test_centres_that_are_no_points_are_refused(centres):
    with pytest.raises(InputError, match="Centres of patches must be finite and"):
        SectionImage(noise(), 1.0).patches(centres, 10.0, 5)


def test_arrays_and_scales_that_cannot_be_are_refused():
    for wrong in (
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((0, 4, 3), np.uint8),
    ):
        with pytest.raises(InputError, match="height, width, 3"):
            SectionImage(wrong, 1.0)
    for scale in (0, -1, np.nan, np.inf):
        with pytest.raises(InputError, match="um_per_px must be positive"):
            SectionImage(noise(), scale)
        with pytest.raises(InputError, match="um_per_px must be positive"):
            SectionImage(noise(), 1.0).at(scale)
    with pytest.raises(InputError, match="Patches need a positive size"):
        SectionImage(noise(), 1.0).patches(np.zeros((1, 2)), 0.0, 5)
    with pytest.raises(InputError, match="at most 536,870,912 are"):
        SectionImage(noise(), 1.0).at(1e-4)


def test_png_is_read_exactly_and_of_every_kind(tmp_path):
    pixels = noise()
    grey = pixels[:, :, 0]
    alpha = np.dstack([pixels[:, :, ::-1], np.where(grey > 128, 255, 0)])
    kinds = {"rgb": pixels[:, :, ::-1], "grey": grey, "rgba": alpha, "deep": grey.astype(np.uint16) * 257}
    for name, array in kinds.items():
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), array)
    read = {name: SectionImage(tmp_path / f"{name}.png", 1.0).pixels for name in kinds}
    assert (read["rgb"] == pixels).all()
    assert (read["grey"] == grey[:, :, None]).all()
    assert (read["deep"] == grey[:, :, None]).all()
    assert (read["rgba"] == np.where(grey[:, :, None] > 128, pixels, 255)).all()


def test_jpeg_is_decoded_at_the_size_that_suffices(tmp_path, monkeypatch):
    pixels = smooth()
    cv2.imwrite(str(tmp_path / "a.jpg"), pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    image = SectionImage(tmp_path / "a.jpg", 1.0)
    assert [level.downsample for level in image.source.levels] == [1, 2, 4, 8]
    assert np.abs(image.pixels.astype(int) - pixels).mean() < 2
    exact = SectionImage(pixels, 1.0)
    for um_per_px in (2.0, 4.0, 5.0, 16.0):
        assert np.abs(image.at(um_per_px).astype(int) - exact.at(um_per_px)).mean() < 2
    monkeypatch.setattr(type(image.source), "_decode", lambda self, level: pytest.fail(f"decoded level {level} again"))
    image.at(8.0 * 3)


def test_a_jpeg_is_not_turned_by_its_exif(tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), smooth(64, 96))
    plain = (tmp_path / "a.jpg").read_bytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    (tmp_path / "b.jpg").write_bytes(turned)
    assert SectionImage(tmp_path / "b.jpg", 1.0).pixels.shape == (64, 96, 3)


def png_header(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def test_pictures_that_would_exhaust_memory_are_refused(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_header(10**6, 10**6) + b"IEND")
    with pytest.raises(FileFormatError, match="1,000,000 x 1,000,000 pixels, more than"):
        SectionImage(tmp_path / "bomb.png", 1.0)
    (tmp_path / "big.png").write_bytes(png_header(30_000, 30_000) + b"IEND")
    with pytest.raises(FileFormatError, match="only be decoded in one go"):
        SectionImage(tmp_path / "big.png", 1.0)


def test_files_that_are_no_images_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"hello, world")
    with pytest.raises(FileFormatError, match="no image that is known"):
        SectionImage(tmp_path / "a.png", 1.0)
    with pytest.raises(FileFormatError, match="There is no image at"):
        SectionImage(tmp_path / "b.png", 1.0)
    cv2.imwrite(str(tmp_path / "c.png"), noise())
    with pytest.raises(InputError, match="says nothing about its scale"):
        SectionImage.open(tmp_path / "c.png")


def test_svs(real_data):
    path = real_data("histology/CMU-1-Small-Region.svs")
    image = SectionImage.open(path)
    assert image.um_per_px == 0.499
    assert image.size_um == pytest.approx((2220 * 0.499, 2967 * 0.499))
    assert (image.pixels == tifffile.imread(path)).all()
    assert image.at(4.0).shape == (371, 277, 3)
