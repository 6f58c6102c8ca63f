"""Where independent tasks run: in this process, in processes of this machine, or on a dask cluster."""

import multiprocessing
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from insignia.core.errors import InputError, InsigniaError
from insignia.core.optional import need
from insignia.core.settings import num_threads

__all__ = ["run_tasks"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_RETRIES: Final = 2
_CONNECT: Final = "30s"
_AGAIN: Final = (
    "What is finished is kept: run the same again to go on, with more memory for each worker or more shards."
)


def run_tasks(task: Callable[[Item], Result], items: Sequence[Item], *, executor: object = 1) -> Iterator[Result]:
    """Call `task` with each item and yield the results as they come.

    Parameters
    ----------
    task
        What is done; for other processes it must be importable there.
    items
        What it is called with, one at a time; sent to the other process as well.
    executor
        A number of processes of this machine, 1 for this one; the address of a dask scheduler; or a
        `distributed.Client`.

    Raises
    ------
    InputError
        The executor is none of these, or there is no scheduler at the address.
    InsigniaError
        Workers died over and over. What a task raises is passed on.
    MissingDependency
        A scheduler is named and dask.distributed is not installed.
    """
    if isinstance(executor, str):
        return _on_scheduler(task, items, executor)
    if isinstance(executor, int) and not isinstance(executor, bool) and executor >= 1:
        return map(task, items) if executor == 1 else _in_processes(task, items, executor)
    if hasattr(executor, "submit") and hasattr(executor, "scheduler"):
        return _on_client(task, items, executor)
    raise InputError(
        "executor takes a number of processes from 1, the address of a dask scheduler (tcp://host:8786) or a "
        f"distributed.Client; found {executor!r}."
    )


def _in_processes(task: Callable[[Item], Result], items: Sequence[Item], n_processes: int) -> Iterator[Result]:
    # a forked child would inherit locks of torch's threads
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(n_processes, max(1, len(items))), mp_context=context) as pool:
        with _threads_shared_by(n_processes):
            futures = [pool.submit(task, item) for item in items]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise InsigniaError(f"A process died: killed, or out of memory? {_AGAIN}") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _threads_shared_by(n_processes: int) -> Iterator[None]:
    """Let each new process have its share of the threads; numeric libraries read this when they are loaded."""
    name = "OMP_NUM_THREADS"
    if name in os.environ:
        yield
        return
    os.environ[name] = str(max(1, num_threads() // n_processes))
    try:
        yield
    finally:
        del os.environ[name]


def _on_scheduler(task: Callable[[Item], Result], items: Sequence[Item], address: str) -> Iterator[Result]:
    distributed = need("distributed", extra="cluster", purpose="A dask scheduler")
    try:
        client = distributed.Client(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"No dask scheduler answers at {address!r} ({error}). Expected an address such as tcp://host:8786, as "
            "`dask scheduler` prints it."
        ) from error
    with client:
        yield from _on_client(task, items, client)


def _on_client(task: Callable[[Item], Result], items: Sequence[Item], client: Any) -> Iterator[Result]:
    distributed = need("distributed", extra="cluster", purpose="A dask client")
    token = uuid.uuid4().hex
    # a task of a worker that dies goes to another one by itself; retries are for what a task raises
    futures = [
        client.submit(task, item, key=f"insignia-{number}-{token}", pure=False, retries=_RETRIES)
        for number, item in enumerate(items)
    ]
    try:
        for future in distributed.as_completed(futures, loop=client.loop):
            yield future.result()
    except (distributed.KilledWorker, CancelledError) as error:
        raise InsigniaError(f"Workers died or the scheduler went away ({error}). {_AGAIN}") from error
    finally:
        client.cancel([future for future in futures if not future.done()])
