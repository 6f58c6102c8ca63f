"""One run in shards: opened alike in every process, it writes each part whole or not at all."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from insignia.attribution import AttributeOptions, Runner, methods, record_of, write_part
from insignia.core.errors import FileFormatError, InputError
from insignia.core.files import resolved, sha256_text, sync_folder
from insignia.data import Expression, InputSpace, read
from insignia.models import Encoder, load
from insignia.workflows.shard_plan import ShardPlan

__all__ = ["OpenedRun", "ShardPart", "ShardRun", "remove_drafts", "work"]

_UNFINISHED: Final = ".unfinished"


@dataclass(frozen=True)
class ShardPart:
    """One shard's part: where it is, its number, its cells, and whether it was made now or was there already."""

    path: Path
    shard: int
    n_cells: int
    is_new: bool


class ShardRun:
    """What every shard of a run needs to know; it travels to other processes."""

    def __init__(
        self,
        source: str | Path,
        model: Encoder | str | Path,
        folder: str | Path,
        n_shards: int,
        options: AttributeOptions | None,
        layer: str | None,
        input_space: InputSpace | None,
        gene_symbols: str | None,
        gene_ids: str | None,
    ) -> None:
        self.source, self.folder, self.n_shards = resolved(source), resolved(folder), n_shards
        self.model = model if isinstance(model, Encoder) else resolved(model)
        self.options = options or AttributeOptions()
        self.names: dict[str, Any] = {"layer": layer, "gene_symbols": gene_symbols, "gene_ids": gene_ids}
        self.input_space = input_space
        _refuse(self.source, self.folder, self.options)

    def open(self) -> "OpenedRun":
        """Open the source and the model, and make the plan from what they are now."""
        adata = read(self.source, backed=True)
        expression = Expression.from_adata(adata, input_space=self.input_space, **self.names)
        encoder = self.model if isinstance(self.model, Encoder) else _loaded(self.model, _stamp(self.model))
        return OpenedRun(self, adata.var, expression, encoder, self._plan(expression, encoder))

    def _plan(self, expression: Expression, encoder: Encoder) -> ShardPlan:
        state = self.source.stat()
        record = record_of(encoder, self.options, input_space=expression.space).to_dict()
        # the model is known by its fingerprint: its name is that of the folder it lies in
        facts = {
            "source": {
                "bytes": state.st_size,
                # whole seconds: file systems differ in what a copy keeps
                "modified": int(state.st_mtime),
                "cell_names": sha256_text("\n".join(map(str, expression.obs.index))),
                "gene_names": expression.genes.sha256,
            },
            "read": self.names,
            "record": {name: value for name, value in record.items() if name not in ("model", "version")},
            "tolerance": self.options.path.tolerance if self.options.path.n_steps == 0 else None,
        }
        return ShardPlan(expression.n_cells, self.n_shards, facts)


@dataclass(frozen=True, eq=False)
class OpenedRun:
    """A run whose source and model are open in this process."""

    run: ShardRun
    var: pd.DataFrame
    expression: Expression
    encoder: Encoder
    plan: ShardPlan

    def part(self, shard: int, *, is_new: bool = False) -> ShardPart:
        """Say where a shard's part belongs and what it holds."""
        start, stop = self.plan.bounds(shard)
        return ShardPart(self.run.folder / self.plan.name(shard), shard, stop - start, is_new)

    def write(self, shard: int, *, show_progress: bool | None = False) -> ShardPart:
        """Attribute a shard into its part, in the place of one that may be there."""
        part = self.part(shard, is_new=True)
        runner = Runner(self.encoder, self.expression.rows(*self.plan.bounds(shard)), self.run.options)
        drafts = self.run.folder / _UNFINISHED
        drafts.mkdir(parents=True, exist_ok=True)
        # a killed process leaves its draft where no reader of the folder looks, and another attempt has its own
        with tempfile.TemporaryDirectory(dir=drafts, ignore_cleanup_errors=True) as place:
            draft = Path(place) / part.path.name
            write_part(runner, self.var, draft, show_progress=show_progress)
            self.plan.mark(draft, shard)
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            draft.replace(part.path)
            sync_folder(self.run.folder)
        return part


def work(run: ShardRun, expected: str, shard: int) -> ShardPart:
    """Do one shard in whatever process; refuse to mix what this process sees with what the run is about."""
    opened = run.open()
    if opened.plan.text != expected:
        raise InputError(
            f"Shard {shard} of {run.source.name} is not what the run began with: "
            f"{', '.join(opened.plan.differences(expected))} differ. Has the file or the model changed meanwhile?"
        )
    if opened.plan.has(run.folder / opened.plan.name(shard), shard):
        return opened.part(shard)
    return opened.write(shard)


def _refuse(source: Path, folder: Path, options: AttributeOptions) -> None:
    if source.suffix != ".h5ad" or source.is_dir():
        raise FileFormatError(
            f"Shards are rows of one h5ad file; found {source.name}. Write it as such first: "
            "insignia.data.write_h5ad(insignia.data.read(path), 'cells.h5ad')."
        )
    if folder.suffix == ".h5ad" or folder.is_file():
        raise InputError(f"Parts are written into a folder; found {folder.name}. Name a folder, e.g. parts/.")
    baseline, takes_many = options.baseline, methods[options.method].takes_many_baselines
    if baseline is not None and not takes_many and np.ndim(baseline) == 2 and baseline.shape[0] > 1:
        raise InputError(
            f"Shards share one baseline profile; found {baseline.shape[0]:,}, one a cell. Give one profile, or "
            "attribute the file as a whole."
        )


def _stamp(model: Path) -> tuple[tuple[str, int, int], ...]:
    """State of the files of a model, so that one that changes is loaded again."""
    if not model.is_dir():
        return ()
    states = [(item.name, item.stat()) for item in sorted(model.iterdir()) if item.is_file()]
    return tuple((name, state.st_size, state.st_mtime_ns) for name, state in states)


@lru_cache(maxsize=1)
def _loaded(model: Path, stamp: tuple[tuple[str, int, int], ...]) -> Encoder:  # noqa: ARG001 - part of the key
    return load(model)


def remove_drafts(folder: Path) -> None:
    """Remove what killed processes left, once no part is missing."""
    shutil.rmtree(folder / _UNFINISHED, ignore_errors=True)
