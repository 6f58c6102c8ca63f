"""The same signature on the same cells, scored by attribution and by other ways that the field uses."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.attribution.scorable import match_or_warn, scorable_genes
from insignia.core import keys
from insignia.core.errors import InputError, LeftOutWarning, MissingDependency, MissingMetadata
from insignia.data import Expression, InputSpace
from insignia.genes import GeneMatch, Signature
from insignia.genes.scorers import GeneSet, score_sets, scorers
from insignia.models.preprocessing import log_normalise
from insignia.stats import auroc_by_donor

__all__ = ["ScoredCells", "SideBySide", "side_by_side"]


@dataclass(frozen=True, eq=False)
class ScoredCells:
    """What scorers read of cells, read once and when it is first asked for.

    Parameters
    ----------
    adata
        Cells in memory.
    attribution
        Layer with attributions, rows scaled to 1,000.
    layer, input_space
        Where expression is and what it holds; `None` reads `adata.X` and looks.
    gene_symbols, gene_ids
        `var` columns with symbols and Ensembl ids.
    """

    adata: AnnData
    attribution: str = keys.ATTRIBUTION
    layer: str | None = None
    input_space: InputSpace | None = None
    gene_symbols: str | None = None
    gene_ids: str | None = None
    _read: dict[str, Any] = field(default_factory=dict, repr=False)

    def matrix(self, reads: str) -> Any:
        """(cells, genes): ``"attribution"``, or ``"expression"`` as log1p of counts per 10,000."""
        if reads not in self._read:
            self._read[reads] = self._attributions() if reads == "attribution" else self._expression()
        return self._read[reads]

    def _attributions(self) -> Any:
        if self.attribution not in self.adata.layers:
            raise MissingMetadata(
                f"adata has no layer {self.attribution!r} (layers: {list(self.adata.layers)}). "
                "Run ins.tl.attribute(adata, model) first."
            )
        return self.adata.layers[self.attribution]

    def _expression(self) -> Any:
        expression = Expression.from_adata(
            self.adata,
            layer=self.layer,
            input_space=self.input_space,
            gene_symbols=self.gene_symbols,
            gene_ids=self.gene_ids,
        )
        return log_normalise(expression.block(0, expression.n_cells))


@dataclass(frozen=True, eq=False)
class SideBySide:
    """Scores of one signature by several methods.

    Parameters
    ----------
    signature
        What was scored.
    scores
        (cells, methods) float64, each method in its own unit, higher is more active; indexed like the cells.
    match
        Where the signature's genes were found; every method scored the same genes.
    left_out
        Methods that were not asked for by name and could not run, each with the reason.
    """

    signature: Signature
    scores: pd.DataFrame
    match: GeneMatch
    left_out: dict[str, str]

    def spearman(self) -> pd.DataFrame:
        """Rank correlation of the methods over the cells, (methods, methods); NaN where a score does not vary."""
        return self.scores.corr(method="spearman")

    def auroc(self, positive: np.ndarray, donors: np.ndarray | None = None, *, seed: int = 0) -> pd.DataFrame:
        """How well each method tells marked cells from the others, within every donor; see `auroc_by_donor`."""
        parts = [
            auroc_by_donor(self.scores[name].to_numpy(), positive, donors, rng=seed).assign(method=str(name))
            for name in self.scores
        ]
        table = pd.concat(parts, ignore_index=True)
        return table[["method", *table.columns.drop("method")]]


def side_by_side(
    cells: ScoredCells,
    signature: Signature,
    *,
    methods: Sequence[str] | None = None,
    min_coverage: float = 0.5,
    stacklevel: int = 2,
) -> SideBySide:
    """Score a signature on the same cells and the same genes by several methods.

    Parameters
    ----------
    cells
        What is scored.
    signature
        Where attribution is among the methods, genes that its model does not know are missing for all of them.
    methods
        Names of `insignia.genes.scorers.scorers`; `None` takes all that can run and warns of the others.
    min_coverage
        Share of the signature's genes below which it is refused.
    stacklevel
        Of warnings.

    Raises
    ------
    UnknownName, MissingDependency, MissingMetadata
        A method that was asked for by name is unknown or lacks its package or its layer.
    GeneMatchError
        Less than `min_coverage` of the genes are there.
    InputError
        No method can run, one is named twice, or one that was asked for cannot score the signature.

    Warns
    -----
    LeftOutWarning
        Methods were left out; the reasons are given.
    CoverageWarning
        Some genes of the signature are not there.
    """
    asked = list(scorers) if methods is None else list(methods)
    if len(set(asked)) < len(asked):
        raise InputError(f"Each method is named once; found {', '.join(asked)}.")
    left_out = {} if methods is not None else _cannot_run(cells, asked)
    names = [name for name in asked if name not in left_out]
    attributed = any(scorers[name].reads == "attribution" for name in names)
    layer = cells.attribution if attributed else None
    genes = scorable_genes(cells.adata, layer, gene_symbols=cells.gene_symbols, gene_ids=cells.gene_ids)
    match = match_or_warn(signature, genes, min_coverage, stacklevel=stacklevel + 1)
    columns = {}
    for name in names:
        try:
            columns[name] = _scored(cells, name, signature, match)
        except InputError as error:
            if methods is not None:
                raise
            left_out[name] = str(error)
    if left_out:
        reasons = " ".join(f"{name}: {reason}" for name, reason in left_out.items())
        warnings.warn(f"{len(left_out)} of {len(asked)} methods left out. {reasons}", LeftOutWarning, stacklevel)
    if not columns:
        raise InputError("No method was left that can score these cells; the warning above says why.")
    return SideBySide(signature, pd.DataFrame(columns, index=cells.adata.obs_names), match, left_out)


def _cannot_run(cells: ScoredCells, names: Sequence[str]) -> dict[str, str]:
    """Say of each method that lacks its package or its layer what is missing."""
    reasons = {}
    for name in names:
        scorer = scorers[name]
        try:
            scorer.check()
            cells.matrix(scorer.reads)
        except (MissingDependency, MissingMetadata) as error:
            reasons[name] = str(error)
    return reasons


def _scored(cells: ScoredCells, name: str, signature: Signature, match: GeneMatch) -> np.ndarray:
    made = GeneSet.from_match(signature.name, match, signature.weight_array)
    return score_sets(name, cells.matrix(scorers[name].reads), [made])[:, 0]
