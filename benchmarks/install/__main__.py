"""Install the built package in empty environments: without extras, and with each extra alone.

    python -m benchmarks.install [DIST]

DIST is a folder with one wheel and one sdist, `dist/` if nothing is said; `make dist` builds them first. Packages come
from the index that pip is set up with. An extra that cannot be installed is reported with what pip said, and is no
failure; a package that installs and does not work is. The last line is JSON.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.install.contents import complaints
from benchmarks.install.environments import TORCH, Environment
from benchmarks.install.outside import check_types
from benchmarks.install.uses import USES

ROOT = Path(__file__).parents[2]
IMPORTED = {"bench": "import captum, shapely, tiledb", "docs": "import furo, myst_nb, sphinx"}
LEFT_OUT = {"dev": "`make test` installs it"}
COMMANDS = """
import typer
from typer.testing import CliRunner
from insignia.cli.main import app
def walk(group, words):
    for name, command in group.commands.items():
        said = CliRunner().invoke(app, [*words, name, "--help"])
        assert said.exit_code == 0 and "Usage: " in said.output, (words, name, said.output)
        print(*words, name)
        if hasattr(command, "commands"):
            walk(command, [*words, name])
walk(typer.main.get_command(app), [])
"""

Row = dict[str, object]


def row(what: str, check: Callable[[], str]) -> Row:
    """Run one check, print what became of it, and return it; a check returns a note, or raises."""
    start = time.perf_counter()
    try:
        note, outcome = check(), "ok"
        if note.startswith("skipped: "):
            note, outcome = note.removeprefix("skipped: "), "skipped"
    except AssertionError as error:
        note, outcome = str(error).strip()[-300:], "FAILED"
    seconds = round(time.perf_counter() - start, 1)
    print(f"{outcome:8}{seconds:7.1f} s  {what:42}{note}", flush=True)
    return {"what": what, "outcome": outcome, "seconds": seconds, "note": note}


def expect(environment: Environment, *arguments: str, cwd: Path, path: Path | None = None) -> str:
    """Run Python and return what it printed; a run that fails is an AssertionError."""
    done = environment.run(*arguments, cwd=cwd, path=path)
    assert done.returncode == 0, f"{' '.join(arguments)[:80]}: {done.stderr[-300:]}"
    return done.stdout


def command_line(base: Environment, scratch: Path, version: str) -> Iterator[Row]:
    """Type what a person types first, in an environment without extras."""

    def insignia(*arguments: str) -> str:
        return expect(base, "-m", "insignia", *arguments, cwd=scratch)

    def versions_agree() -> str:
        said = insignia("--version").strip()
        imported = expect(base, "-c", "import insignia; print(insignia.__version__)", cwd=scratch).strip()
        assert said == imported == version, f"{said} and {imported}, not {version}"
        return said

    def helps() -> str:
        return f"{len(expect(base, '-c', COMMANDS, cwd=scratch).splitlines())} commands"

    def script() -> str:
        said = subprocess.run([base.folder / "bin" / "insignia", "--help"], capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stderr
        return said.stdout.splitlines()[0].strip()

    yield row("insignia --help", script)
    yield row("insignia --version, insignia.__version__", versions_agree)
    yield row("--help of every command", helps)
    yield row("insignia perturb simulate", lambda: insignia("perturb", "simulate", "screen.h5ad").splitlines()[0])
    yield row("insignia demo --quick", lambda: insignia("demo", "--quick", "-o", "demo")[-60:].strip())


def without(base: Environment, extra: str, scratch: Path) -> str:
    """Use what an extra brings where it is not installed: the error must name it."""
    done = base.run("-m", "benchmarks.install.uses", extra, cwd=scratch, path=ROOT)
    if done.returncode == 0:
        return "comes with a package that is always installed"
    last = done.stderr.strip().splitlines()[-1]
    assert "MissingDependency: " in last, last
    assert f"pip install 'insignia[{extra}]'" in last, last
    return last.split("MissingDependency: ")[1].split(". Install")[0]


def alone(base: Environment, extra: str, wheel: Path, scratch: Path) -> str:
    """Install one extra over what needs none, and use it."""
    environment = base.over(scratch / extra)
    failed = environment.install(f"{wheel}[{extra}]")
    if failed:
        return f"skipped: {failed}"
    if extra in IMPORTED:
        expect(environment, "-c", IMPORTED[extra], cwd=scratch)
        return IMPORTED[extra]
    expect(environment, "-m", "benchmarks.install.uses", extra, cwd=scratch, path=ROOT)
    return str(USES[extra].__doc__)


def campaign(dist: Path, scratch: Path) -> Iterator[Row]:
    """Everything, one row after the other."""
    [wheel], [sdist] = dist.glob("*.whl"), dist.glob("*.tar.gz")
    version = wheel.name.split("-")[1]

    def holds(file: Path) -> str:
        wrong = complaints(file, ROOT)
        assert not wrong, "; ".join(wrong)
        return f"{file.name}, {file.stat().st_size:,} bytes"

    def installs(environment: Environment, *packages: str) -> str:
        failed = environment.install(*packages)
        assert not failed, failed
        return packages[-1].rsplit("/", 1)[-1]

    yield row("what is in the wheel", lambda: holds(wheel))
    yield row("what is in the sdist", lambda: holds(sdist))
    base = Environment.empty(scratch / "base")
    yield row("install without extras", lambda: installs(base, TORCH) and installs(base, str(wheel)))
    yield from command_line(base, scratch, version)
    yield row("types seen from outside", lambda: check_types(base, scratch))
    yield row("install from the sdist", lambda: installs(base.over(scratch / "sdist"), "--no-deps", str(sdist)))
    for extra in USES:
        yield row(f"without [{extra}]", lambda extra=extra: without(base, extra, scratch))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra in sorted(extras):
        if extra in LEFT_OUT:
            yield row(f"with [{extra}]", lambda extra=extra: f"skipped: {LEFT_OUT[extra]}")
        else:
            yield row(f"with [{extra}]", lambda extra=extra: alone(base, extra, wheel, scratch))


def main() -> None:
    """Run the campaign; the exit status tells whether something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dist", nargs="?", type=Path, default=ROOT / "dist")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="insignia-install-") as scratch:
        rows = list(campaign(options.dist.resolve(), Path(scratch)))
    print(json.dumps(rows))
    sys.exit(any(entry["outcome"] == "FAILED" for entry in rows))


if __name__ == "__main__":
    main()
