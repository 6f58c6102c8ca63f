"""The demos, by name."""

from pathlib import Path
from typing import Any, Protocol

from insignia.core.registry import Registry

__all__ = ["Demo", "demos"]


class Demo(Protocol):
    """Run one demo into a folder and return paths and headline figures."""

    def __call__(self, output: Path, *, quick: bool, show_progress: bool | None) -> dict[str, Any]:
        """Write into `output`."""


demos: Registry[Demo] = Registry("demo")
