"""A cache of answers: the least recently used go first, and equal questions asked at once are worked out once."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Any, Generic, TypeVar

__all__ = ["Memo"]

T = TypeVar("T")


class Memo(Generic[T]):
    """Remembers what was worked out, up to a number of bytes.

    Parameters
    ----------
    limit
        Bytes to keep.
    size
        Bytes of one value.
    """

    def __init__(self, limit: int, size: Callable[[T], int]) -> None:
        self._limit, self._size = limit, size
        self._kept: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._running: dict[Hashable, Future[T]] = {}
        self._lock = Lock()
        self._bytes = 0
        self.hits = self.misses = 0

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of a key, worked out by `make` unless it is known or somebody is at it.

        Raises
        ------
        Exception
            Whatever `make` raises; failures are not kept.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                self.hits += 1
                return self._kept[key][0]
            other = self._running.get(key)
            if other is None:
                self.misses += 1
                mine: Future[T] = Future()
                self._running[key] = mine
        if other is not None:
            return other.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._running[key]
            mine.set_exception(error)
            raise
        self._keep(key, value)
        mine.set_result(value)
        return value

    def peek(self, key: Hashable) -> T | None:
        """Return the value of a key if it is known."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            self.hits += 1
            return self._kept[key][0]

    def _keep(self, key: Hashable, value: T) -> None:
        size = self._size(value)
        with self._lock:
            del self._running[key]
            if size > self._limit:
                return
            self._kept[key] = (value, size)
            self._bytes += size
            while self._bytes > self._limit:
                self._bytes -= self._kept.popitem(last=False)[1][1]

    def about(self) -> dict[str, Any]:
        """How much is kept, and how often it helped."""
        return {"entries": len(self._kept), "bytes": self._bytes, "hits": self.hits, "misses": self.misses}
