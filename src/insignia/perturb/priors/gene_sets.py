"""Gene sets, and an embedding of genes made from them: useful without any download of weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import svds

from insignia.core.errors import FileFormatError, InputError
from insignia.data.gene_priors import GeneEmbedding
from insignia.genes import read_gmt

__all__ = ["from_gene_sets", "read_gene_sets"]

_NOTHING = 1e-6


def read_gene_sets(*paths: str | Path) -> dict[str, tuple[str, ...]]:
    """Read the sets of one or several GMT files.

    Raises
    ------
    FileFormatError
        A file is no GMT, or two files hold different sets of one name.
    """
    sets: dict[str, tuple[str, ...]] = {}
    for path in paths:
        found = {name: one.genes for name, one in read_gmt(path).items()}
        shared = [name for name, genes in found.items() if name in sets and set(sets[name]) != set(genes)]
        if shared:
            raise FileFormatError(f"{Path(path).name} holds other sets of the names {', '.join(shared[:5])}.")
        sets |= found
    return sets


def from_gene_sets(
    sets: Mapping[str, Sequence[str]],
    *,
    n_dimensions: int = 64,
    min_size: int = 3,
    max_size: int = 500,
    source: str = "gene sets",
) -> GeneEmbedding:
    """Embed genes by the sets that they share: weighted membership, turned onto its main axes.

    Membership of genes in sets is weighted by the rarity of each set, each gene's row is brought to unit length, the
    matrix is cut to its first singular vectors, and rows are brought to unit length again. A gene of which nothing is
    left is missing, not zero.

    Parameters
    ----------
    sets
        Name -> genes.
    n_dimensions
        Length of a gene's vector.
    min_size, max_size
        Sets of other sizes are left out.
    source
        For tables.

    Raises
    ------
    InputError
        Fewer than two sets are left.
    """
    kept = {name: sorted(set(genes)) for name, genes in sets.items() if min_size <= len(set(genes)) <= max_size}
    genes = sorted({gene for members in kept.values() for gene in members})
    if len(kept) < 2 or len(genes) < 3 or n_dimensions < 1:
        raise InputError(
            f"An embedding needs at least two sets of {min_size} to {max_size:,} genes and a dimension; found "
            f"{len(kept)} of {len(sets):,} sets, {len(genes):,} genes and n_dimensions={n_dimensions}."
        )
    weighted = _unit_rows(_weighted_membership(kept, genes))
    size = min(n_dimensions, min(weighted.shape) - 1)
    start = np.random.default_rng(0).normal(size=min(weighted.shape))
    left, values, _ = svds(weighted, k=size, v0=start)
    order = np.argsort(-values)
    left, values = left[:, order], values[order]
    # the sign of a singular vector is free: its largest entry is made positive
    sign = np.sign(left[np.abs(left).argmax(axis=0), np.arange(size)])
    vectors = left * sign * values
    length = np.linalg.norm(vectors, axis=1)
    has = length > _NOTHING
    matrix = (vectors[has] / length[has, None]).astype(np.float32)
    note = f", {int((~has).sum()):,} genes left without a vector" if not has.all() else ""
    named = tuple(gene for gene, is_there in zip(genes, has, strict=True) if is_there)
    return GeneEmbedding(named, matrix, f"{source}, {len(kept):,} sets{note}")


def _weighted_membership(sets: Mapping[str, Sequence[str]], genes: Sequence[str]) -> csr_matrix:
    """(genes, sets) membership times the logarithm of the rarity of each set."""
    place = {gene: i for i, gene in enumerate(genes)}
    rows = np.array([place[gene] for members in sets.values() for gene in members])
    columns = np.repeat(np.arange(len(sets)), [len(members) for members in sets.values()])
    size = np.bincount(columns)
    rarity = 1 + np.log((1 + len(genes)) / (1 + size))
    return csr_matrix((rarity[columns], (rows, columns)), shape=(len(genes), len(sets)))


def _unit_rows(matrix: csr_matrix) -> csr_matrix:
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return csr_matrix(diags(1 / np.maximum(length, 1e-12)) @ matrix)
