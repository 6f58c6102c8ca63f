"""Slices of a CELLxGENE Census, or of any SOMA experiment laid out like one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from insignia.core.errors import FileFormatError, FilterError, InputError
from insignia.core.optional import need

__all__ = ["read_census"]

_DATASET: Final = "dataset_id"
_JOIN: Final = "soma_joinid"
_PRESENCE: Final = "feature_dataset_presence_matrix"


def read_census(
    path: str | Path,
    *,
    where: str | None = None,
    organism: str = "homo_sapiens",
    measurement: str = "RNA",
    layer: str = "raw",
) -> Iterator[AnnData]:
    """Read the wanted cells of each dataset, one dataset at a time.

    Parameters
    ----------
    path
        A Census, or one experiment of it, on disk.
    where
        Which cells, as SOMA writes it, e.g. ``"cell_type == 'B cell' and is_primary_data == True"``.
    organism
        Experiment of a Census that holds several.
    measurement, layer
        Where counts are.

    Yields
    ------
    Counts of one dataset, CSR, with `obs` of the Census and `var` indexed by its `feature_id`. Where the Census tells
    which genes a dataset measured, it has only these, since a gene that was not measured is not a zero.

    Raises
    ------
    FileFormatError
        There is no SOMA experiment at `path`, or it lacks what a Census has.
    FilterError
        `where` cannot be read, or chooses no cell.
    MissingDependency
        tiledbsoma is not installed.
    """
    soma = need("tiledbsoma", extra="census", purpose="Reading a Census")
    path = Path(path)
    try:
        opened = soma.open(str(path))
    except (soma.SOMAError, ValueError) as error:
        raise FileFormatError(f"{path} is no SOMA collection ({error}).") from error
    with opened as root:
        experiment = _experiment(root, organism, path)
        try:
            matrices = experiment.ms[measurement]
            counts, var = matrices.X[layer], matrices.var.read().concat().to_pandas()
        except KeyError as error:
            raise FileFormatError(f"{path} has no X[{layer!r}] in the measurement {measurement!r}.") from error
        obs = _cells(experiment, where)
        measured = _measured(root, matrices, var)
        for name, cells in obs.groupby(_DATASET, observed=True, sort=True):
            genes = measured(str(name))
            yield _dataset(counts, cells, var[genes])


def _experiment(root: Any, organism: str, path: Path) -> Any:
    if root.soma_type == "SOMAExperiment":
        return root
    if "census_data" not in root:
        raise FileFormatError(f"{path} is a SOMA collection but no Census: it holds {', '.join(root) or 'nothing'}.")
    there = root["census_data"]
    if organism not in there:
        raise InputError(f"The Census has no organism {organism!r}. It has: {', '.join(there)}.")
    return there[organism]


def _cells(experiment: Any, where: str | None) -> pd.DataFrame:
    try:
        obs = experiment.obs.read(value_filter=where).concat().to_pandas()
    except Exception as error:
        # the parser of SOMA raises whatever its kinds of filters raise
        if where is None:
            raise
        raise FilterError(f"where={where!r} cannot be read by SOMA: {error}") from error
    if not len(obs):
        raise FilterError(f"where={where!r} chooses no cell of the Census.")
    if _DATASET not in obs:
        raise FileFormatError(f"The Census has no obs column {_DATASET!r}; it has {', '.join(map(str, obs))}.")
    in_order: pd.DataFrame = obs.sort_values(_JOIN)
    return in_order


def _measured(root: Any, matrices: Any, var: pd.DataFrame) -> Any:
    """Tell, for a dataset, which rows of `var` it measured; all where the Census does not say."""
    if _PRESENCE not in matrices or "census_info" not in root:
        return lambda _: np.ones(len(var), dtype=bool)
    datasets = root["census_info"]["datasets"].read().concat().to_pandas()
    number = dict(zip(datasets[_DATASET].astype(str), datasets[_JOIN], strict=True))
    presence = matrices[_PRESENCE]

    def measured(name: str) -> np.ndarray:
        found = presence.read((int(number[name]),)).tables().concat()
        present = found["soma_dim_1"].to_numpy()[found["soma_data"].to_numpy() != 0]
        return np.asarray(var[_JOIN].isin(present))

    return measured


def _dataset(counts: Any, cells: pd.DataFrame, var: pd.DataFrame) -> AnnData:
    rows, columns = cells[_JOIN].to_numpy(np.int64), var[_JOIN].to_numpy(np.int64)
    triples = [table for table in counts.read((rows, columns)).tables() if table.num_rows]
    i, j, values = (
        np.concatenate([table[name].to_numpy() for table in triples]) if triples else np.empty(0, kind)
        for name, kind in (("soma_dim_0", np.int64), ("soma_dim_1", np.int64), ("soma_data", np.float32))
    )
    order = np.argsort(columns)
    places = order[np.searchsorted(columns, j, sorter=order)]
    shape = (rows.size, columns.size)
    matrix = sparse.csr_matrix((values.astype(np.float32), (np.searchsorted(rows, i), places)), shape=shape)
    obs = cells.set_index(cells[_JOIN].astype(str).rename(None))
    obs = obs.drop(columns=[_JOIN])
    index = "feature_id" if "feature_id" in var else _JOIN
    var = var.set_index(var[index].astype(str).rename(None)).drop(columns=[_JOIN])
    return AnnData(matrix, obs=obs, var=var)
