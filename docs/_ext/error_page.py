"""The catalogue of errors, written from `docs/reference/errors.toml` and the classes."""

import importlib
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["BEFORE", "Entry", "catalogue", "details", "preparation", "summary"]

_TABLE: Final = tomllib.loads((Path(__file__).parents[1] / "reference" / "errors.toml").read_text(encoding="utf-8"))
BEFORE: Final[str] = _TABLE["before"].strip()
"""What the examples have in common."""


@dataclass(frozen=True)
class Entry:
    """What the catalogue says of one class."""

    name: str
    why: str
    do: str
    code: str
    message: str
    module: str = "insignia.core.errors"

    @property
    def made(self) -> Any:
        """Return the class."""
        return getattr(importlib.import_module(self.module), self.name)

    @property
    def exit_code(self) -> int | None:
        """Exit code of the command line; a warning has none."""
        return getattr(self.made, "exit_code", None)

    @property
    def when(self) -> str:
        """First line of the docstring."""
        return str(self.made.__doc__).splitlines()[0]


def catalogue() -> list[Entry]:
    """Return all entries, each family before its members."""
    cleaned = (
        (name, {key: text.strip() for key, text in row.items()}) for name, row in _TABLE.items() if name != "before"
    )
    return [Entry(name, **row) for name, row in cleaned]


def summary() -> str:
    """One line a class."""
    lines = ["| | exit code | when |", "|---|---|---|"]
    for one in catalogue():
        code = "" if one.exit_code is None else one.exit_code
        lines.append(f"| [{one.name}](#{one.name.lower()}) | {code} | {one.when} |")
    return "\n".join(lines)


def preparation() -> str:
    """Give the code that stands before every example."""
    return f"```python\n{BEFORE}\n```"


def details() -> str:
    """Every class with its docstring, why it is raised, what to do, and an example."""
    return "\n\n".join(_section(one) for one in catalogue())


def _section(one: Entry) -> str:
    level = 2 if one.made.__base__.__name__ in ("InsigniaError", "Exception", "UserWarning") else 3
    code = "" if one.exit_code is None else f"Exit code {one.exit_code}. "
    said = textwrap.fill(f"{one.name}: {' '.join(one.message.split())}", 100, break_on_hyphens=False)
    return (
        f"{'#' * level} {one.name}\n\n"
        f"```{{eval-rst}}\n.. autoexception:: {one.module}.{one.name}\n```\n\n"
        f"{code}{' '.join(one.why.split())}\n\n"
        f"**What to do.** {' '.join(one.do.split())}\n\n"
        f"```python\n{one.code}\n```\n\n```text\n{said}\n```"
    )
