"""Conditions as padded sets of tokens that a network reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from insignia.data.condition import Condition
from insignia.perturb.condition_vectors import ConditionVectors

__all__ = ["TokenTable", "Tokens"]


@dataclass(frozen=True, eq=False)
class Tokens:
    """A batch of conditions.

    Parameters
    ----------
    vector
        (conditions, slots, dimensions) embedding of each perturbed gene; 0 where a slot is empty or has none.
    gene
        (conditions, slots) number of a gene that was perturbed in training; 0 where it was not, or the slot is empty.
    extra
        (conditions, slots, kinds + 1) kind as indicators, and log1p of the dose.
    filled
        (conditions, slots) bool.
    """

    vector: Tensor
    gene: Tensor
    extra: Tensor
    filled: Tensor

    def rows(self, rows: Tensor) -> "Tokens":
        """Take some of the conditions."""
        return Tokens(self.vector[rows], self.gene[rows], self.extra[rows], self.filled[rows])

    def to(self, device: torch.device) -> "Tokens":
        """Move to a device."""
        return Tokens(*(part.to(device) for part in (self.vector, self.gene, self.extra, self.filled)))

    def __len__(self) -> int:
        return len(self.gene)


@dataclass(frozen=True, eq=False)
class TokenTable:
    """How conditions become tokens.

    Parameters
    ----------
    vectors
        Embedding of the perturbed genes; `None` works with learned vectors only, so that unseen genes have no answer.
    genes
        Genes that were perturbed in training.
    kinds
        Kinds of perturbation.
    """

    vectors: ConditionVectors | None
    genes: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def n_dimensions(self) -> int:
        """Length of a gene's vector."""
        return 0 if self.vectors is None else self.vectors.size

    def tokens(self, conditions: Sequence[Condition]) -> Tokens:
        """Make a batch; the slots of a condition are in the order of its genes, which is alphabetical."""
        slots = max((len(one.genes) for one in conditions), default=1) or 1
        shape = len(conditions), slots
        vector = np.zeros((*shape, self.n_dimensions), dtype=np.float32)
        gene = np.zeros(shape, dtype=np.int64)
        extra = np.zeros((*shape, len(self.kinds) + 1), dtype=np.float32)
        filled = np.zeros(shape, dtype=bool)
        place = {name: i + 1 for i, name in enumerate(self.genes)}
        for i, condition in enumerate(conditions):
            for j, part in enumerate(condition.perturbations):
                filled[i, j] = True
                gene[i, j] = place.get(part.gene, 0)
                extra[i, j, -1] = np.log1p(part.dose)
                if part.kind in self.kinds:
                    extra[i, j, self.kinds.index(part.kind)] = 1
            if self.vectors is not None and condition.genes:
                values, known = self.vectors.genes(condition.genes)
                vector[i, : len(known)][known] = values[known]
        return Tokens(*map(torch.from_numpy, (vector, gene, extra, filled)))
