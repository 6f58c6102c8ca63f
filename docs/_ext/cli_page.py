"""The page of the command line, written from the commands themselves."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Final, get_args, get_origin

import typer

from insignia.cli.main import app

__all__ = ["GUIDES", "Command", "commands", "overview", "reference"]

GUIDES: Final = {
    "attribute": ("attribution.md", "scale.md"),
    "slurm": ("scale.md",),
    "search": ("atlas.md", "hits.md", "metadata.md"),
    "screen": ("screens.md",),
    "programs": ("screens.md",),
    "serve": ("explorer.md",),
    "export-page": ("explorer.md",),
    "ms1": ("ms1.md",),
    "demo": ("start.md", "story.md"),
    "atlas add": ("metadata.md",),
    "atlas cutoffs": ("hits.md",),
    "atlas export": ("interop.md",),
    "atlas import": ("interop.md",),
    "atlas pseudobulk": ("screens.md",),
    "atlas regroup": ("screens.md",),
    "spatial impute": ("spatial.md",),
    "perturb attribute": ("perturb.md",),
    "perturb effects": ("perturb.md",),
    "perturb programs": ("perturb.md",),
    "perturb rank": ("perturb.md",),
}
"""Where a command is told at length."""

_VALUES: Final = {Path: "PATH", str: "TEXT", int: "INTEGER", float: "NUMBER"}


@dataclass(frozen=True)
class Command:
    """One command or group of the tree."""

    path: tuple[str, ...]
    made: Any

    @property
    def name(self) -> str:
        """What is typed, e.g. ``insignia atlas add``."""
        return " ".join(("insignia", *self.path))

    @property
    def anchor(self) -> str:
        """Where its heading is on the page."""
        return self.name.replace(" ", "-")

    @property
    def is_group(self) -> bool:
        """Whether it holds other commands."""
        return hasattr(self.made, "commands")

    @property
    def options(self) -> tuple[str, ...]:
        """Every spelling of its options, ``--help`` among them."""
        spelt = [name for one in self.made.params for name in (*one.opts, *one.secondary_opts)]
        return (*(name for name in spelt if name.startswith("-")), "--help")


def commands() -> list[Command]:
    """Return groups and commands in the order of `insignia --help`, every group before what it holds."""
    return list(_walk(typer.main.get_command(app), ()))


def overview() -> str:
    """One line a command: what it needs, what it does, and where more is told."""
    lines = ["| command | does |", "|---|---|"]
    for one in commands():
        if not one.is_group:
            more = "".join(f" [{Path(page).stem}]({page})" for page in GUIDES.get(" ".join(one.path), ()))
            lines.append(f"| [`{_usage(one)}`](#{one.anchor}) | {_plain(one.made.help)}{more and f' →{more}'} |")
    return "\n".join(lines)


def reference() -> str:
    """Every command under a heading of its own, with its arguments, options and defaults."""
    return "\n\n".join(_entry(one) for one in commands() if one.path)


def _walk(made: Any, path: tuple[str, ...]) -> Iterator[Command]:
    yield Command(path, made)
    for name, child in getattr(made, "commands", {}).items():
        if not child.hidden:
            yield from _walk(child, (*path, name))


def _entry(one: Command) -> str:
    head = f"{'#' * (len(one.path) + 1)} {one.name}\n\n{_plain(one.made.help)}"
    if one.is_group:
        return head
    shown = [parameter for parameter in one.made.params if not parameter.hidden]
    terms = [_term(parameter, _value_of(one.made.callback, parameter)) for parameter in shown]
    return "\n\n".join([head, f"```text\n{_usage(one)} [OPTIONS]\n```", *terms])


def _usage(one: Command) -> str:
    """Give the command with everything that it cannot do without."""
    given, needed = [], []
    for parameter in one.made.params:
        if _is_argument(parameter):
            value = _value_of(one.made.callback, parameter)
            given.append(value if parameter.required else f"[{value}]")
        elif parameter.required:
            needed.append(f"{parameter.opts[0]} {parameter.name.upper()}")
    return " ".join([one.name, *given, *needed])


def _term(parameter: Any, value: str) -> str:
    """Give one argument or option as an entry of a definition list."""
    spelt = ", ".join((*parameter.opts, *parameter.secondary_opts))
    name = value if _is_argument(parameter) else f"{spelt} {value}".strip()
    said = [_plain(parameter.help or "")]
    if parameter.required:
        said.append("Required.")
    if (parameter.multiple or parameter.nargs == -1) and "repeat" not in said[0].lower():
        said.append("Repeatable.")
    if parameter.default not in (None, False, (), []):
        said.append(f"Default: `{parameter.default}`.")
    return f"`{name}`\n: {' '.join(said)}"


def _is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def _value_of(callback: Callable[..., Any], parameter: Any) -> str:
    """Name what stands in the place of a value: nothing for a flag."""
    if _is_argument(parameter):
        name = (parameter.metavar or parameter.name).upper()
        return f"{name}..." if parameter.nargs == -1 else name
    if getattr(parameter, "is_flag", False):
        return ""
    kind = inspect.signature(callback, eval_str=True).parameters[parameter.name].annotation
    return parameter.metavar or _VALUES[_innermost(kind)]


def _innermost(kind: Any) -> Any:
    """Take off Annotated, optional and list."""
    while get_origin(kind) is not None:
        kind = _first(get_args(kind))
    return kind


def _first(kinds: Sequence[Any]) -> Any:
    return next(kind for kind in kinds if kind is not NoneType)


def _plain(text: str) -> str:
    """Take line breaks out of a help text, and the meaning of Markdown out of its letters."""
    joined = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "*<[]|" else letter for letter in joined)
