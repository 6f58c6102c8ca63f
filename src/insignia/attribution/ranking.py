"""The most important genes of each group of cells, in the layout that scanpy's plots read."""

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix

from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata

__all__ = ["group_means", "rank_genes"]

_FLOOR = 0.01


def rank_genes(
    adata: AnnData,
    groupby: str,
    *,
    n_genes: int | None = None,
    min_cells: int = 3,
    layer: str = keys.ATTRIBUTION,
    key_added: str = keys.RANK_GENES,
    copy: bool = False,
) -> AnnData | None:
    """Rank genes by how much more they matter in one group of cells than in the others.

    The score is the mean attribution in the group minus the mean over the other groups, each group counting once, in
    units of the row sum of 1,000. There is no p-value: cells of one donor are not replicates.

    Parameters
    ----------
    adata
        Attributed cells; see `attribute`.
    groupby
        `obs` column with the groups.
    n_genes
        Genes to keep per group; `None` keeps all.
    min_cells
        Groups with fewer cells are left out, and named in the table's parameters.
    layer
        Where attributions are.
    key_added
        Entry of `uns` to write.
    copy
        Return a changed copy and leave `adata` alone.

    Returns
    -------
    `None`, or a changed copy if `copy=True`. Adds `uns[key_added]` as `scanpy.tl.rank_genes_groups` does: records
    `names`, `scores`, `logfoldchanges` (log2 ratio of the means, each raised by 0.01), `pvals` and `pvals_adj` (NaN),
    and `pts`, the fraction of cells of each group in which a gene has any attribution. Use it with
    ``scanpy.pl.rank_genes_groups(adata, key=key_added)`` or ``scanpy.get.rank_genes_groups_df``.

    Raises
    ------
    MissingMetadata
        The layer or the column is absent.
    InputError
        There are fewer than two groups.
    """
    if layer not in adata.layers:
        raise MissingMetadata(
            f"adata has no layer {layer!r} (layers: {list(adata.layers)}). Run ins.tl.attribute(adata, model) first."
        )
    if groupby not in adata.obs:
        raise MissingMetadata(f"adata.obs has no column {groupby!r}; it has {list(adata.obs.columns)[:10]}.")
    sizes = adata.obs[groupby].value_counts()
    groups = [str(group) for group in sorted(sizes.index[sizes >= min_cells], key=str)]
    if len(groups) < 2:
        raise InputError(
            f"Ranking needs at least two groups of {min_cells} cells in obs[{groupby!r}], found {dict(sizes.head())}."
        )
    means, present = group_means(csr_matrix(adata.layers[layer]), adata.obs[groupby], groups)
    columns = _columns(means, np.asarray(adata.var_names), n_genes)
    adata = adata.copy() if copy else adata
    adata.uns[key_added] = {
        "params": {
            "groupby": groupby,
            "reference": "rest",
            "method": "difference of mean attribution",
            "use_raw": False,
            "layer": layer,
            "corr_method": "none",
            "left_out": [str(group) for group in sizes.index if str(group) not in groups],
        },
        "pts": pd.DataFrame(present.T, index=adata.var_names, columns=groups),
        **{name: _records(values, groups) for name, values in columns.items()},
    }
    return adata if copy else None


def group_means(matrix: csr_matrix, labels: pd.Series, groups: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each gene in each group, and fraction of the group's cells where it is not 0: (groups, genes) each."""
    codes = pd.Categorical(labels.astype(str), categories=groups).codes
    kept = np.flatnonzero(codes >= 0)
    sizes = np.bincount(codes[kept], minlength=len(groups))
    weights = 1.0 / sizes[codes[kept]]
    average = csr_matrix((weights, (codes[kept], kept)), shape=(len(groups), matrix.shape[0]))
    stored = csr_matrix((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
    return (average @ matrix).toarray(), (average @ stored).toarray()


def _columns(means: np.ndarray, names: np.ndarray, n_genes: int | None) -> dict[str, list[np.ndarray]]:
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("names", "scores", "logfoldchanges", "pvals", "pvals_adj")
    }
    for i in range(len(means)):
        rest = np.delete(means, i, axis=0).mean(axis=0)
        score = means[i] - rest
        order = np.argsort(-score, kind="stable")[:n_genes]
        ratio = np.log2((means[i] + _FLOOR) / (rest + _FLOOR))
        unknown = np.full(len(order), np.nan)
        for name, values in zip(columns, (names[order], score[order], ratio[order], unknown, unknown), strict=True):
            columns[name].append(values)
    return columns


def _records(values: list[np.ndarray], groups: list[str]) -> np.ndarray:
    kind = "O" if values[0].dtype.kind in "OUT" else "<f8"
    return np.rec.fromarrays([np.asarray(v, dtype=kind) for v in values], dtype=[(group, kind) for group in groups])
