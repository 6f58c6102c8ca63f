"""Reads the code of a page of the docs, and runs it block by block as a reader would type it."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HOWTOS", "Block", "blocks", "missing_lines", "run"]

HOWTOS = Path(__file__).parents[2] / "docs" / "howto"
SHOWN = "text"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text and its line on the page."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [Block(match[1], match[2], text[: match.start()].count("\n") + 1) for match in found]


def run(page: Path, folder: Path) -> Iterator[tuple[Block, str]]:
    """Run bash and Python blocks in order in `folder`, and give each output shown with what really came out."""
    said, scope = "", {"__name__": "__main__"}
    environment = os.environ | {"PATH": f"{_commands(folder)}{os.pathsep}{os.environ['PATH']}"}
    for block in blocks(page):
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
        elif block.language == SHOWN:
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
