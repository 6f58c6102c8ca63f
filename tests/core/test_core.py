"""Errors, registries, files and optional packages."""

import json

import numpy as np
import pytest

from insignia.core import errors
from insignia.core.files import atomic_file, atomic_folder, canonical_json, sha256_array
from insignia.core.optional import need
from insignia.core.progress import progress
from insignia.core.registry import Registry


def test_every_error_is_ours_and_a_builtin_one():
    found = [getattr(errors, name) for name in errors.__all__]
    assert all(issubclass(kind, (errors.InsigniaError, errors.InsigniaWarning)) for kind in found)
    leaves = [kind for kind in found if issubclass(kind, errors.InsigniaError) and kind is not errors.InsigniaError]
    assert all(issubclass(kind, (ValueError, KeyError, ImportError)) for kind in leaves)


def test_a_key_error_of_ours_prints_its_message_plainly():
    assert str(errors.MissingMetadata("obs has no 'donor'.")) == "obs has no 'donor'."


def test_a_registry_refuses_a_second_claim_and_helps_with_a_typo():
    registry = Registry("thing")
    registry.add("alpha", source="a paper")(1)
    with pytest.raises(ValueError, match="registered already"):
        registry.add("alpha")(2)
    with pytest.raises(errors.UnknownName, match="Did you mean 'alpha'"):
        registry["alhpa"]
    assert list(registry) == ["alpha"]
    assert registry.entry("alpha").source == "a paper"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as temporary:
        temporary.write_text(f"half {1 / 0}")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with atomic_file(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "model") as folder:
        (folder / "weights").mkdir(1 // 0)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_content_is_never_replaced(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "precious").write_text("x")
    with pytest.raises(OSError, match="not empty"), atomic_folder(tmp_path / "model") as folder:
        (folder / "weights").write_text("x")
    assert (tmp_path / "model" / "precious").read_text() == "x"


def test_hashes_tell_values_shapes_and_types_apart():
    a = np.arange(6, dtype=np.float32)
    assert sha256_array(a) == sha256_array(a.copy())
    assert len({sha256_array(a), sha256_array(a.reshape(2, 3)), sha256_array(a.astype(np.float64))}) == 3


def test_canonical_json_does_not_depend_on_order():
    assert canonical_json({"b": 1, "a": [1, 2]}) == canonical_json(json.loads('{"a": [1, 2], "b": 1}'))


def test_an_absent_package_says_how_to_install_it():
    with pytest.raises(errors.MissingDependency, match=r"pip install 'insignia\[wsi\]'"):
        need("not_a_package_at_all", extra="wsi", purpose="Reading slides")


def test_progress_is_silent_for_machines_and_counts_for_people(capsys):
    with progress("working", 2, show=False) as advance:
        advance(1)
    assert capsys.readouterr() == ("", "")
    with progress("working", 2, show=True) as advance:
        advance(2)
    assert capsys.readouterr().out == ""
