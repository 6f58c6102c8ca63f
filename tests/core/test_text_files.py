"""Texts from elsewhere are read or refused by name, and what a file declares is held against the memory there is."""

import gzip

import pytest

from insignia.core import room
from insignia.core.errors import FileFormatError
from insignia.core.room import available_memory, refuse_larger_than_memory
from insignia.core.text_files import text_file


def read(path):
    with text_file(path) as file:
        return file.read()


def test_plain_and_packed_texts_are_read_alike(tmp_path):
    (tmp_path / "a.txt").write_text("één\r\ntwo\n", newline="")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress((tmp_path / "a.txt").read_bytes()))
    assert read(tmp_path / "a.txt") == read(tmp_path / "a.txt.gz") == "één\ntwo\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"caf\xe9", "a.txt is no text in UTF-8"),
        ("a.txt.gz", b"plain", "a.txt.gz cannot be unpacked.*[Nn]ot a gzipped file"),
        ("a.txt.gz", gzip.compress(b"x" * 1000, mtime=0)[:-9], "cannot be unpacked.*cut short"),
        ("a.txt.gz", gzip.compress(bytes(1000), mtime=0)[:12] + b"\xff" * 20, "cannot be unpacked"),
    ],
)
def test_damaged_texts_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        read(tmp_path / name)


def test_an_absent_file_a_folder_and_a_bomb_are_refused(tmp_path, monkeypatch):
    with pytest.raises(FileFormatError, match=r"no file"):
        read(tmp_path)
    monkeypatch.setattr("insignia.core.text_files._FAR", 2**20)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(2**22)))
    with pytest.raises(FileFormatError, match=r"unpacks to more than"):
        read(tmp_path / "bomb.gz")
    (tmp_path / "fine.gz").write_bytes(gzip.compress(bytes(2**19)))
    assert len(read(tmp_path / "fine.gz")) == 2**19


def test_memory_is_asked_before_it_is_taken(monkeypatch):
    assert available_memory() is None or available_memory() > 0
    monkeypatch.setattr(room, "available_memory", lambda: 2**30)
    refuse_larger_than_memory("x.h5ad", 2**30, remedy="Stop.")
    with pytest.raises(FileFormatError, match=r"x.h5ad declares 2.0 GiB .* 1.0 GiB of memory are free.*Stop\."):
        refuse_larger_than_memory("x.h5ad", 2**31, remedy="Stop.")
    monkeypatch.setattr(room, "available_memory", lambda: None)
    refuse_larger_than_memory("x.h5ad", 2**60, remedy="Stop.")
