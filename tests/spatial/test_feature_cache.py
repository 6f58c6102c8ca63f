"""Features kept by the hash of what they depend on."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.spatial.pictured_stacks import picture

from insignia.core.errors import InsigniaWarning
from insignia.data import SectionImage
from insignia.spatial.features.cache import FeatureCache, clear_feature_cache, image_hash

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "features")


def test_what_was_kept_comes_back(cache):
    key = cache.key(image="a", scale_um=110.0)
    assert cache.get(key, (4, 3)) is None
    cache.put(key, VALUES)
    np.testing.assert_array_equal(cache.get(key, (4, 3)), VALUES)
    assert cache.get(cache.key(image="a", scale_um=110.5), (4, 3)) is None


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-5], lambda b: b[:20], lambda b: b"", lambda b: b[:60] + b"\x7f" + b[61:]]
)
def test_damaged_files_are_not_believed(cache, damage):
    cache.put("k" * 64, VALUES)
    (file,) = cache.folder.rglob("*.features")
    file.write_bytes(damage(file.read_bytes()))
    assert cache.get("k" * 64, (4, 3)) is None
    cache.put("k" * 64, VALUES)
    np.testing.assert_array_equal(cache.get("k" * 64, (4, 3)), VALUES)


def test_features_of_another_shape_are_not_taken(cache):
    cache.put("k" * 64, VALUES)
    assert cache.get("k" * 64, (3, 4)) is None


def test_pruning_removes_what_was_unused_for_longest(cache):
    for number in range(5):
        cache.put(f"{number}" * 64, VALUES)
        (path,) = cache.folder.rglob(f"{number}*.features")
        os.utime(path, (1000 + number, 1000 + number))
    assert cache.get("0" * 64, (4, 3)) is not None
    size = path.stat().st_size
    cache.max_bytes = 3 * size
    assert cache.prune() == 2
    assert [cache.get(f"{number}" * 64, (4, 3)) is not None for number in range(5)] == [True, False, False, True, True]


def test_what_another_process_is_writing_is_left_alone_for_a_day(cache):
    cache.put("k" * 64, VALUES)
    (file,) = cache.folder.rglob("*.features")
    fresh, stale = file.with_name(".a-1.features"), file.with_name(".b-2.features")
    for path in (fresh, stale):
        path.write_bytes(b"half")
    os.utime(stale, (1000, 1000))
    cache.max_bytes = 0
    assert cache.prune() == 2
    assert (fresh.exists(), stale.exists(), file.exists()) == (True, False, False)


def test_the_users_cache_can_be_cleared(tmp_path, monkeypatch):
    monkeypatch.setenv("INSIGNIA_CACHE", str(tmp_path))
    assert clear_feature_cache() == 0
    FeatureCache.default().put("k" * 64, VALUES)
    assert clear_feature_cache() == 1
    assert FeatureCache.default().get("k" * 64, (4, 3)) is None


def test_a_folder_that_cannot_be_written_is_warned_of_once(tmp_path, recwarn):
    (tmp_path / "file").write_text("")
    cache = FeatureCache(tmp_path / "file" / "features")
    with pytest.warns(InsigniaWarning, match="Features are not kept.*INSIGNIA_CACHE"):
        cache.put("k" * 64, VALUES)
    cache.put("k" * 64, VALUES)
    assert cache.get("k" * 64, (4, 3)) is None


def test_several_writers_share_a_folder(tmp_path):
    def work(start):
        cache = FeatureCache(tmp_path)
        for number in range(start, start + 60):
            cache.put(f"{number % 4}" * 64, VALUES + number % 4)
            found = cache.get(f"{number % 3}" * 64, (4, 3))
            assert found is None or (found == VALUES + number % 3).all()
            if number % 10 == 9:
                cache.max_bytes = 400
                cache.prune()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()], "no half-written file is left"


def test_images_are_told_apart_by_content_in_memory_and_on_disk(tmp_path):
    cv2 = pytest.importorskip("cv2")
    first, second = picture(0), picture(1)
    assert image_hash(SectionImage(first, 1.0)) == image_hash(SectionImage(first.copy(), 2.0))
    assert image_hash(SectionImage(first, 1.0)) != image_hash(SectionImage(second, 1.0))
    for name, image in (("a.png", first), ("b.png", first), ("c.png", second)):
        cv2.imwrite(str(tmp_path / name), image)
    hashes = [image_hash(SectionImage(tmp_path / name, 1.0)) for name in ("a.png", "b.png", "c.png")]
    assert hashes[0] == hashes[1] != hashes[2]
