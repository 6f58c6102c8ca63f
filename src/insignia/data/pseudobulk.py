"""Pseudobulk: counts of the cells of a donor and cell type added up, for tools that expect samples."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata
from insignia.data.expression import Expression
from insignia.data.input_space import InputSpace

__all__ = ["constant_columns", "group_names", "pseudobulk"]

_ROWS: Final = 4_096


def pseudobulk(
    adata: AnnData,
    by: Sequence[str] | None = None,
    *,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    columns: Sequence[str] | None = None,
    min_cells: int = 1,
) -> AnnData:
    """Add up the counts of groups of cells, e.g. of each donor and cell type.

    Parameters
    ----------
    adata
        Cells with counts; with log1p values, means are taken in place of sums.
    by
        Columns of `obs` that form groups. `None` takes study, donor and cell type, those of them that are there; the
        donor must be.
    layer, input_space
        Where expression is, and whether it is ``"counts"`` or ``"log1p"``. `None` reads `adata.X` and looks.
    columns
        Further columns to keep, which must be constant within each group. `None` keeps all that are.
    min_cells
        Groups with fewer cells are left out.

    Returns
    -------
    AnnData, groups x genes: sums of counts as whole numbers (int64), or means (float32), in `X`; the columns and
    ``psbulk_cells`` and ``psbulk_counts`` in `obs`, and the share of cells with any of each gene in
    ``layers["psbulk_props"]``, as decoupler names them; in ``uns["pseudobulk"]``, ``mode``, ``by``, and the columns
    that were ``dropped`` as they vary within groups.

    Raises
    ------
    MissingMetadata
        A column is absent.
    InputError
        A column that was asked for varies within a group, or no group has enough cells.
    InputSpaceError
        The values are neither counts nor log1p.
    """
    named = _columns(adata.obs, by)
    obs = adata.obs
    text = obs[named].astype(str)
    grouped = text.groupby(named, sort=True, observed=True)
    codes, sizes = grouped.ngroup().to_numpy(), grouped.size()
    kept, dropped = constant_columns(obs, codes, named, columns)
    enough = np.flatnonzero(sizes.to_numpy() >= min_cells)
    if not enough.size:
        raise InputError(f"None of {len(sizes):,} groups has {min_cells} cells (the largest has {sizes.max():,}).")
    expression = Expression.from_adata(adata, layer=layer, input_space=input_space)
    sums, present = _sums(expression, codes, len(sizes))
    is_counts = expression.space == "counts"
    values = sums[enough] if is_counts else sums[enough] / sizes.to_numpy()[enough, None]
    table = sizes.index.to_frame(index=False).iloc[enough].reset_index(drop=True)
    for name in kept:
        first = pd.Series(obs[name].to_numpy()).groupby(codes).first()
        table[name] = first.to_numpy()[enough]
    table["psbulk_cells"] = sizes.to_numpy()[enough]
    table["psbulk_counts"] = sums[enough].sum(axis=1)
    table.index = group_names(table[named])
    made = AnnData(
        np.rint(values).astype(np.int64) if is_counts else values.astype(np.float32),
        obs=_as_categories(table),
        var=pd.DataFrame(index=adata.var_names.copy()),
        layers={"psbulk_props": (present[enough] / sizes.to_numpy()[enough, None]).astype(np.float32)},
    )
    made.uns["pseudobulk"] = {"mode": "sum" if is_counts else "mean", "by": named, "dropped": dropped}
    return made


def _columns(obs: pd.DataFrame, by: Sequence[str] | None) -> list[str]:
    usual = [name for name in (keys.STUDY, keys.DONOR, keys.CELL_TYPE) if name in obs]
    named = usual if by is None else [by] if isinstance(by, str) else list(by)
    absent = [name for name in named if name not in obs] or (
        [keys.DONOR] if by is None and keys.DONOR not in obs else []
    )
    if absent or not named:
        raise MissingMetadata(
            f"adata.obs has no column {(absent or ['donor'])[0]!r} to group cells by. It has {list(obs)[:12]}; name "
            "the columns with by=[...]."
        )
    return named


def constant_columns(
    obs: pd.DataFrame, codes: np.ndarray, by: Sequence[str], columns: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Tell the columns with one value in each group from those that vary, and refuse to keep one that does.

    Parameters
    ----------
    codes
        Group of each row.
    by
        Columns that formed the groups.
    columns
        Columns that were asked for; `None` for all.
    """
    asked = [name for name in obs.columns if name not in by] if columns is None else list(columns)
    if absent := [name for name in asked if name not in obs]:
        raise MissingMetadata(f"There is no column {absent[0]!r} to keep. There are {list(obs)[:12]}.")
    kept: list[str] = []
    dropped: list[str] = []
    for name in (str(one) for one in asked if one not in by):
        numbers = pd.Series(pd.factorize(obs[name], use_na_sentinel=False)[0]).groupby(codes)
        varies = numbers.min() != numbers.max()
        if varies.any() and columns is not None:
            row = int(np.flatnonzero(codes == varies.idxmax())[0])
            group = " · ".join(str(obs[one].iloc[row]) for one in by)
            raise InputError(
                f"The column {name!r} varies within groups, e.g. within {group}, so that a group has no one value of "
                f"it. Add it to by=[...], or leave it out of columns."
            )
        (dropped if varies.any() else kept).append(name)
    return kept, dropped


def group_names(table: pd.DataFrame) -> pd.Index:
    """Names of groups: their values joined by "_", made unique."""
    names = pd.Index(["_".join(map(str, row)) for row in table.itertuples(index=False)])
    return names if names.is_unique else pd.Index([f"{name}_{k}" for k, name in enumerate(names)])


def _sums(expression: Expression, codes: np.ndarray, n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Add up expression, and count the cells with any, (groups, genes) each."""
    shape = (n_groups, len(expression.genes))
    sums, present = np.zeros(shape), np.zeros(shape)
    for start in range(0, expression.n_cells, _ROWS):
        stop = min(start + _ROWS, expression.n_cells)
        matrix = sparse.csr_matrix(expression.block(start, stop).matrix, dtype=np.float64)
        group = codes[start:stop]
        adding = sparse.csr_matrix((np.ones(group.size), (group, np.arange(group.size))), shape=(n_groups, group.size))
        sums += (adding @ matrix).toarray()
        present += (adding @ (matrix != 0).astype(np.float64)).toarray()
    return sums, present


def _as_categories(table: pd.DataFrame) -> pd.DataFrame:
    text: Mapping[str, Any] = {
        str(name): table[name].astype("category") for name in table if table[name].dtype == object
    }
    return table.assign(**text)
