"""The bounded pool in which queries run, so that many users share few cores."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from insignia.core.errors import InsigniaError
from insignia.serve.options import ServeOptions

__all__ = ["TooBusy", "TooSlow", "Work"]

T = TypeVar("T")


class TooBusy(InsigniaError):
    """More queries wait than may."""


class TooSlow(InsigniaError):
    """A query took longer than it may."""


class Work:
    """Runs queries in a few threads; a query that is given up keeps its thread until it ends."""

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._pool = ThreadPoolExecutor(options.n_workers, thread_name_prefix="insignia-query")
        self._open = 0
        self._lock = Lock()

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in the pool.

        Raises
        ------
        TooBusy
            Too many wait already.
        TooSlow
            It did not end in time.
        """
        limit = self._options.n_workers + self._options.max_waiting
        with self._lock:
            if self._open >= limit:
                raise TooBusy(f"{limit} queries run or wait already. Try again in a few seconds.")
            self._open += 1
        loop, started = asyncio.get_running_loop(), asyncio.Event()

        def begin() -> T:
            loop.call_soon_threadsafe(started.set)
            return work()

        future = self._pool.submit(begin)
        future.add_done_callback(self._done)
        wrapped = asyncio.wrap_future(future)
        # also where it is dropped before it began
        wrapped.add_done_callback(lambda _: started.set())
        # its time begins when a worker takes it, so that a query is not given up because others were slow
        await started.wait()
        try:
            return await asyncio.wait_for(asyncio.shield(wrapped), self._options.timeout_s)
        except TimeoutError:
            wrapped.add_done_callback(_forget)
            raise TooSlow(
                f"The query was given up after {self._options.timeout_s:g} s. Choose fewer cells by filters, or start "
                "the explorer with a larger --timeout."
            ) from None

    def _done(self, _: "Future[T]") -> None:
        with self._lock:
            self._open -= 1

    def close(self) -> None:
        """Stop; waiting queries are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _forget(future: "asyncio.Future[T]") -> None:
    # otherwise asyncio complains of an error that nobody read
    if not future.cancelled():
        future.exception()
