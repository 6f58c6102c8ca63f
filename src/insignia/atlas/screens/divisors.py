"""What sums of weight x value are divided by, for many signatures and sets of measured genes at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix

from insignia.core.errors import GeneMatchError, InputError
from insignia.genes import GeneMatch, Signature, normaliser

__all__ = ["Divisors", "SignatureMatrix", "check_found"]

_CANCELLED = 1e-6


@dataclass(frozen=True, eq=False)
class SignatureMatrix:
    """Signatures in terms of a gene table.

    Attributes
    ----------
    starts, genes, weights
        Positions, int64, ascending within each signature, and float32 weights of the genes of the k-th signature stand
        between ``starts[k]`` and ``starts[k + 1]``.
    asked
        How many genes each signature has, found or not.
    """

    starts: np.ndarray
    genes: np.ndarray
    weights: np.ndarray
    asked: np.ndarray

    @classmethod
    def of(cls, signatures: Sequence[Signature], matches: Sequence[GeneMatch]) -> "SignatureMatrix":
        """Take the genes that were found."""
        return cls.at(signatures, [match.index for match in matches])

    @classmethod
    def at(cls, signatures: Sequence[Signature], positions: Sequence[np.ndarray]) -> "SignatureMatrix":
        """Take the genes that were found: those whose position is not -1."""
        genes, weights, asked = [], [], []
        for one, index in zip(signatures, positions, strict=True):
            found = np.flatnonzero(index >= 0)
            # in the order of the table, as in a search: sums are then free of the order of the genes
            found = found[np.argsort(index[found], kind="stable")]
            genes.append(index[found].astype(np.int64))
            weights.append(one.weight_array[found].astype(np.float32))
            asked.append(len(index))
        starts = np.cumsum([0, *(one.size for one in genes)])
        return cls(starts, np.concatenate(genes), np.concatenate(weights), np.array(asked))

    def __len__(self) -> int:
        return len(self.asked)


@dataclass(frozen=True, eq=False)
class Divisors:
    """Divisors and coverage, (sets of measured genes, signatures) each.

    Attributes
    ----------
    values
        NaN where the signature has no score: too few of its genes were measured, or their weights cancel.
    found
        How many genes of the signature were measured.
    """

    values: np.ndarray
    found: np.ndarray

    @classmethod
    def of(cls, measured: np.ndarray, matrix: SignatureMatrix, *, agg: str, min_coverage: float) -> "Divisors":
        """Work them out by the rules of a search.

        Parameters
        ----------
        measured
            (sets, genes) bool.

        Raises
        ------
        InputError
            `min_coverage` is not a fraction.
        SignatureError
            `agg` is unknown.
        """
        if not 0 <= min_coverage <= 1:
            raise InputError(f"min_coverage is a fraction within 0 and 1; found {min_coverage}.")
        normaliser(np.ones(1), agg)
        shape = (measured.shape[1], len(matrix))
        has = csr_matrix(measured, dtype=np.float64)
        found, size, total = (
            np.asarray((has @ csc_matrix((values, matrix.genes, matrix.starts), shape=shape)).toarray())
            for values in (np.ones(matrix.genes.size), np.abs(matrix.weights), matrix.weights.astype(np.float64))
        )
        values = {"mean": size, "sum": np.ones_like(size), "weighted_mean": total}[agg].copy()
        cancelled = np.abs(total) <= _CANCELLED * size if agg == "weighted_mean" else False
        values[(size == 0) | cancelled] = np.nan
        values[found < np.maximum(1, min_coverage * matrix.asked)] = np.nan
        return cls(values, found.astype(np.int64))


def check_found(signatures: Sequence[Signature], matrix: SignatureMatrix) -> None:
    """Refuse signatures none of which has a gene in the table."""
    if not matrix.genes.size:
        names = [name for one in signatures for name in one.genes[:2]][:5]
        raise GeneMatchError(
            f"None of the genes of {len(signatures):,} signatures is in the gene table of the atlas, e.g. "
            f"{', '.join(names)}. Check the organism and the kind of names."
        )
