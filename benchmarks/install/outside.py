"""A type checker that knows the installed package only: it must see the package's types."""

import subprocess
import sys
from pathlib import Path

from benchmarks.install.environments import Environment

__all__ = ["check_types"]

GOOD = """
import insignia
from insignia.genes import signature

reveal_type(insignia.__version__)
reveal_type(signature("MS1"))
"""
BAD = """
from insignia.genes import signature

signature(3)
"""


def check_types(environment: Environment, scratch: Path) -> str:
    """Check two small programs; what mypy says of each."""
    good, bad = (_mypy(environment, scratch, text) for text in (GOOD, BAD))
    assert 'Revealed type is "str"' in good, good
    assert 'Revealed type is "insignia.genes.signature.Signature"' in good, good
    assert "error: " not in good, good
    assert "[arg-type]" in bad, bad
    return bad.strip().splitlines()[0].split("error: ")[-1]


def _mypy(environment: Environment, scratch: Path, program: str) -> str:
    file = scratch / "outside.py"
    file.write_text(program)
    command = [sys.executable, "-m", "mypy", "--config-file=", "--cache-dir=mypy", "--follow-imports=silent"]
    done = subprocess.run(
        [*command, f"--python-executable={environment.python}", file.name],
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr
