"""Progress for people, on standard error, and nothing for machines."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Advance", "progress"]

Advance = Callable[[float], None]


@contextmanager
def progress(what: str, total: float, *, show: bool | None = None) -> Iterator[Advance]:
    """Show a bar while the body runs; call the yielded function with the units done.

    Parameters
    ----------
    what
        What is being done, e.g. ``"attributing cells"``.
    total
        Units of work.
    show
        `None` shows the bar when standard error is a terminal.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda units: bar.advance(task, units)
