"""Runs the code of a how-to block by block, as a reader would type it."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

from tests.docs.pages import DOCS, Block, read

__all__ = ["HOWTOS", "missing_lines", "run"]

HOWTOS = {path.stem: path for path in sorted((DOCS / "howto").glob("*.md"))}


def run(page: Path, folder: Path) -> Iterator[tuple[Block, str]]:
    """Run bash and Python blocks in order in `folder`, and give each output shown with what really came out."""
    said, scope = "", {"__name__": "__main__"}
    environment = os.environ | {"PATH": f"{_commands(folder)}{os.pathsep}{os.environ['PATH']}"}
    for block in read(page).blocks:
        if block.language == "bash":
            command = ["bash", "-eo", "pipefail", "-c", block.text]
            done = subprocess.run(
                command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            said = done.stdout
            assert done.returncode == 0, f"{page.name}, line {block.line}:\n{block.text}\n{said}"
        elif block.language == "python":
            out = io.StringIO()
            with redirect_stdout(out):
                exec(compile("\n" * block.line + block.text, str(page), "exec"), scope)
            said = out.getvalue()
        elif block.language == "text":
            yield block, said


def missing_lines(shown: str, said: str) -> list[str]:
    """Lines of an output shown that did not come out; blanks and the digits of numbers may differ."""
    real = _masked(said)
    return [line for line in shown.splitlines() if line.strip() not in ("", "...") and _masked(line) not in real]


def _masked(text: str) -> str:
    without_numbers = re.sub(r"[-+]?\d[\d,]*\.?\d*(e[-+]?\d+)?", "#", text)
    return re.sub(r"\s+", " ", without_numbers).strip()


def _commands(folder: Path) -> Path:
    """A folder with `insignia` of this environment, and with an sbatch that runs the tasks of an array in turn."""
    place = folder / ".commands"
    place.mkdir()
    _write(place / "insignia", f'exec {sys.executable} -m insignia "$@"')
    tasks = """tasks=$(sed -n 's/^#SBATCH --array=1-//p' "$1")
for task in $(seq "$tasks"); do SLURM_ARRAY_TASK_ID=$task bash "$1"; done
echo Submitted batch job 1"""
    _write(place / "sbatch", tasks)
    return place


def _write(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/bash\nset -e\n{script}\n")
    path.chmod(0o755)
