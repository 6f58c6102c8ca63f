"""`tl.compare_scores`: one signature scored in several ways, into an AnnData."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from insignia.attribution.side_by_side import ScoredCells, side_by_side
from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata
from insignia.data import InputSpace
from insignia.genes import Signature
from insignia.genes import signature as to_signature

__all__ = ["compare_scores"]


def compare_scores(
    adata: AnnData,
    signature: str | Signature | Sequence[str] | Mapping[str, float],
    *,
    methods: Sequence[str] | None = None,
    attribution: str = keys.ATTRIBUTION,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    labels: str | None = None,
    positive: str | Sequence[str] | None = None,
    donors: str | None = None,
    min_coverage: float = 0.5,
    gene_symbols: str | None = None,
    gene_ids: str | None = None,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Score the same signature on the same cells by attribution and by other ways that the field uses.

    Parameters
    ----------
    adata
        Cells, (cells, genes), in memory.
    signature
        As for `score`.
    methods
        Among ``attribution``, ``log_expression``, ``z_score``, ``tf_idf``, ``score_genes`` (scanpy), ``ucell``
        (pyucell), ``aucell`` and ``ulm`` (decoupler). `None` takes all that can run, and warns of those that cannot.
        All score the same genes: those that the attributed model knows, where attribution is among them.
    attribution
        Layer with attributions.
    layer, input_space
        Where expression is, and whether it is ``"counts"`` or ``"log1p"``; `None` reads `adata.X` and looks.
    labels, positive
        `obs` column, and the value or values of it that mark the cells in which the signature should be high.
    donors
        `obs` column; cells are then told apart within each donor, and the donors give the spread.
    min_coverage, gene_symbols, gene_ids
        As for `score`.
    key_added
        Where results go; `None` takes the signature's name.
    copy
        Return a changed copy and leave `adata` alone.

    Returns
    -------
    `None`, or a changed copy if `copy=True`. Adds `obs[key_added + "_" + method]`, float32, for every method, and
    `uns[key_added]`: the methods, those left out with the reason, the genes, the rank correlations of the methods
    (``"spearman"``) and, with labels, their AUROC in every donor beside shuffled labels (``"auroc"``).

    Raises
    ------
    MissingDependency, MissingMetadata, UnknownName
        A method that was asked for by name lacks its package or its layer, or is unknown; or a column is absent.
    GeneMatchError
        Less than `min_coverage` of the genes are there.
    InputError
        No method can run, no donor has both kinds of cells, or `labels` came without `positive`.

    Warns
    -----
    LeftOutWarning, CoverageWarning
        Methods, or genes of the signature, are not there.
    """
    made = to_signature(signature)
    marked = None if labels is None else _marked(adata, labels, positive)
    people = None if donors is None else _column(adata, donors).astype(str).to_numpy()
    cells = ScoredCells(adata, attribution, layer, input_space, gene_symbols, gene_ids)
    found = side_by_side(cells, made, methods=methods, min_coverage=min_coverage, stacklevel=3)
    facts: dict[str, Any] = {
        "signature": made.name,
        "sha256": made.sha256,
        "methods": list(found.scores),
        "left_out": found.left_out,
        "genes": found.match.frame(),
        "spearman": found.spearman(),
    }
    if marked is not None:
        wanted = _wanted(positive)
        facts |= {
            "labels": str(labels),
            "positive": wanted,
            "donors": donors or "",
            "auroc": found.auroc(marked, people),
        }
    adata = adata.to_memory(copy=True) if copy else adata
    key = key_added or made.name
    for name in found.scores:
        adata.obs[keys.method_score(key, str(name))] = found.scores[name].to_numpy(dtype=np.float32)
    adata.uns[key] = facts
    return adata if copy else None


def _marked(adata: AnnData, labels: str, positive: str | Sequence[str] | None) -> np.ndarray:
    """Cells whose label is one of the wanted ones, (cells,) bool."""
    column = _column(adata, labels).astype(str)
    wanted = _wanted(positive)
    known = sorted(column.unique())
    absent = [value for value in wanted if value not in known]
    if not wanted or absent:
        raise InputError(
            f"positive= takes values of obs[{labels!r}], which has {known[:10]}; found {absent or 'none'}."
        )
    return column.isin(wanted).to_numpy(dtype=bool)


def _wanted(positive: str | Sequence[str] | None) -> list[str]:
    return [positive] if isinstance(positive, str) else [str(value) for value in positive or ()]


def _column(adata: AnnData, name: str) -> pd.Series:
    if name not in adata.obs:
        raise MissingMetadata(f"adata.obs has no column {name!r}; it has {list(adata.obs)[:10]}.")
    column: pd.Series = adata.obs[name]
    return column
