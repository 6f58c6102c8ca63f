"""Attributions of files that are too large for memory, written as they are made."""

import shutil
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from anndata.io import sparse_dataset, write_elem
from scipy.sparse import csr_matrix

from insignia.attribution.runner import Runner
from insignia.core import keys
from insignia.core.files import atomic_file
from insignia.data.readers import refuse_unwritable

__all__ = ["write_part"]


def write_part(
    runner: Runner,
    var: pd.DataFrame,
    path: str | Path,
    *,
    template: str | Path | None = None,
    key_added: str = keys.ATTRIBUTION,
    show_progress: bool | None = None,
) -> None:
    """Attribute all cells of a runner into an h5ad file, block by block, whole or not at all.

    The file is an attributed AnnData, with `layers`, `obs`, `var` and `uns` as `tl.attribute` writes them.

    Parameters
    ----------
    runner
        What is attributed, and how.
    var
        Table of the genes of the data, which is kept.
    path
        The file to write.
    template
        An h5ad file of the same cells and genes, of which everything else is kept, expression included. `None` writes
        a lean part without it.

    Raises
    ------
    As `Runner.blocks`; nothing is left behind then.
    """
    shape = (runner.expression.n_cells, len(var))
    with atomic_file(Path(path)) as temporary:
        if template is None:
            anndata.AnnData(shape=shape).write_h5ad(temporary)
        else:
            shutil.copyfile(template, temporary)
        _write(runner, var, temporary, key_added=key_added, show_progress=show_progress)


def _write(runner: Runner, var: pd.DataFrame, path: Path, *, key_added: str, show_progress: bool | None) -> None:
    shape = (0, len(var))
    with h5py.File(path, "r+") as file:
        write_elem(file, f"layers/{key_added}", csr_matrix(shape, dtype=np.float32))
        layer = sparse_dataset(file[f"layers/{key_added}"])
        gaps, totals = [], []
        for block in runner.blocks(show_progress=show_progress):
            layer.append(block.attribution)
            gaps.append(block.gap)
            totals.append(block.total)
        obs = runner.expression.obs.copy()
        obs[keys.gap(key_added)] = np.concatenate(gaps)
        obs[keys.row_sum(key_added)] = np.concatenate(totals)
        with refuse_unwritable():
            write_elem(file, "obs", obs)
            write_elem(file, "var", var.assign(**{keys.gene_index(key_added): runner.alignment.index}))
            write_elem(file, f"uns/{key_added}", runner.facts)
