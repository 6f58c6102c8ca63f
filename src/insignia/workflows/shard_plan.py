"""The plan of a run in shards: which rows each part holds, and whether a part on disk belongs to the plan."""

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from anndata.io import read_elem, write_elem

from insignia.core import keys
from insignia.core.errors import FileFormatError, InputError, InsigniaWarning
from insignia.core.files import canonical_json

__all__ = ["ShardPlan", "parse_shard"]

_KEY: Final = "shard"


@dataclass(frozen=True)
class ShardPlan:
    """Cells of one file, cut into contiguous ranges of rows that cover each row exactly once.

    Parameters
    ----------
    n_cells, n_shards
        How many cells there are, and in how many parts they are written. Shards count from 1.
    facts
        All that decides what the parts hold: the source, how it is read, and the record of the attribution.
    """

    n_cells: int
    n_shards: int
    facts: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not 1 <= self.n_shards <= self.n_cells:
            raise InputError(
                f"Expected from 1 to {self.n_cells:,} shards, one cell or more in each; found {self.n_shards:,}."
            )

    @property
    def text(self) -> str:
        """The plan as JSON: equal plans give equal text."""
        return canonical_json({**self.facts, "cells": self.n_cells, "shards": self.n_shards})

    def bounds(self, shard: int) -> tuple[int, int]:
        """First row of a shard, and the row after its last.

        Raises
        ------
        InputError
            There is no such shard.
        """
        if not 1 <= shard <= self.n_shards:
            raise InputError(f"Shards count from 1 to {self.n_shards:,}; found shard {shard:,}.")
        return self.n_cells * (shard - 1) // self.n_shards, self.n_cells * shard // self.n_shards

    def name(self, shard: int) -> str:
        """File name of a part."""
        return f"part-{shard:05d}-of-{self.n_shards:05d}.h5ad"

    def mark(self, path: Path, shard: int) -> None:
        """Note in a part which shard of which plan it is."""
        with h5py.File(path, "r+") as file:
            write_elem(file, f"uns/{_KEY}", {"number": shard, "plan": self.text})

    def survey(self, folder: Path) -> list[int]:
        """Which shards have their part in `folder`, complete and of this plan.

        Raises
        ------
        InputError
            The folder holds an h5ad file that is no part of this plan, so an atlas made of it would mix runs.

        Warns
        -----
        InsigniaWarning
            A part is damaged, and so does not count.
        """
        shards = {self.name(shard): shard for shard in range(1, self.n_shards + 1)}
        for path in sorted(folder.glob("*.h5ad")):
            if path.name not in shards:
                raise InputError(
                    f"{path.name} in {folder} is no part of this run of {self.n_shards:,} shards, and an atlas made "
                    "of the folder would count its cells too. Write to an empty folder, or move the file away."
                )
        return [shard for name, shard in shards.items() if self.has(folder / name, shard)]

    def has(self, path: Path, shard: int) -> bool:
        """Whether a part is there, complete and of this plan; see `survey`."""
        if not path.exists():
            return False
        try:
            with h5py.File(path) as file:
                found = read_elem(file[f"uns/{_KEY}"]) if f"uns/{_KEY}" in file else None
                n_rows = _whole_rows(file) if found else 0
        except (OSError, KeyError) as error:
            return self._damaged(path, str(error))
        if found is None or (str(found["plan"]), int(found["number"])) != (self.text, shard):
            raise InputError(
                f"{path.name} in {path.parent} is of another run: it differs in {self._differences(found)}. "
                "Write to another folder, repeat that run's options, or remove its parts."
            )
        start, stop = self.bounds(shard)
        return n_rows == stop - start or self._damaged(path, f"{n_rows:,} of {stop - start:,} cells")

    def gaps(self, folder: Path) -> np.ndarray:
        """(cells,): the completeness gaps in all parts, in order."""
        return np.concatenate([_gaps(folder / self.name(shard)) for shard in range(1, self.n_shards + 1)])

    def precision_error(self, folder: Path) -> float | None:
        """Return the largest difference from float32 that any part measured; `None` if none measured it."""
        found = [_precision_error(folder / self.name(shard)) for shard in range(1, self.n_shards + 1)]
        return max((error for error in found if error is not None), default=None)

    def differences(self, other: str) -> list[str]:
        """Names of the facts in which the text of another plan differs."""
        mine, theirs = _flat(json.loads(self.text)), _flat(json.loads(other))
        return sorted(name for name in mine | theirs if mine.get(name) != theirs.get(name))

    def _differences(self, found: Mapping[str, Any] | None) -> str:
        if found is None:
            return "everything (it names no plan)"
        return ", ".join(self.differences(str(found["plan"]))) or f"its number, {int(found['number'])}"

    @staticmethod
    def _damaged(path: Path, found: str) -> bool:
        warnings.warn(f"{path.name} is damaged ({found}) and is made again.", InsigniaWarning, stacklevel=4)
        return False


def parse_shard(text: str) -> tuple[int, int]:
    """Read ``"3/40"``, the third of forty shards.

    Raises
    ------
    InputError
        The text is of another form, or there is no such shard.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"A shard is I/N, counted from 1/N to N/N, e.g. 3/40; found {text!r}.")
    return int(found[1]), int(found[2])


def _whole_rows(file: h5py.File) -> int:
    """Count the cells of a part whose matrix, offsets and metadata agree; -1 if they do not."""
    layer = file[f"layers/{keys.ATTRIBUTION}"]
    n_rows = int(layer.attrs["shape"][0])
    indptr = layer["indptr"]
    agree = len(indptr) == n_rows + 1 and int(indptr[-1]) == len(layer["data"]) == len(layer["indices"])
    return n_rows if agree and len(file[f"obs/{keys.gap()}"]) == n_rows else -1


def _gaps(path: Path) -> np.ndarray:
    try:
        with h5py.File(path) as file:
            return np.asarray(file[f"obs/{keys.gap()}"][:])
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error}). Remove it and run again to have it made.") from error


def _precision_error(path: Path) -> float | None:
    with h5py.File(path) as file:
        entry = file[f"uns/{keys.ATTRIBUTION}"].get("precision_error_worst")
        return None if entry is None else float(entry[()])


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat.update(_flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value})
    return flat
