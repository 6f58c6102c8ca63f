"""Calls of `insignia` in the docs, held against the commands that there are."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import cli_page

CALL = re.compile(r"(?<![\w./'-])insignia\s+(?=[\w\[-])")
GROUPED = re.compile(r"(atlas|model|perturb|spatial) [a-z-]+( |$)")
SHELL_ENDS = ("|", "||", "&&", ";", "&", ">", ">>", "<", "2>", "\n")
STAND_INS = ("...", "…", "[OPTIONS]")


@cache
def by_path() -> dict[tuple[str, ...], cli_page.Command]:
    return {one.path: one for one in cli_page.commands()}


def problems(text: str) -> list[str]:
    """What is wrong with every call of `insignia` in `text`."""
    return [problem for words in calls(text) for problem in check(words)]


def calls(text: str) -> Iterator[list[str]]:
    """Words of every call, in a script or a line of prose; ``atlas add`` is one of `insignia`, too."""
    for line in text.replace("\\\n", " ").splitlines():
        if GROUPED.match(line):
            yield words_of(line)
        for found in CALL.finditer(line):
            yield words_of(line[found.end() :])


def words_of(rest: str) -> list[str]:
    """Split what follows `insignia` as a shell does, up to the end of the command; quotes may be left open."""
    lexer = shlex.shlex(rest, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    words: list[str] = []
    try:
        for word in lexer:
            if set(word) <= set("&;<>()") and word:
                break
            words.append(word)
    except ValueError:
        pass
    return words


def check(words: list[str]) -> list[str]:
    """Say what a call names that does not exist."""
    path, rest = _command(words)
    here = by_path()[path]
    if (
        here.is_group
        and rest
        and not rest[0].startswith(("-", "["))
        and rest[0] not in STAND_INS
        and not rest[0].isupper()
    ):
        return [f"{here.name} has no command {rest[0]!r}"]
    if here.is_group:
        known = [*here.options, *(name for one in by_path().values() for name in one.options if not path)]
        return [f"{here.name} has no option {word}" for word in _options(rest, {}) if word not in known]
    known_here = {name: parameter for parameter in here.made.params for name in _spellings(parameter)}
    missing = [word for word in _options(rest, known_here) if word not in here.options]
    siblings = _alternatives(path, rest)
    return [f"{here.name} has no option {word}" for word in missing] + siblings


def _command(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    path: tuple[str, ...] = ()
    for number, word in enumerate(words):
        if (*path, word) not in by_path():
            return path, words[number:]
        path = (*path, word)
    return path, []


def _options(words: list[str], known: dict[str, Any]) -> Iterator[str]:
    """Words that are options, leaving out the values of options that take one."""
    skip = False
    for word in words:
        if word in SHELL_ENDS:
            return
        if skip:
            skip = False
            continue
        name = word.strip("[]").partition("=")[0]
        if re.fullmatch(r"--?[A-Za-z][\w-]*", name):
            yield name
            skip = name in known and not getattr(known[name], "is_flag", False) and "=" not in word


def _alternatives(path: tuple[str, ...], rest: list[str]) -> list[str]:
    """Names after ``|`` in ``insignia atlas replace | remove`` are commands beside the first."""
    if rest[:1] != ["|"]:
        return []
    names = [word for word in rest if word != "|"]
    return [f"insignia {' '.join(path[:-1])} has no {name!r}" for name in names if (*path[:-1], name) not in by_path()]


def _spellings(parameter: Any) -> list[str]:
    return [*parameter.opts, *parameter.secondary_opts]
