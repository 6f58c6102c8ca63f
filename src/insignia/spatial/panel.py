"""Which genes are imputed, chosen on what may be seen, and how their counts are normalised."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from anndata import AnnData
from scipy import sparse

from insignia.core.errors import DuplicateNames, GeneMatchError, InputError, MissingMetadata
from insignia.data import check_space

__all__ = ["Panel", "choose_panel", "normalise", "panel_counts"]

_CULPRITS = 5


@dataclass(frozen=True, eq=False)
class Panel:
    """The genes that are imputed.

    Parameters
    ----------
    genes
        Their names, the most abundant first; a list that was given keeps its order.
    source
        How each came in: ``"top by mean count"`` or ``"given"``.
    mean_count
        (genes,) mean raw count per spot, averaged over the sections that were seen.
    ambiguous
        Names that were passed over because a section has them more than once.
    gene_symbols
        Column of `var` that holds the names; `None` for `var_names`.
    n_added
        How many genes, the last ones, were added for signatures.
    """

    genes: tuple[str, ...]
    source: str
    mean_count: np.ndarray
    ambiguous: tuple[str, ...] = ()
    gene_symbols: str | None = None
    n_added: int = 0

    @property
    def sources(self) -> list[str]:
        """How each gene came in."""
        return [self.source] * (len(self) - self.n_added) + ["signature"] * self.n_added

    def __len__(self) -> int:
        return len(self.genes)


def choose_panel(
    measured: Sequence[AnnData],
    genes: int | Sequence[str] = 250,
    *,
    gene_symbols: str | None = None,
    also: Callable[[Sequence[str], np.ndarray], Sequence[str]] | None = None,
) -> Panel:
    """Choose the genes to impute.

    Parameters
    ----------
    measured
        Raw counts of the sections that may be seen, (spots, genes) each: known sections and training stacks, never
        what is to be imputed.
    genes
        How many to take, those with the largest mean count among the genes that all sections measure exactly once; or
        the names to take. Equal means are put in the order of the names.
    gene_symbols
        Column of `var` with the names; `None` takes `var_names`.
    also
        Says, of the names and mean counts of the genes that all sections measure exactly once, which are wanted beside
        the most abundant; it has no say where the names are given.

    Raises
    ------
    GeneMatchError
        The sections share no gene, or lack a gene that was asked for.
    DuplicateNames
        A gene was asked for twice, or a section has it more than once.
    InputSpaceError
        A section does not hold raw counts.
    """
    if not measured:
        raise InputError("A panel is chosen on measured sections, and none was given. Name known or training sections.")
    names = [gene_names(spots, gene_symbols) for spots in measured]
    repeated = {name for section in names for name, times in Counter(section).items() if times > 1}
    shared = set.intersection(*map(set, names))
    if not shared:
        raise GeneMatchError(
            f"The {len(names):,} sections that may be seen share no gene, e.g. {list(names[0][:3])} and "
            f"{list(names[-1][:3])}. Name the var column that they have in common with gene_symbols=."
        )
    if isinstance(genes, int):
        candidates = sorted(shared - repeated)
        means = _mean_counts(measured, names, candidates)
        top = np.argsort(-means, kind="stable")[: _positive(genes)]
        chosen = [candidates[i] for i in top]
        added = [gene for gene in (also(candidates, means) if also else ()) if gene not in set(chosen)]
        places = [*top, *(candidates.index(gene) for gene in added)]
        ambiguous = tuple(sorted(shared & repeated))
        return Panel((*chosen, *added), "top by mean count", means[places], ambiguous, gene_symbols, len(added))
    asked = tuple(genes)
    _refuse_missing(asked, shared)
    _refuse_repeated(asked, repeated)
    return Panel(asked, "given", _mean_counts(measured, names, asked), (), gene_symbols)


def panel_counts(spots: AnnData, panel: Panel) -> np.ndarray:
    """Return the raw counts of the panel's genes, (spots, genes) float64.

    Raises
    ------
    GeneMatchError
        A gene is not there.
    DuplicateNames
        A gene is there more than once.
    """
    names = gene_names(spots, panel.gene_symbols)
    _refuse_missing(panel.genes, set(names))
    _refuse_repeated(panel.genes, {name for name, times in Counter(names).items() if times > 1})
    return _columns(spots, names, panel.genes)


def normalise(counts: np.ndarray) -> np.ndarray:
    """Normalise raw counts of a panel: y = ln((c + 1) / sum over the panel of (c + 1)), (spots, genes) float32."""
    raised = np.asarray(counts, dtype=np.float64) + 1.0
    return np.asarray(np.log(raised / raised.sum(axis=1, keepdims=True)), dtype=np.float32)


def gene_names(spots: AnnData, gene_symbols: str | None = None) -> list[str]:
    """Return the names of the genes of a section."""
    if gene_symbols is None:
        return [str(name) for name in spots.var_names]
    if gene_symbols not in spots.var:
        raise MissingMetadata(f"There is no var column {gene_symbols!r}; there are: {', '.join(spots.var) or 'none'}.")
    return [str(name) for name in spots.var[gene_symbols]]


def _mean_counts(measured: Sequence[AnnData], names: Sequence[list[str]], genes: Sequence[str]) -> np.ndarray:
    for spots in measured:
        check_space(spots.X, "counts", what="a measured section", names=(spots.obs_names, spots.var_names))
    means = [_columns(spots, own, genes).mean(axis=0) for spots, own in zip(measured, names, strict=True)]
    return np.asarray(np.mean(means, axis=0))


def _columns(spots: AnnData, names: Sequence[str], genes: Sequence[str]) -> np.ndarray:
    place = {name: i for i, name in enumerate(names)}
    columns = [place[gene] for gene in genes]
    taken = spots.X.tocsc()[:, columns].toarray() if sparse.issparse(spots.X) else np.asarray(spots.X)[:, columns]
    return np.asarray(taken, dtype=np.float64)


def _positive(n_genes: int) -> int:
    if n_genes < 2:
        raise InputError(f"A panel needs at least 2 genes, because it is normalised over its genes; found {n_genes}.")
    return n_genes


def _refuse_missing(asked: Sequence[str], there: set[str]) -> None:
    missing = [gene for gene in asked if gene not in there]
    if missing:
        raise GeneMatchError(
            f"{len(missing):,} of {len(asked):,} genes of the panel are not measured in every section that may be "
            f"seen, e.g. {missing[:_CULPRITS]}. Leave them out, or name the var column of the names with gene_symbols=."
        )


def _refuse_repeated(asked: Sequence[str], repeated: set[str]) -> None:
    twice = [gene for gene, times in Counter(asked).items() if times > 1]
    if twice:
        raise DuplicateNames(f"The panel names some genes more than once: {twice[:_CULPRITS]}.")
    ambiguous = [gene for gene in asked if gene in repeated]
    if ambiguous:
        raise DuplicateNames(
            f"{len(ambiguous):,} genes of the panel stand in a section more than once, e.g. {ambiguous[:_CULPRITS]}. "
            "Make the names unique, or name a var column of unique ids with gene_symbols=."
        )
