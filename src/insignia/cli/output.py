"""What every command prints: one result, for people or as JSON, and errors with their exit code."""

import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from insignia.core.errors import InputError, InsigniaError, InsigniaWarning

__all__ = [
    "JsonFlag",
    "emit",
    "friendly_errors",
    "pairs",
    "parse_steps",
]

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, and no progress.")]


def emit(result: Mapping[str, Any], *, as_json: bool, text: str = "") -> None:
    """Print a result: JSON on one line, or `text`, or the entries line by line."""
    if as_json:
        print(json.dumps(result, default=str))
    elif text:
        print(text)
    else:
        width = max((len(name) for name in result), default=0)
        for name, value in result.items():
            for number, line in enumerate(_lines(value)):
                print(f"{'' if number else name.replace('_', ' '):{width}}  {line}")


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
def friendly_errors() -> Iterator[None]:
    """Print our errors and warnings as plain text, and leave with the exit code of the error's family."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", InsigniaWarning)
        warnings.showwarning = _show_warning
        try:
            yield
        except InsigniaError as error:
            print("\n".join([f"error: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt:
            print("interrupted; nothing was written half", file=sys.stderr)
            raise SystemExit(130) from None
        except OSError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(InputError.exit_code) from None


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


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


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
