"""Names that will go away: one way to say so, and a list of them."""

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from insignia.core.errors import DeprecatedName

__all__ = ["Deprecation", "deprecated", "deprecations"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Deprecation:
    """One name that goes away: since which version it warns, in which it is gone, and what takes its place."""

    name: str
    since: str
    until: str
    instead: str

    def __str__(self) -> str:
        return f"{self.name} is deprecated since insignia {self.since} and is gone in {self.until}. Use {self.instead}."


_KNOWN: dict[str, Deprecation] = {}


def deprecated(*, since: str, until: str, instead: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function warn, each time that it is called, that it goes away.

    Parameters
    ----------
    since
        Version that warns first.
    until
        Version in which it is gone; a test fails from then on while it is still there.
    instead
        What to use in its place.
    """

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        name = f"{function.__module__}.{function.__qualname__}"
        _KNOWN[name] = Deprecation(name, since, until, instead)

        @functools.wraps(function)
        def warn_and_call(*args: P.args, **kwargs: P.kwargs) -> R:
            warnings.warn(str(_KNOWN[name]), DeprecatedName, stacklevel=2)
            return function(*args, **kwargs)

        return warn_and_call

    return mark


def deprecations() -> list[Deprecation]:
    """Return what the modules that are loaded say will go away, by name."""
    return sorted(_KNOWN.values(), key=lambda one: one.name)
