"""Attribution in shards: each writes its own part, whole or not at all, so that a run can stop and go on anywhere."""

import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from insignia.attribution import AttributeOptions, methods
from insignia.attribution.runner import GAP_LIMIT
from insignia.core.errors import CompletenessWarning, FileFormatError, InputError
from insignia.core.executors import run_tasks
from insignia.core.progress import progress
from insignia.data import InputSpace
from insignia.models import Encoder
from insignia.workflows.shard_plan import ShardPlan
from insignia.workflows.shard_run import ShardPart, ShardRun, remove_drafts, work

__all__ = ["ShardReport", "attribute_shard", "attribute_shards"]


@dataclass(frozen=True)
class ShardReport:
    """A run in shards.

    Parameters
    ----------
    folder
        Where the parts are, ready for `Atlas.add`.
    n_cells, n_shards
        What they hold together.
    written, kept
        Shards that were made now, and those that were there already.
    median_gap
        Median completeness gap of all cells, a fraction.
    precision_error
        Largest difference from float32 in any part, see `insignia.tl.attribute`; `None` for float32.
    """

    folder: Path
    n_cells: int
    n_shards: int
    written: tuple[int, ...]
    kept: tuple[int, ...]
    median_gap: float
    precision_error: float | None


def attribute_shard(
    source: str | Path,
    model: Encoder | str | Path,
    folder: str | Path,
    *,
    shard: int,
    n_shards: int,
    options: AttributeOptions | None = None,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    gene_symbols: str | None = None,
    gene_ids: str | None = None,
    show_progress: bool | None = None,
) -> ShardPart:
    """Attribute one shard of a file into its part, unless the part is there already.

    Parameters
    ----------
    source
        An h5ad file, which is read block by block.
    model
        A loaded model, or the directory of one.
    folder
        Where the parts of the run are written, and nothing else.
    shard, n_shards
        Which of how many, from 1.
    options, layer, input_space, gene_symbols, gene_ids
        As for `attribute_file`.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Raises
    ------
    InputError
        There is no such shard; the folder holds parts of another run; each cell has a baseline of its own; or as
        `insignia.tl.attribute`.
    FileFormatError
        The source is no h5ad file.
    """
    run = ShardRun(source, model, folder, n_shards, options, layer, input_space, gene_symbols, gene_ids)
    opened = run.open()
    opened.plan.bounds(shard)
    done = opened.plan.survey(run.folder)
    part = opened.part(shard) if shard in done else opened.write(shard, show_progress=show_progress)
    if {*done, shard} == set(range(1, n_shards + 1)):
        remove_drafts(run.folder)
    return part


def attribute_shards(
    source: str | Path,
    model: Encoder | str | Path,
    folder: str | Path,
    *,
    n_shards: int,
    executor: object = 1,
    options: AttributeOptions | None = None,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    gene_symbols: str | None = None,
    gene_ids: str | None = None,
    show_progress: bool | None = None,
) -> ShardReport:
    """Attribute a file in shards, those that are missing, and check that the parts hold each cell once.

    Parameters
    ----------
    source, model, folder, options, layer, input_space, gene_symbols, gene_ids
        As for `attribute_shard`. Other processes need the directory of a model, and see all paths as this one does.
    n_shards
        In how many parts the cells are written.
    executor
        Where shards run: a number of processes of this machine, 1 for this one; the address of a dask scheduler; or
        a `distributed.Client`. A shard whose worker dies is done by another one.
    show_progress
        `None` shows a bar when standard error is a terminal.

    Raises
    ------
    InputError, FileFormatError
        As `attribute_shard`.
    InsigniaError
        Workers died over and over, or a part is missing in the end. What is finished is kept.
    MissingDependency
        A scheduler is named and dask.distributed is not installed.

    Warns
    -----
    CompletenessWarning
        Attributions of some cells miss the change they explain by more than 5 %.
    """
    run = ShardRun(source, model, folder, n_shards, options, layer, input_space, gene_symbols, gene_ids)
    opened = run.open()
    plan = opened.plan
    is_here = isinstance(executor, int) and executor == 1
    if not is_here and isinstance(run.model, Encoder):
        raise InputError("Other processes load the model themselves: give its directory, or executor=1.")
    kept = plan.survey(run.folder)
    missing = [shard for shard in range(1, n_shards + 1) if shard not in kept]
    with progress("attributing shards", len(missing), show=show_progress) as advance:
        task = opened.write if is_here else partial(work, run, plan.text)
        for _ in run_tasks(task, missing, executor=executor):
            advance(1)
    gaps = _verify(plan, run.folder)
    if not is_here:
        _warn_of_gaps(gaps, run.options)
    median = float(pd.Series(gaps).median())
    return ShardReport(
        run.folder, plan.n_cells, n_shards, tuple(missing), tuple(kept), median, plan.precision_error(run.folder)
    )


def _verify(plan: ShardPlan, folder: Path) -> np.ndarray:
    """Check that all parts are there and hold each cell once; return the completeness gaps."""
    absent = sorted(set(range(1, plan.n_shards + 1)) - set(plan.survey(folder)))
    if absent:
        raise FileFormatError(
            f"{len(absent):,} of {plan.n_shards:,} parts are not in {folder}, e.g. {plan.name(absent[0])}, though "
            "their tasks ended. Do all workers see this folder, under the same path? Run again to make them."
        )
    remove_drafts(folder)
    gaps = plan.gaps(folder)
    if len(gaps) != plan.n_cells:
        raise FileFormatError(
            f"The parts in {folder} hold {len(gaps):,} cells, expected {plan.n_cells:,}. Remove them and run again."
        )
    return gaps


def _warn_of_gaps(gaps: np.ndarray, options: AttributeOptions) -> None:
    """Say here what other processes said in their logs."""
    wide = int((gaps > GAP_LIMIT).sum())
    if wide and methods[options.method].is_complete:
        warnings.warn(
            f"{wide:,} of {len(gaps):,} cells are off by more than {GAP_LIMIT:.0%} of the change they explain "
            f"(worst {np.nanmax(gaps):.0%}). {methods[options.method].advice(options.path)}",
            CompletenessWarning,
            stacklevel=3,
        )
