"""Numba with its compiled code kept in the user's cache folder, so that the first query is not a compile.

Only files of kernels import this module: importing it imports numba.
"""

import os

from insignia.core.settings import cache_dir

# numba reads this when it is first imported
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_dir() / "numba"))

from functools import partial

import numba

__all__ = ["njit"]

njit = partial(numba.njit, nogil=True, cache=True)
