"""Mean attributions of groups as AnnData, for decoupler and whatever else takes samples x genes."""

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from insignia.atlas.screens.gene_means import GeneMeans, gene_means
from insignia.atlas.screens.grouping import GROUP_COLUMNS, groups_of
from insignia.atlas.screens.means import group_codes
from insignia.atlas.snapshot import Snapshot
from insignia.core import keys
from insignia.core.errors import InputError
from insignia.data.pseudobulk import constant_columns, group_names

__all__ = ["Genes", "atlas_pseudobulk"]

Genes: TypeAlias = Literal["shared", "all"]
_ROWS = 256


def atlas_pseudobulk(
    snapshot: Snapshot, *, by: Sequence[str] | None, where: str | None, min_cells: int, genes: Genes
) -> AnnData:
    """Make AnnData of group means; see `Atlas.pseudobulk`."""
    if genes not in ("shared", "all"):
        raise InputError(f"genes is 'shared' or 'all'; found {genes!r}.")
    named = [keys.STUDY, keys.DONOR, keys.CELL_TYPE] if by is None else [by] if isinstance(by, str) else list(by)
    columns = tuple(dict.fromkeys([*GROUP_COLUMNS, *named]))
    means = gene_means(snapshot, by=named, columns=columns, where=where)
    cells = means.groups["cells"].to_numpy()
    rows = np.flatnonzero(cells >= min_cells)
    if not rows.size:
        raise InputError(f"None of {len(cells):,} groups has {min_cells} cells (the largest has {cells.max():,}).")
    chosen = _chosen_genes(means, rows, genes)
    obs, dropped = _metadata(snapshot, named, columns, where)
    obs = obs.iloc[rows].assign(psbulk_cells=cells[rows])
    parts = list(_chunks(means, rows, chosen))
    values, present = (sparse.vstack([part[k] for part in parts], format="csr") for k in (0, 1))
    labels = snapshot.genes.labels[chosen].astype(str)
    made = AnnData(values, obs=obs, var=pd.DataFrame(index=labels), layers={"psbulk_props": present})
    made.uns["pseudobulk"] = {"mode": "mean attribution", "by": named, "dropped": dropped, "where": where or ""}
    return made


def _chosen_genes(means: GeneMeans, rows: np.ndarray, genes: Genes) -> np.ndarray:
    """Genes that every group measured, or that any did."""
    sets = np.unique(means.panels[rows].indices)
    every = means.measured[sets].all(axis=0) if genes == "shared" else means.measured[sets].any(axis=0)
    if not every.any():
        raise InputError(
            "The groups share no gene that all of them measured. Choose studies with where, or pass genes='all', which "
            "leaves NaN where a gene was not measured."
        )
    return np.flatnonzero(every)


def _chunks(
    means: GeneMeans, rows: np.ndarray, genes: np.ndarray
) -> Iterator[tuple[sparse.csr_matrix, sparse.csr_matrix]]:
    for start in range(0, rows.size, _ROWS):
        part = means.take(rows[start : start + _ROWS])
        values, present = part.means(genes), part.detection(genes)
        yield sparse.csr_matrix(values, dtype=np.float32), sparse.csr_matrix(present, dtype=np.float32)


def _metadata(
    snapshot: Snapshot, named: list[str], columns: tuple[str, ...], where: str | None
) -> tuple[pd.DataFrame, list[str]]:
    """Columns of each group, those that are constant within all groups included, and those that are not."""
    tables = [part.table[part.is_wanted] for part in groups_of(snapshot, columns=columns, where=where)]
    table = pd.concat(tables, ignore_index=True).drop(columns=["range", "cells"])
    groups, codes = group_codes(table[named])
    kept, dropped = constant_columns(table, codes, named, None)
    for name in kept:
        groups[name] = table[name].groupby(codes).first().to_numpy()
    groups = groups.astype("category")
    groups.index = group_names(groups[named])
    return groups, dropped
