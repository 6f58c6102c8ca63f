"""What an attribution will cost, told from a few cells."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from insignia.attribution import AttributeOptions, Runner, methods
from insignia.core.device import find_device
from insignia.core.errors import InputError
from insignia.data import Expression, InputSpace, read
from insignia.models import Encoder, as_encoder

__all__ = ["Estimate", "estimate_attribution"]

_BYTES_PER_VALUE: Final = 8
_BYTES_PER_CELL: Final = 16
_WARM_UP: Final = 8
_SAMPLE: Final = 64


@dataclass(frozen=True)
class Estimate:
    """Cost of an attribution.

    Parameters
    ----------
    cells, shards
        How many, in how many parts.
    hours
        Time for all cells, one process on this machine, in hours; reading the file is not counted.
    hours_per_shard
        Time for one shard, in hours.
    disk_gb
        Size of what is written, in units of 1e9 bytes.
    device
        Where the cells were timed.
    precision_error
        Median difference from float32 over a few cells, as `insignia.tl.attribute` measures it; `None` for float32.
    """

    cells: int
    shards: int
    hours: float
    hours_per_shard: float
    disk_gb: float
    device: str
    precision_error: float | None


def estimate_attribution(
    source: str | Path,
    model: Encoder | str | Path,
    *,
    n_shards: int = 1,
    options: AttributeOptions | None = None,
    layer: str | None = None,
    input_space: InputSpace | None = None,
    gene_symbols: str | None = None,
    gene_ids: str | None = None,
    keep_expression: bool = False,
    n_sample: int | None = None,
) -> Estimate:
    """Attribute a few cells, spread over the file, and tell what all will cost; nothing is written.

    Parameters
    ----------
    source, model, options, layer, input_space, gene_symbols, gene_ids
        As for `attribute_file`.
    n_shards
        In how many parts the cells are written.
    keep_expression
        Whether what the source holds is written too.
    n_sample
        Cells that are timed; `None` takes 64 on the CPU, and four blocks on an accelerator, which is fast with many.

    Raises
    ------
    FileFormatError, InputError
        As `attribute_file`.
    """
    source = Path(source)
    adata = read(source, backed=source.suffix == ".h5ad")
    expression = Expression.from_adata(
        adata, layer=layer, input_space=input_space, gene_symbols=gene_symbols, gene_ids=gene_ids
    )
    if not 1 <= n_shards <= expression.n_cells:
        raise InputError(f"Expected from 1 to {expression.n_cells:,} shards; found {n_shards:,}.")
    encoder = as_encoder(model)
    options = _for_any_cells(options or AttributeOptions())
    warm = Runner(encoder, expression.sample(_WARM_UP), options)
    _attribute(warm)
    n_busy = _SAMPLE if find_device(options.device).type == "cpu" else 4 * options.block_size
    sample = expression.sample(n_busy if n_sample is None else n_sample)
    seconds, n_values = _attribute(Runner(encoder, sample, options, checks_precision=False))
    scale = expression.n_cells / sample.n_cells
    obs = sample.obs.memory_usage(deep=True).sum() + _BYTES_PER_CELL * sample.n_cells
    disk = scale * (_BYTES_PER_VALUE * n_values + obs) + n_shards * adata.var.memory_usage(deep=True).sum()
    if keep_expression and source.is_file():
        disk += source.stat().st_size
    hours = scale * seconds / 3600
    return Estimate(
        expression.n_cells,
        n_shards,
        hours,
        hours / n_shards,
        float(disk) / 1e9,
        device=warm.facts["device"],
        precision_error=warm.facts.get("precision_error"),
    )


def _for_any_cells(options: AttributeOptions) -> AttributeOptions:
    """Let one profile stand for baselines of which each cell has its own."""
    if options.baseline is None or methods[options.method].takes_many_baselines or np.ndim(options.baseline) < 2:
        return options
    return replace(options, baseline=options.baseline[:1])


def _attribute(runner: Runner) -> tuple[float, int]:
    """Seconds, and number of values that are not zero."""
    began = time.perf_counter()
    n_values = sum(block.attribution.nnz for block in runner.blocks(show_progress=False))
    return time.perf_counter() - began, n_values
