"""What a source of programs must do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from insignia.core.registry import Registry
from insignia.perturb.programs.evidence import Evidence

__all__ = ["Found", "ProgramSource", "SourceOptions", "program_sources"]


@dataclass(frozen=True)
class SourceOptions:
    """How programs are made.

    Parameters
    ----------
    n_programs
        How many.
    smallest, largest
        Bounds of a program's size as shares of the mean size, rounded outwards; 1 and 1 make sizes as equal as can be.
    seed
        Of starting points.
    """

    n_programs: int
    smallest: float = 1.0
    largest: float = 1.0
    seed: int = 0

    def bounds(self, n_genes: int) -> tuple[int, int]:
        """Smallest and largest size for so many genes."""
        mean = n_genes / self.n_programs
        return int(np.floor(self.smallest * mean)), int(np.ceil(self.largest * mean))


@dataclass(frozen=True, eq=False)
class Found:
    """Labels of the genes of the evidence, -1 where it knows nothing, and facts about the search."""

    labels: np.ndarray
    facts: Mapping[str, Any] = field(default_factory=dict)


ProgramSource = Callable[[Evidence, SourceOptions], Found]

program_sources: Registry[ProgramSource] = Registry("source of programs", entry_point="insignia.program_sources")
