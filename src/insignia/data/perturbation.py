"""A perturbation screen: cells, what was done to each, and in which context."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from insignia.core.errors import GeneMatchError, InputError
from insignia.data.condition import Condition

__all__ = ["PerturbationData"]

Group = tuple[Condition, str]


@dataclass(frozen=True, eq=False)
class PerturbationData:
    """The cells of a screen as arrays; readers make it from AnnData.

    A context, e.g. a cell type, has its own controls: controls of one context never serve another.

    Parameters
    ----------
    genes
        Measured genes; everything that belongs to a gene goes by its name and never by its place.
    expression
        (cells, genes) CSR float32, log1p of counts scaled to `scale`.
    conditions
        The conditions, sorted by their text.
    condition
        (cells,) position in `conditions`.
    contexts
        The contexts, sorted.
    context
        (cells,) position in `contexts`.
    replicates
        The replicates or batches, sorted.
    replicate
        (cells,) position in `replicates`.
    cells
        (cells,) names.
    scale
        Total to which counts were scaled before the logarithm; NaN where unknown.
    notes
        What a reader assumed or changed.
    """

    genes: tuple[str, ...]
    expression: csr_matrix
    conditions: tuple[Condition, ...]
    condition: np.ndarray
    contexts: tuple[str, ...]
    context: np.ndarray
    replicates: tuple[str, ...]
    replicate: np.ndarray
    cells: np.ndarray
    scale: float = 1e4
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n_cells, n_genes = self.expression.shape
        lengths = {len(self.condition), len(self.context), len(self.replicate), len(self.cells), n_cells}
        if len(lengths) > 1 or n_genes != len(self.genes):
            raise InputError(
                f"The parts of a screen disagree: {sorted(lengths)} cells, {n_genes} and {len(self.genes)} genes."
            )
        if len(set(self.genes)) < n_genes or len(set(self.conditions)) < len(self.conditions):
            raise InputError("Genes and conditions of a screen must be unique.")

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The conditions with cells, each with its context, controls included."""
        return tuple((self.conditions[i], self.contexts[j]) for i, j in sorted(self._rows))

    @cached_property
    def _rows(self) -> dict[tuple[int, int], np.ndarray]:
        code = self.condition.astype(np.int64) * len(self.contexts) + self.context
        order = np.argsort(code, kind="stable")
        values, starts = np.unique(code[order], return_index=True)
        parts = np.split(order, starts[1:])
        return {divmod(int(value), len(self.contexts)): rows for value, rows in zip(values, parts, strict=True)}

    def rows(self, condition: Condition, context: str) -> np.ndarray:
        """Positions of the cells of a condition in a context; empty if there are none."""
        if condition not in self.conditions or context not in self.contexts:
            return np.empty(0, dtype=np.int64)
        place = self.conditions.index(condition), self.contexts.index(context)
        return self._rows.get(place, np.empty(0, dtype=np.int64))

    def controls(self, context: str) -> np.ndarray:
        """Positions of the control cells of a context.

        Raises
        ------
        InputError
            It has none.
        """
        rows = self.rows(Condition(), context)
        if not len(rows):
            raise InputError(f"Context {context!r} has no control cells, and those of another context do not serve.")
        return rows

    def mean(self, rows: np.ndarray) -> np.ndarray:
        """Mean expression of some cells: (genes,), float64."""
        return np.asarray(self.expression[rows].mean(axis=0, dtype=np.float64)).ravel()

    def take(self, rows: np.ndarray) -> "PerturbationData":
        """Keep some of the cells, and only the conditions that they have."""
        kept = np.unique(self.condition[rows])
        return replace(
            self,
            expression=self.expression[rows],
            conditions=tuple(self.conditions[i] for i in kept),
            condition=np.searchsorted(kept, self.condition[rows]),
            context=self.context[rows],
            replicate=self.replicate[rows],
            cells=self.cells[rows],
        )

    def without(self, conditions: Sequence[Condition]) -> "PerturbationData":
        """Leave out all cells of some conditions."""
        gone = [i for i, condition in enumerate(self.conditions) if condition in set(conditions)]
        return self.take(np.flatnonzero(~np.isin(self.condition, gone)))

    def with_genes(self, genes: Sequence[str]) -> "PerturbationData":
        """Keep some genes, in their order.

        Raises
        ------
        GeneMatchError
            One was not measured.
        """
        place = {gene: i for i, gene in enumerate(self.genes)}
        absent = [gene for gene in genes if gene not in place]
        if absent or not len(genes):
            raise GeneMatchError(f"{len(absent):,} of {len(genes):,} genes were not measured, e.g. {absent[:5]}.")
        columns = np.array([place[gene] for gene in genes])
        return replace(self, genes=tuple(genes), expression=csr_matrix(self.expression[:, columns]))
