"""Run a case in a child process with limits, and say how it went."""

import faulthandler
import os
import pkgutil
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import chdir, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.attack.case import CANARY, Case

__all__ = ["Verdict", "judge", "warm_up"]

#: Exit codes of refusals that the family tree of errors documents.
REFUSALS = (2, 3, 4)
#: What libraries say when nobody of ours has looked: no refusal of ours begins so.
FOREIGN = re.compile(
    r"(Unable|Can't|Cannot) (to )?(synchronously|open|read|get|determine|load)|Error|Invalid|index \d|name '"
    r"|'[^']*' object|\('|unsupported|could not|not enough values|list index|invalid literal|<|\d+$|'[^']*'$"
)


@dataclass(frozen=True)
class Verdict:
    """How a case went: "answered", "refused" or "lost", and why or with which words."""

    how: str
    why: str = ""
    seconds: float = 0.0

    @property
    def is_lost(self) -> bool:
        """Whether neither a right answer nor a helpful refusal came."""
        return self.how == "lost"


def warm_up() -> None:
    """Import all of the toolkit once, so that children need not."""
    import insignia

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in pkgutil.walk_packages(insignia.__path__, "insignia."):
            if module.name != "insignia.__main__":
                with suppress(ImportError):
                    import_module(module.name)


def judge(case: Case) -> Verdict:
    """Run a case in a folder of its own and look at the exit code, the words, the files and the answer."""
    with tempfile.TemporaryDirectory(prefix="attack-") as name:
        place = Path(name)
        folder = place / "work" / "here"
        (place / "tmp").mkdir()
        folder.mkdir(parents=True)
        with chdir(folder):
            work = case.prepare(folder)
        before = _listing(place)
        began = time.perf_counter()
        code = _in_child(case, work, folder, place)
        seconds = time.perf_counter() - began
        output, errors = ((place / part).read_text(errors="replace") for part in ("stdout", "stderr"))
        after = {path: found for path, found in _listing(place).items() if path not in ("stdout", "stderr")}
        lost = _lost(case, code, errors) or _misplaced(case, code, before, after)
        if not lost and code == 0:
            lost = _wrong(case, folder, output)
        _give_back_rights(place)
    if lost:
        return Verdict("lost", lost, seconds)
    return Verdict("answered", "", seconds) if code == 0 else Verdict("refused", errors.strip(), seconds)


def _in_child(case: Case, work, folder: Path, place: Path) -> int:
    """Exit code of a forked child, negative for a signal, -9 also where time ran out."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _be_the_child(case, work, folder, place)
    end = time.monotonic() + case.seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -signal.SIGALRM
        time.sleep(0.003)


def _be_the_child(case: Case, work, folder: Path, place: Path) -> None:
    code = 70
    try:
        for number, part in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(place / part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        os.chdir(folder)
        tempfile.tempdir = str(place / "tmp")
        pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
        if pages:
            room = pages * resource.getpagesize() + int(case.memory_gb * 2**30)
            resource.setrlimit(resource.RLIMIT_AS, (room, room))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        faulthandler.disable()
        code = _run(case, work)
    except BaseException:  # noqa: BLE001 - whatever it is, the parent reads it
        traceback.print_exc()
    finally:
        # on a full disk nothing can be said, and a child that went on as its parent would do harm
        with suppress(BaseException):
            sys.stdout.flush()
        with suppress(BaseException):
            sys.stderr.flush()
        os._exit(code)


def _run(case: Case, work) -> int:
    """Run the command as the shell would, or a function as a command of ours; the exit code."""
    from insignia.cli.main import run
    from insignia.cli.output import friendly_errors

    if case.before is not None:
        case.before()
    try:
        if callable(work):
            with friendly_errors():
                work()
        else:
            sys.argv = ["insignia", *map(str, work)]
            run()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0


def _lost(case: Case, code: int, errors: str) -> str:
    """Say what is wrong with an exit code and the words beside it."""
    if code == -signal.SIGALRM:
        return f"hang: {case.seconds:g} s were not enough"
    if code < 0:
        return f"died by {signal.Signals(-code).name}: {errors[-300:]}"
    if "Traceback" in errors:
        return f"traceback: {_where(errors)}"
    if code == 2 and re.search(r"Error: Invalid value for .* is not readable", errors):
        return ""
    if "Usage: " in errors:
        return f"the case types a command that there is not: {errors[-300:]}"
    if code == 0:
        return "answered what must be refused" if case.must == "refuse" else ""
    said = [line.removeprefix("error: ") for line in errors.splitlines() if line.startswith("error: ")]
    if code not in REFUSALS or len(said) != 1:
        return f"exit code {code} with {len(said)} errors: {errors[-500:]}"
    if len(said[0]) < 15 or FOREIGN.match(said[0]):
        return f"no words of ours: {errors[-500:]}"
    if case.must == "answer":
        return f"refused what must be answered: {errors[-500:]}"
    if case.says and not re.search(case.says, errors):
        return f"refused, but not in the words {case.says!r}: {errors[-500:]}"
    return ""


def _where(errors: str) -> str:
    """Give the deepest line of ours in a traceback, and its last words."""
    ours = re.findall(r'File "[^"]*/(insignia/[^"]+)", line (\d+), in (\w+)', errors)
    last = [line for line in errors.splitlines() if line.strip()][-1]
    return f"{' '.join(ours[-1]) if ours else 'nowhere of ours'}: {last[:300]}"


def _misplaced(case: Case, code: int, before: dict[str, object], after: dict[str, object]) -> str:
    """Say which files are there that must not be, or were changed by a refusal."""
    if any(Path(path).name == CANARY for path in after):
        return "code from a file was run"
    outside = sorted(path for path in {**before, **after} if before.get(path) != after.get(path))
    outside = [path for path in outside if not path.startswith("work/here/")]
    if outside:
        return f"files outside the folder: {outside[:3]}"
    changed = sorted(path for path in {**before, **after} if before.get(path) != after.get(path))
    changed = [path for path in changed if not set(case.leaves) & set(Path(path).parts)]
    half = changed if code else [path for path in changed if Path(path).name.startswith(".")]
    return f"written half, or changed by a refusal: {half[:3]}" if half else ""


def _wrong(case: Case, folder: Path, output: str) -> str:
    try:
        with chdir(folder):
            case.holds(folder, output)
    except Exception:  # noqa: BLE001 - an answer that cannot be looked at is wrong as well
        return f"wrong answer: {traceback.format_exc()[-800:]}"
    return ""


def _listing(place: Path) -> dict[str, object]:
    """Every file, link and folder below, with what would show a change; locks say who held them last."""
    found: dict[str, object] = {}
    for top, folders, files in os.walk(place):
        for name in [*folders, *files]:
            path = Path(top) / name
            stat = path.lstat()
            is_file = not path.is_dir() or path.is_symlink()
            if name != "writer.lock":
                found[str(path.relative_to(place))] = (stat.st_size, stat.st_mtime_ns) if is_file else None
    return found


def _give_back_rights(place: Path) -> None:
    for top, folders, _ in os.walk(place):
        for name in folders:
            path = Path(top) / name
            if not path.is_symlink():
                path.chmod(0o755)
