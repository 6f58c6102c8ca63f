"""What every command prints: one result, for people or as JSON, and errors with their exit code."""

import errno
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from insignia.core.errors import InputError, InsigniaError, InsigniaWarning

__all__ = [
    "JsonFlag",
    "OutputOption",
    "OverwriteFlag",
    "emit",
    "friendly_errors",
    "one_place",
    "pairs",
    "parse_steps",
]

_LONGEST: Final = 2_000
_CHECK: Final = "Check that the path is right and may be read or written."
_ADVICE: Final = {
    errno.ENOSPC: "The disk is full; nothing was written half. Make room, or choose another place with -o.",
    errno.EDQUOT: "Your share of the disk is used up; nothing was written half. Make room, or choose another place.",
    errno.EFBIG: "The file would be larger than is allowed here; nothing was written half. Choose another place.",
    errno.EROFS: "The disk can only be read. Choose another place with -o.",
    errno.EACCES: "You may not read or write there. Ask for the right, or choose another place.",
    errno.EPERM: "You may not read or write there. Ask for the right, or choose another place.",
    errno.ENOENT: "There is no such file or folder. Check the path.",
    errno.EISDIR: "It is a folder, where a file is meant. Choose another name.",
    errno.ENOTDIR: "A part of the path is a file, where a folder is meant. Check the path.",
    errno.ENAMETOOLONG: "The name is too long for this disk. Choose a shorter one.",
    errno.ENOTEMPTY: "Something was written there meanwhile, and is kept. Look at it, or choose another place.",
    errno.ELOOP: "Links lead in a circle there. Give the path of the file itself.",
}

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, and no progress.")]
OutputOption = Annotated[Path | None, typer.Option("-o", "--output", help="The same, as other commands take it.")]
OverwriteFlag = Annotated[
    bool, typer.Option("--overwrite", help="Replace an output that is there; it is refused otherwise.")
]


def emit(result: Mapping[str, Any], *, as_json: bool, text: str = "") -> None:
    """Print a result: JSON on one line, or `text`, or the entries line by line."""
    if as_json:
        print(json.dumps(result, default=str))
    elif text:
        print(_printable(text))
    else:
        width = max((len(name) for name in result), default=0)
        for name, value in result.items():
            for number, line in enumerate(_lines(value)):
                print(_printable(f"{'' if number else name.replace('_', ' '):{width}}  {line}"))


def one_place(argument: Path | None, option: Path | None) -> Path:
    """Return the output, which is given as an argument or with ``-o``.

    Raises
    ------
    InputError
        It is given in neither way, or in both.
    """
    found = [place for place in (argument, option) if place is not None]
    if len(found) != 1:
        raise InputError(f"Say once where to write, with -o OUTPUT or as an argument; found {len(found)} places.")
    return found[0]


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """Read ``NAME=VALUE`` options.

    Raises
    ------
    InputError
        A text has no equals sign.
    """
    found = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise InputError(f"{option} takes NAME=VALUE, e.g. {option} study=GSE158055; found {text!r}.")
        found[name.strip()] = value.strip()
    return found


@contextmanager
def friendly_errors(reworded: Callable[[str], str] = str) -> Iterator[None]:
    """Print our errors and warnings as plain text, and leave with the exit code of the error's family.

    `reworded` brings messages, which speak of arguments of Python, into the words of the command line.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", InsigniaWarning)
        warnings.showwarning = partial(_show_warning, reworded)
        try:
            yield
        except InsigniaError as error:
            _let_go(error)
            said = [f"error: {error}", *getattr(error, "__notes__", [])]
            print("\n".join(_readable(reworded(line)) for line in said), file=sys.stderr)
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt:
            print("interrupted; nothing was written half", file=sys.stderr)
            raise SystemExit(130) from None
        except OSError as error:
            _let_go(error)
            print(_readable(f"error: {_of_the_system(error)}"), file=sys.stderr)
            raise SystemExit(InputError.exit_code) from None
        except MemoryError as error:
            print(
                _readable(
                    f"error: There is not enough memory for this ({error or 'no more could be had'}); nothing was "
                    "written half. Use fewer cells or genes at a time, or a machine with more."
                ),
                file=sys.stderr,
            )
            raise SystemExit(InputError.exit_code) from None


def _let_go(error: BaseException) -> None:
    """Let files that an error left open be closed now, and say nothing of what that fails with on a full disk."""
    before, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        link: BaseException | None = error
        while link is not None:
            traceback.clear_frames(link.__traceback__)
            link = link.__cause__ or link.__context__
    finally:
        sys.unraisablehook = before


def parse_steps(text: str) -> int:
    """Read a number of steps, or ``auto`` as 0.

    Raises
    ------
    InputError
        It is neither.
    """
    if text == "auto":
        return 0
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"--n-steps takes a number of at least 1, or auto; found {text!r}.")
    return int(text)


def _of_the_system(error: OSError) -> str:
    """Say what the operating system refused, for which file, and what to do about it."""
    if error.errno is None or error.strerror is None:
        return str(error)
    where = "" if error.filename is None else f": {_shown(error.filename)}"
    return f"The system refused ({error.strerror}){where}. {_ADVICE.get(error.errno, _CHECK)}"


def _shown(path: Any) -> str:
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)


def _readable(text: str) -> str:
    """Bring a message to a length that is read, without the control characters that names in files may hold."""
    shown = _printable(text[:_LONGEST])
    return shown if len(text) <= _LONGEST else f"{shown} ... ({len(text) - _LONGEST:,} more characters)"


def _printable(text: str) -> str:
    """Write what a terminal would obey or cannot show, such as names of files that are no text, as Python writes it."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def _show_warning(reworded: Callable[[str], str], message: Warning | str, *_: Any, **__: Any) -> None:
    print(_readable(reworded(f"warning: {message}")), file=sys.stderr)


def _lines(value: Any) -> list[str]:
    """Give records in a record a line each, and sentences in a list."""
    if isinstance(value, Mapping) and any(isinstance(item, Mapping) for item in value.values()):
        return [f"{name}: {_plain(item)}" for name, item in value.items()]
    if isinstance(value, list | tuple) and any(" " in str(item) for item in value):
        return [_plain(item) for item in value]
    return [_plain(value)]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple) and not value:
        return "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_plain(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item) for item in value)
    return str(value)
