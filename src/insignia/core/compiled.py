"""Loops compiled by numba, with the compiled code kept in the user's cache folder, so that only the first use compiles.

Only files of kernels import this module: importing it imports numba.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

from insignia.core.settings import cache_dir

__all__ = ["compiled"]

F = TypeVar("F", bound=Callable[..., object])


def compiled(**options: Any) -> Callable[[F], F]:
    """Compile a function on its first call, without the interpreter's lock; `options` go to `numba.njit`."""

    def decorate(function: F) -> F:
        # numba reads the folder while decorating; other packages' caches stay where they are
        theirs = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = theirs or str(cache_dir() / "numba")
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)  # type: ignore[no-any-return]
        finally:
            numba.config.CACHE_DIR = theirs

    return decorate
