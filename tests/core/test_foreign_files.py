"""Files and disks that others have a hand in: deep JSON, links in circles, disks that are full."""

import errno

import pytest

from insignia.core.errors import InputError
from insignia.core.files import atomic_file, atomic_folder, parse_json, resolved


def test_json_that_is_nested_too_deep_is_a_value_error():
    assert parse_json('{"a": [1, null]}') == {"a": [1, None]}
    with pytest.raises(ValueError, match="nested too deep"):
        parse_json("[" * 100_000 + "]" * 100_000)


def test_links_in_a_circle_have_a_path_of_their_own(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert resolved(tmp_path / "a" / "c.h5ad").name == "c.h5ad"
    (tmp_path / "c").mkdir()
    (tmp_path / "d").symlink_to("c")
    assert resolved(tmp_path / "d") == resolved(tmp_path / "c")


@pytest.mark.parametrize("place", [atomic_file, atomic_folder])
@pytest.mark.parametrize(
    "error",
    [RuntimeError("Can't decrement id ref count (unable to close file, errno = 28)"), OSError("I/O (os error 28)")],
)
def test_a_full_disk_is_an_error_of_the_system_whoever_notices(tmp_path, place, error):
    with pytest.raises(OSError, match="No space left") as found, place(tmp_path / "out.h5ad"):
        raise error
    assert found.value.errno == errno.ENOSPC
    assert found.value.filename == str(tmp_path / "out.h5ad")
    assert not list(tmp_path.iterdir())


def test_other_errors_keep_their_kind(tmp_path):
    with pytest.raises(InputError, match="errno 28"), atomic_file(tmp_path / "a"):
        raise InputError("it said errno 28")
    with pytest.raises(RuntimeError, match="by itself"), atomic_file(tmp_path / "a"):
        raise RuntimeError("by itself")
    assert not list(tmp_path.iterdir())
