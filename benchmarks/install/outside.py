"""A type checker that knows the installed package only: it must see the package's types."""

import subprocess
import sys
from pathlib import Path

from benchmarks.install.environments import Environment

__all__ = ["check_types"]

PROGRAM = """
import insignia
from insignia.genes import signature

reveal_type(insignia.__version__)
reveal_type(signature("MS1"))
signature(3)
"""
OPTIONS = """
[mypy]
follow_imports = silent
[mypy-anndata.*,matplotlib.*,numba.*,numpy.*,pandas.*,pyarrow.*,scipy.*,torch.*]
follow_imports = skip
"""
"""Other packages are passed over: theirs are not the types in question, and reading them takes minutes."""


def check_types(environment: Environment, scratch: Path) -> str:
    """Check a small program, right but for its last line; what mypy says of that one."""
    (scratch / "outside.py").write_text(PROGRAM)
    (scratch / "mypy.ini").write_text(OPTIONS)
    command = [sys.executable, "-m", "mypy", "--config-file=mypy.ini", "--cache-dir=mypy"]
    said = subprocess.run(
        [*command, f"--python-executable={environment.python}", "outside.py"],
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert 'Revealed type is "str"' in said.replace("builtins.", ""), said
    assert 'Revealed type is "insignia.genes.signature.Signature"' in said, said
    errors = [line.split("error: ")[-1] for line in said.splitlines() if "error: " in line]
    assert len(errors) == 1, said
    assert "[arg-type]" in errors[0], said
    return errors[0]
