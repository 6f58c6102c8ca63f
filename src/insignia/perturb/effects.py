"""Mean effects of the conditions of a screen, against the controls of their own context."""

from dataclasses import dataclass

import numpy as np

from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.data.perturbation import PerturbationData

__all__ = ["GroupEffects", "group_effects"]


@dataclass(frozen=True, eq=False)
class GroupEffects:
    """Mean effect of each perturbed group of cells.

    Parameters
    ----------
    conditions, contexts
        (groups,) what was done, and where.
    delta
        (groups, genes) mean log expression minus that of the controls of the context, float64.
    n_cells
        (groups,).
    """

    conditions: tuple[Condition, ...]
    contexts: tuple[str, ...]
    delta: np.ndarray
    n_cells: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(genes,) mean over the groups, each counted once."""
        mean: np.ndarray = self.delta.mean(axis=0)
        return mean

    def measured(self, condition: Condition, context: str) -> np.ndarray | None:
        """Effect of a condition in a context itself, or `None`."""
        groups = zip(self.conditions, self.contexts, self.delta, strict=True)
        return next((delta for one, where, delta in groups if (one, where) == (condition, context)), None)

    def of(self, condition: Condition, context: str) -> np.ndarray | None:
        """Effect of a condition in a context, else its mean over other contexts, else `None`."""
        places = [i for i, known in enumerate(self.conditions) if known == condition]
        here = [i for i in places if self.contexts[i] == context]
        return self.delta[here or places].mean(axis=0) if places else None


def group_effects(data: PerturbationData) -> GroupEffects:
    """Take the mean effect of every perturbed group.

    Raises
    ------
    InputError
        A context has no controls, or nothing was perturbed.
    """
    groups = [(condition, context) for condition, context in data.groups if not condition.is_control]
    if not groups:
        raise InputError("The screen has control cells only: there is no effect to learn from.")
    controls = {context: data.mean(data.controls(context)) for context in {context for _, context in groups}}
    rows = [data.rows(*group) for group in groups]
    delta = np.array([data.mean(cells) - controls[context] for cells, (_, context) in zip(rows, groups, strict=True)])
    conditions, contexts = zip(*groups, strict=True)
    return GroupEffects(conditions, contexts, delta, np.array([len(cells) for cells in rows]))
