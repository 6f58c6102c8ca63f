"""Registries of things that are added by one file and one registration."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from insignia.core.errors import UnknownName

__all__ = ["Entry", "Registry"]

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered thing, with the source (paper or document) that defines it."""

    name: str
    value: T
    source: str


class Registry(Generic[T]):
    """Things by name; a second claim on a name is refused.

    Parameters
    ----------
    kind
        What an entry is called in messages, e.g. ``"attribution method"``.
    entry_point
        Group of package entry points that are loaded, once, when a name is looked up.
    """

    def __init__(self, kind: str, *, entry_point: str | None = None) -> None:
        self.kind = kind
        self._entry_point = entry_point
        self._entries: dict[str, Entry[T]] = {}

    def add(self, name: str, *, source: str = "") -> Callable[[T], T]:
        """Register the decorated object under `name`."""

        def register(value: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered already, by {self._entries[name].value!r}.")
            self._entries[name] = Entry(name, value, source)
            return value

        return register

    def entry(self, name: str) -> Entry[T]:
        """Return the entry of `name`; `UnknownName` lists what there is."""
        self._load_entry_points()
        if name not in self._entries:
            close = get_close_matches(name, self._entries, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UnknownName(f"There is no {self.kind} {name!r}. Known: {', '.join(sorted(self._entries))}.{hint}")
        return self._entries[name]

    def __getitem__(self, name: str) -> T:
        return self.entry(name).value

    def __iter__(self) -> Iterator[str]:
        self._load_entry_points()
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        self._load_entry_points()
        return name in self._entries

    def __len__(self) -> int:
        self._load_entry_points()
        return len(self._entries)

    def _load_entry_points(self) -> None:
        group, self._entry_point = self._entry_point, None
        if group is not None:
            for point in entry_points(group=group):
                point.load()
