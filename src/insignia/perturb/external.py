"""Predictions that were made elsewhere, by GEARS, CellFlow, STATE or anyone, answering like any predictor."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_matrix

from insignia.core.errors import InputError
from insignia.data.condition import Condition
from insignia.data.gene_priors import GenePriors
from insignia.data.perturbation import PerturbationData
from insignia.perturb.contract import Effect, Predictor

__all__ = ["ExternalPredictions"]

Group = tuple[Condition, str]


class ExternalPredictions(Predictor):
    """Cells or means that another program predicted, under the genes and contexts of a screen.

    Parameters
    ----------
    cells
        By condition and context, (cells, genes) log expression; one row is a mean.
    against
        What an effect is measured against: control cells of the ``"screen"``, or the ``"own"`` ones of the file.
    notes
        What was changed while reading.
    """

    is_fixed = True

    def __init__(
        self,
        cells: Mapping[Group, csr_matrix],
        *,
        against: Literal["screen", "own"] = "screen",
        notes: Sequence[str] = (),
    ) -> None:
        if against not in ("screen", "own"):
            raise InputError(f"against takes 'screen' or 'own', found {against!r}.")
        perturbed = {context for condition, context in cells if not condition.is_control}
        without = sorted(context for context in perturbed if (Condition(), context) not in cells)
        if against == "own" and without:
            raise InputError(
                f"against='own' needs control cells in the file, and there are none in {', '.join(without[:5])}. Name "
                "their label with control=, or measure against the control cells of the screen."
            )
        self.predicted, self.against, self.notes = dict(cells), against, tuple(notes)

    def fit(
        self,
        data: PerturbationData,
        *,
        priors: GenePriors | None = None,  # noqa: ARG002 - it was fitted elsewhere
        seed: int = 0,  # noqa: ARG002
        show_progress: bool | None = None,  # noqa: ARG002
    ) -> "ExternalPredictions":
        """Take the control cells that effects are measured against; nothing is learned."""
        contexts = {context for _, context in self.predicted}
        self._base = {context: data.mean(data.controls(context)) for context in data.contexts if context in contexts}
        return self

    def effect(self, condition: Condition, context: str) -> Effect:
        """Mean of the predicted cells minus that of the controls; no answer where the file has none."""
        if condition.is_control:
            return Effect(np.zeros(self._n_genes))
        if (condition, context) not in self.predicted:
            return Effect(np.full(self._n_genes, np.nan), "none", note=f"the file has no {condition} in {context}")
        return Effect(_mean(self.predicted[condition, context]) - self._own_base(context))

    def cells(self, condition: Condition, context: str, source: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
        """Draw predicted cells; where the file has a mean only, the source moved by the effect."""
        found = self.predicted.get((condition, context))
        if found is None or found.shape[0] < 2:
            return super().cells(condition, context, source, rng=rng)
        rows = np.sort(rng.permutation(found.shape[0])[: len(source)])
        drawn = np.asarray(found[rows].toarray())
        between = (self._base[context] - self._own_base(context)).astype(drawn.dtype)
        return np.asarray(np.maximum(drawn + between, 0))

    def describe(self) -> dict[str, Any]:
        """Say what the file holds."""
        sizes = [cells.shape[0] for (condition, _), cells in self.predicted.items() if not condition.is_control]
        return {
            "conditions": len(sizes),
            "cells": int(sum(sizes)),
            "only_means": all(size < 2 for size in sizes),
            "against": self.against,
            "notes": list(self.notes),
        }

    @property
    def _n_genes(self) -> int:
        return int(next(iter(self.predicted.values())).shape[1])

    def _own_base(self, context: str) -> np.ndarray:
        if self.against == "own":
            return _mean(self.predicted[Condition(), context])
        return self._base[context]


def _mean(cells: csr_matrix) -> np.ndarray:
    return np.asarray(cells.mean(axis=0, dtype=np.float64)).ravel()
