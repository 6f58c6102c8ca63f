"""Two groups within strata, as every test of them sees them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from insignia.core.errors import InputError

__all__ = ["Arms", "arms_of"]


@dataclass(frozen=True, eq=False)
class Arms:
    """The values of one stratum: those of cases, and those of the others; either may be empty."""

    stratum: Any
    cases: np.ndarray
    others: np.ndarray

    @property
    def has_both(self) -> bool:
        """Whether the stratum says anything about a difference."""
        return bool(self.cases.size and self.others.size)


def arms_of(values: np.ndarray, is_case: np.ndarray, strata: np.ndarray | None) -> list[Arms]:
    """Divide values by stratum and group; `None` makes one stratum.

    Raises
    ------
    InputError
        Lengths differ, or a value is not finite.
    """
    values, is_case = np.asarray(values, dtype=np.float64), np.asarray(is_case, dtype=bool)
    labels = np.zeros(len(values)) if strata is None else np.asarray(strata)
    if not values.shape == is_case.shape == labels.shape or values.ndim != 1:
        raise InputError(f"Values {values.shape}, groups {is_case.shape} and strata {labels.shape} must be one a unit.")
    if not np.isfinite(values).all():
        raise InputError(f"{int((~np.isfinite(values)).sum()):,} of {len(values):,} values are not finite. Drop them.")
    here = [(label, labels == label) for label in np.unique(labels)]
    return [Arms(label, values[rows & is_case], values[rows & ~is_case]) for label, rows in here]
