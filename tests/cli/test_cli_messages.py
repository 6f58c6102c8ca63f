"""What is printed is fit for a terminal and a reader, whatever names and numbers files bring with them."""

import json
import os

import pytest

from insignia.cli.output import emit, friendly_errors
from insignia.core.errors import InputError


def failing(error):
    with friendly_errors():
        raise error


def test_names_in_a_message_cannot_command_the_terminal(capsys):
    with pytest.raises(SystemExit):
        failing(InputError("no gene \x1b[2J\x07 in x\u202e.h5ad, é stays"))
    assert capsys.readouterr().err == "error: no gene \\x1b[2J\\x07 in x\\u202e.h5ad, é stays\n"


def test_a_message_has_a_length_that_is_read(capsys):
    with pytest.raises(SystemExit):
        failing(InputError("found " + "x" * 100_000))
    said = capsys.readouterr().err
    assert len(said) < 2_100
    assert "more characters)" in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "out.h5ad"), "out.h5ad. The disk is full"),
        (PermissionError(13, "Permission denied", b"caf\xe9"), "caf\\udce9. You may not read or write there"),
        (OSError(40, "Too many levels of symbolic links", "a"), "Links lead in a circle"),
        (OSError("something of a library"), "something of a library"),
        (MemoryError("Unable to allocate 7.28 TiB"), "not enough memory for this (Unable to allocate 7.28 TiB)"),
    ],
)
def test_refusals_of_the_system_say_what_to_do(capsys, error, said):
    with pytest.raises(SystemExit) as left:
        failing(error)
    assert left.value.code == 2
    found = capsys.readouterr().err
    assert found.startswith("error: ")
    assert said in found


class FailsToClose:
    """As an HDF5 file on a full disk."""

    def __del__(self):
        raise RuntimeError("Can't decrement id ref count (errno = 28)")


def writing():
    held = FailsToClose()
    raise OSError(28, "No space left on device", f"out{id(held)}.h5ad")


def test_files_that_an_error_left_open_are_closed_in_silence(capsys, recwarn):
    with pytest.raises(SystemExit), friendly_errors():
        writing()
    assert "decrement" not in capsys.readouterr().err
    assert not recwarn.list


def test_a_path_that_is_no_text_can_be_printed(capsys):
    path = os.fsdecode(b"caf\xe9.csv")
    emit({"output": path}, as_json=False)
    emit({"output": path}, as_json=False, text=f"wrote {path}")
    emit({"output": path}, as_json=True)
    lines = capsys.readouterr().out.encode().decode().splitlines()
    assert lines[:2] == ["output  caf\\udce9.csv", "wrote caf\\udce9.csv"]
    assert json.loads(lines[2])["output"] == path
