"""One attempt: what is put in place, what is typed, and what must hold after it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["CANARY", "Case"]

#: A file that no case makes itself: code that a hostile file wants to be run makes it, in the current folder.
CANARY = "code-was-run"


def _anything(folder: Path, output: str) -> None:
    """Accept any answer."""


@dataclass(frozen=True)
class Case:
    """One attempt on the toolkit.

    Parameters
    ----------
    name
        What is tried.
    prepare
        Puts the input into an empty folder, and returns what is run there: the words after ``insignia``, or a function.
        The folder is the current one then, so that relative paths can be typed. Called in the parent, without limits.
    holds
        Called with the folder and the standard output after exit code 0; raises `AssertionError` where the answer is
        wrong.
    must
        Whether an answer or a refusal is asked, or either will do.
    says
        Regular expression that the refusal holds.
    before
        Called in the child before the run, e.g. to give up rights or to limit the size of files.
    leaves
        Names of files that may be there, or be different, after a refusal.
    seconds, memory_gb
        What the run may take beyond what the parent has loaded.
    """

    name: str
    prepare: Callable[[Path], Sequence[str] | Callable[[], object]]
    holds: Callable[[Path, str], object] = _anything
    must: Literal["answer", "refuse", "either"] = "either"
    says: str = ""
    before: Callable[[], object] | None = None
    leaves: tuple[str, ...] = ()
    seconds: float = 30.0
    memory_gb: float = 4.0
