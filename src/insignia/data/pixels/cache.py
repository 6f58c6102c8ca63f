"""Decoded pictures kept for a while, within a limit for the whole process."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import RLock

import numpy as np

__all__ = ["ArrayCache", "decoded"]


class ArrayCache:
    """Arrays by key; the ones unused for longest go when their sum passes `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = RLock()

    def get(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the array of `key`, made if it is not there; nobody may write into it."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
        array = make()
        array.flags.writeable = False
        with self._lock:
            if key not in self._arrays:
                self.bytes += array.nbytes
            self._arrays[key] = array
            # the newest stays whatever its size, or a large picture would be decoded for every patch
            while self.bytes > self.limit and len(self._arrays) > 1:
                self.bytes -= self._arrays.popitem(last=False)[1].nbytes
        return array

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._arrays.clear()
            self.bytes = 0


decoded = ArrayCache(512 * 2**20)
