"""The command line, run in this process."""

import sys

import pytest

from insignia.cli.main import run


@pytest.fixture
def insignia(monkeypatch, capsys):
    """Run the command in this process: exit code, standard output, standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["insignia", *map(str, arguments)])
        try:
            run()
            code = 0
        except SystemExit as stopped:
            code = stopped.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call
