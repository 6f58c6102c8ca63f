"""Slides through openslide."""

import shutil
import sys

import numpy as np
import pytest

from insignia.core.errors import FileFormatError, MissingDependency
from insignia.data import SectionImage
from insignia.data.pixels.slide import SlidePixels

pytest.importorskip("tifffile", reason="images need the extra 'spatial'")


def test_openslide_and_tifffile_read_the_same_slide(real_data):
    pytest.importorskip("openslide", reason="slides need the extra 'wsi'")
    path = real_data("histology/CMU-1-Small-Region.svs")
    slide = SectionImage(SlidePixels(path), 0.499)
    assert slide.source.um_per_px == 0.499
    assert slide.source.levels == SectionImage.open(path).source.levels
    centres = np.array([[300.0, 400.0], [800.0, 1100.0], [0.0, 0.0]])
    ours = SectionImage.open(path).patches(centres, 60.0, 64)
    # two decoders of JPEG may differ by a step or two
    assert np.abs(slide.patches(centres, 60.0, 64).astype(int) - ours).max() <= 3


def test_a_slide_that_is_none_is_refused(tmp_path):
    pytest.importorskip("openslide", reason="slides need the extra 'wsi'")
    (tmp_path / "a.mrxs").write_bytes(b"not a slide")
    with pytest.raises(FileFormatError, match=r"a\.mrxs could not be read by openslide"):
        SectionImage(tmp_path / "a.mrxs", 1.0)


def test_without_openslide_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openslide", None)
    (tmp_path / "a.ndpi").write_bytes(b"x")
    with pytest.raises(MissingDependency, match=r"Reading \.ndpi needs the package 'openslide'.*insignia\[wsi\]"):
        SectionImage(tmp_path / "a.ndpi", 1.0)


def test_without_the_extra_for_images_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    (tmp_path / "a.tif").write_bytes(b"II*\0" + bytes(8))
    with pytest.raises(MissingDependency, match=r"Reading TIFF and SVS images needs.*insignia\[spatial\]"):
        SectionImage(tmp_path / "a.tif", 1.0)


def test_a_slide_cut_short_is_refused(real_data, tmp_path):
    path = tmp_path / "cut.svs"
    shutil.copy(real_data("histology/CMU-1-Small-Region.svs"), path)
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(FileFormatError, match=r"could not be read as TIFF|ends before its pixels do"):
        _ = SectionImage(path, 1.0).pixels
