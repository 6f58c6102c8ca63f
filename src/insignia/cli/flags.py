"""Messages that name arguments of Python, in the words of the command that is running."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["flags_of", "in_flags"]

_OTHER_NAMES: Final = {"columns": "column", "constants": "constant"}
_MAPPING: Final = re.compile(r"(?<![\w./'\"-])([a-z][a-z_]*)=\{'([^'{}]*)': '([^'{}]*)'\}")
_ARGUMENT: Final = re.compile(r"(?<![\w./'\"-])([a-z][a-z_]*)=('[^']*'|\"[^\"]*\"|\.\.\.|[\w%][\w%.-]*[\w%]|[\w%]|)")
_BARE: Final = re.compile(r"\b(lower|raise) ([a-z]+(?:_[a-z]+)+)\b", re.IGNORECASE)
_IN_A_CALL: Final = re.compile(r"\w\([^()]*$")


def flags_of(command: Any, words: Sequence[str]) -> dict[str, str]:
    """Long flag of every option, by its name in Python, of the command that the words of a command line name."""
    for word in words:
        if word not in getattr(command, "commands", {}):
            break
        command = command.commands[word]
    named = {one.name: max(one.opts, key=len) for one in command.params}
    return {name: flag for name, flag in named.items() if flag.startswith("--")}


def in_flags(text: str, flags: Mapping[str, str]) -> str:
    """Write arguments as the flags of a command: ``min_coverage=0.5`` as ``--min-coverage 0.5``.

    What the command has no flag for stays as it is, and so do calls.
    """

    def flag(name: str) -> str | None:
        return flags.get(_OTHER_NAMES.get(name, name))

    def pair(found: re.Match[str]) -> str:
        return f"{flag(found[1])} {found[2]}={found[3]}" if flag(found[1]) else found[0]

    def argument(found: re.Match[str]) -> str:
        name, value = flag(found[1]), found[2]
        if name is None or _IN_A_CALL.search(text[: found.start()]):
            return found[0]
        if value == "None":
            return f"no {name}"
        return name if value in ("True", "") else f"{name} {value.strip(chr(39) + chr(34))}"

    def bare(found: re.Match[str]) -> str:
        return f"{found[1]} {flag(found[2])}" if flag(found[2]) else found[0]

    for pattern, written in ((_MAPPING, pair), (_BARE, bare), (_ARGUMENT, argument)):
        text = pattern.sub(written, text)
    return text
