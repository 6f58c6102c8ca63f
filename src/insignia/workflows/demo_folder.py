"""The folder that a demo writes: empty before, with a summary after."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from insignia.core.errors import InputError
from insignia.core.files import atomic_file
from insignia.workflows.demo_steps import Timings

__all__ = ["DemoFolder"]


class DemoFolder:
    """The output of one demo, and how long it took.

    Parameters
    ----------
    output
        Folder, which must not exist yet or be empty.

    Raises
    ------
    InputError
        There is something in it.
    """

    def __init__(self, output: Path) -> None:
        if output.exists() and any(output.iterdir()):
            raise InputError(
                f"{output} is not empty, and a demo overwrites nothing. Choose another folder or empty it."
            )
        output.mkdir(parents=True, exist_ok=True)
        self.output, self.timings, self._started = output, Timings(), time.perf_counter()

    def summarise(self, paths: Mapping[str, Path], headline: Mapping[str, Any]) -> dict[str, Any]:
        """Write ``summary.json`` with the paths, the headline figures and the seconds, and return what it holds."""
        summary = {
            "report": str(self.output / "report.html"),
            **{name: str(path) for name, path in paths.items()},
            **headline,
            "seconds": {**self.timings, "total": round(time.perf_counter() - self._started, 1)},
        }
        with atomic_file(self.output / "summary.json") as temporary:
            temporary.write_text(json.dumps(summary, indent=2))
        return summary
