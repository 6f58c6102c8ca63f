"""What a predictor must do: learn from a screen, and say what cells become after a perturbation."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from insignia.core.errors import InputError
from insignia.core.registry import Registry
from insignia.data.condition import Condition
from insignia.data.gene_priors import GenePriors
from insignia.data.perturbation import PerturbationData

__all__ = ["Effect", "Predictor", "make_predictor", "predictors"]


@dataclass(frozen=True, eq=False)
class Effect:
    """The mean effect of a condition in a context.

    Parameters
    ----------
    delta
        (genes,) change of mean log expression against the controls of the context; NaN throughout where the predictor
        has no answer.
    status
        ``"ok"``; ``"fallback"`` where something was missing and a declared fall-back stands in; ``"none"`` without an
        answer.
    members
        (fits, genes) what each of several fits says of which `delta` is the mean; `None` of a single fit.
    note
        Why, where the status is not ``"ok"``.
    facts
        Numbers by name: distance to the nearest trained perturbation, shrinkage.
    """

    delta: np.ndarray
    status: str = "ok"
    members: np.ndarray | None = None
    note: str = ""
    facts: dict[str, float] | None = None

    @property
    def sd(self) -> np.ndarray | None:
        """(genes,) disagreement of the fits, the least of the errors; `None` of a single fit."""
        return None if self.members is None else np.asarray(self.members.std(axis=0))


class Predictor(ABC):
    """A way to predict perturbation responses.

    A predictor learns from the cells that it is given and from priors, and sees nothing else: what is to be predicted
    was taken out of the screen before.

    Attributes
    ----------
    needs_embedding
        Whether it cannot work without embeddings of the perturbed genes.
    is_fixed
        Whether it was fitted before: then seeds and priors change nothing.
    """

    needs_embedding: bool = False
    is_fixed: bool = False

    @abstractmethod
    def fit(
        self,
        data: PerturbationData,
        *,
        priors: GenePriors | None = None,
        seed: int = 0,
        show_progress: bool | None = None,
    ) -> "Predictor":
        """Learn from a screen, and return itself."""

    @abstractmethod
    def effect(self, condition: Condition, context: str) -> Effect:
        """Predict the mean effect of a condition; the control has none."""

    def cells(
        self,
        condition: Condition,
        context: str,
        source: np.ndarray,
        *,
        rng: np.random.Generator,  # noqa: ARG002 - for predictors that draw cells
    ) -> np.ndarray:
        """Predict what control cells become.

        Parameters
        ----------
        condition, context
            What is done, and where.
        source
            (cells, genes) log expression of control cells of the context.
        rng
            For predictors that draw.

        Returns
        -------
        (cells, genes) log expression. By default the sources moved by the mean effect, never below 0.
        """
        moved: np.ndarray = np.maximum(source + self.effect(condition, context).delta.astype(source.dtype), 0)
        return moved

    def describe(self) -> dict[str, Any]:
        """Facts for people and JSON: parameters, what was chosen while fitting."""
        return {}


predictors: Registry[Callable[[], Predictor]] = Registry("predictor", entry_point="insignia.predictors")


def make_predictor(name: str, options: Mapping[str, Any]) -> Predictor:
    """Make a registered predictor.

    Raises
    ------
    UnknownName
        There is no such predictor.
    InputError
        It does not take the options.
    """
    make: Any = predictors[name]
    try:
        made: Predictor = make(**options)
    except TypeError as error:
        raise InputError(f"{name} cannot be made with the options {', '.join(options)}: {error}.") from error
    return made
