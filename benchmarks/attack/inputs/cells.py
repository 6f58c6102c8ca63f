"""Files of cells as h5ad: every part damaged in every way, for scoring, attributing, adding to an atlas, training."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData

from benchmarks.attack.atlas_cells import cells as attributed_cells
from benchmarks.attack.atlas_cells import make_atlas
from benchmarks.attack.case import Case
from benchmarks.attack.mutations import HDF5_KINDS, NAMES_THAT_TRICK, damaged_cases, hdf5_damage, hdf5_parts
from benchmarks.attack.originals import beside, raw_cells, real_file, small_model, written

__all__ = ["cases"]

# HDF5 ends texts at NUL, and refuses to write them
TRICKS = [name.replace("\x00", "\x01") for name in NAMES_THAT_TRICK]
Command = Callable[[Path], Sequence[str]]


def cases(folder: Path, rng: np.random.Generator, amount: int) -> list[Case]:
    """Raw and attributed cells, and a real file where there is one."""
    raw = written(raw_cells(), folder / "raw.h5ad")
    attributed = written(attributed_cells("S2", 40), folder / "attributed.h5ad")
    model = small_model(folder / "model")
    atlas = make_atlas(folder / "atlas", attributed_cells("S1", 30)).path

    def score(path: Path) -> Sequence[str]:
        return ["score", path.name, "GENE1,GENE2,GENE3", "-o", "scores.csv", "--layer", "X"]

    def attribute(path: Path) -> Sequence[str]:
        return ["attribute", path.name, "-m", model, "-o", "out.h5ad", "--overwrite", "--n-steps", "5", "--json"]

    def train(path: Path) -> Sequence[str]:
        return ["model", "train", path.name, "--labels", "cell_type", "-o", "new", "--epochs", "1", "--json"]

    def add(path: Path) -> Sequence[str]:
        shutil.copytree(atlas, path.parent / "atlas")
        return ["atlas", "add", "atlas", path.name, "--json"]

    found = [
        *(Case(f"sound {raw.name} {i}", beside(raw, _nothing, command), must="answer")
          for i, command in enumerate((score, attribute, train))),
        Case(f"sound {attributed.name}", beside(attributed, _nothing, add), must="answer"),
        *_parts(raw, attribute), *_parts(raw, score), *_parts(raw, train, sizes=("huge", "huge-packed", "shorter")),
        *_parts(attributed, add),
        *_values(attribute), *_values(score), *_values(train),
        *_metadata(add),
        *_bombs(raw, (score, attribute)),
        *damaged_cases(raw, attribute, rng, 4 * amount), *damaged_cases(raw, score, rng, 2 * amount),
        *damaged_cases(attributed, add, rng, 4 * amount),
    ]  # fmt: skip
    real = real_file("scrna/pbmc68k_reduced.h5ad")
    if real is not None:
        found += damaged_cases(real, lambda path: [*score(path)[:2], "CD3E,LYZ", *score(path)[3:]], rng, 2 * amount)
    return found


def _nothing(path: Path) -> None:
    """Leave the copy as it is."""


def _parts(original: Path, command: Command, sizes: Sequence[str] = HDF5_KINDS) -> Iterator[Case]:
    for part in hdf5_parts(original):
        for kind in sizes:

            def change(path: Path, part: str = part, kind: str = kind) -> None:
                hdf5_damage(path, part, kind)

            yield Case(f"{command.__name__} {original.name}: {part}, {kind}", beside(original, change, command))


def _values(command: Command) -> Iterator[Case]:
    """Cells whose numbers or names are strange; written by AnnData itself."""
    for what, change in STRANGE.items():

        def prepare(place: Path, change=change) -> Sequence[str]:
            adata = raw_cells()
            changed = change(adata)
            return command(written(adata if changed is None else changed, place / "raw.h5ad"))

        yield Case(f"{command.__name__} {what}", prepare)


def _set_first(value: float) -> Callable[[AnnData], None]:
    def change(adata: AnnData) -> None:
        adata.X[0, 0] = value

    return change


def _rename(axis: str, names: Callable[[int], str]) -> Callable[[AnnData], None]:
    def change(adata: AnnData) -> None:
        index = getattr(adata, axis)
        setattr(adata, axis, pd.Index([names(i) for i in range(len(index))]))

    return change


STRANGE: dict[str, Callable[[AnnData], AnnData | None]] = {
    "one value is NaN": _set_first(np.nan),
    "one value is infinite": _set_first(np.inf),
    "one value is negative": _set_first(-3),
    "one value is huge": _set_first(3e38),
    "no cells": lambda adata: adata[:0].copy(),
    "no genes": lambda adata: adata[:, :0].copy(),
    "one cell": lambda adata: adata[:1].copy(),
    "all zero": lambda adata: setattr(adata, "X", adata.X * 0),
    "first cell empty": lambda adata: setattr(
        adata, "X", adata.X.multiply(np.arange(adata.n_obs)[:, None] > 0).tocsr()
    ),
    "dense": lambda adata: setattr(adata, "X", adata.X.toarray()),
    "by columns": lambda adata: setattr(adata, "X", adata.X.tocsc()),
    "dense, by columns": lambda adata: setattr(adata, "X", np.asfortranarray(adata.X.toarray())),
    "integers": lambda adata: setattr(adata, "X", adata.X.astype(np.int64)),
    "small integers": lambda adata: setattr(adata, "X", adata.X.astype(np.uint8)),
    "doubles": lambda adata: setattr(adata, "X", adata.X.astype(np.float64)),
    "halves": lambda adata: setattr(adata, "X", adata.X.toarray().astype(np.float16)),
    "booleans": lambda adata: setattr(adata, "X", adata.X.toarray() > 1),
    "complex": lambda adata: setattr(adata, "X", adata.X.toarray().astype(np.complex64)),
    "no X": lambda adata: AnnData(obs=adata.obs, var=adata.var),
    "genes of one name": _rename("var_names", lambda _: "GENE1"),
    "genes are numbers": _rename("var_names", str),
    "genes are empty": _rename("var_names", lambda i: " " * i),
    "genes of other case": _rename("var_names", lambda i: f"gene{i}"),
    "genes with versions": _rename("var_names", lambda i: f"ENSG{i:011d}.{i % 9}"),
    "genes with tricks": _rename("var_names", lambda i: TRICKS[i % len(TRICKS)] + str(i)),
    "genes twice by suffix": _rename("var_names", lambda i: f"GENE{i // 2}" + "-1" * (i % 2)),
    "cells of one name": _rename("obs_names", lambda _: "cell"),
    "cells with tricks": _rename("obs_names", lambda i: TRICKS[i % len(TRICKS)] + str(i)),
}


def _metadata(add: Command) -> Iterator[Case]:
    """Attributed cells whose metadata try to leave their place."""
    for number, name in enumerate(TRICKS):
        for column in ("study", "sample", "donor", "tissue", "disease", "cell_type"):

            def prepare(place: Path, name: str = name, column: str = column) -> Sequence[str]:
                adata = attributed_cells("S2", 12)
                adata.obs[column] = name
                return add(written(adata, place / "attributed.h5ad"))

            yield Case(f"add {column} is trick {number}", prepare)
    for number, values in enumerate(
        ([None] * 12, [np.nan, *"abcdefghijk"], range(12), [True, False] * 6, [1e400] * 12)
    ):

        def strange(place: Path, values=values) -> Sequence[str]:
            adata = attributed_cells("S2", 12)
            adata.obs["donor"] = pd.Series(list(values), index=adata.obs_names)
            return add(written(adata, place / "attributed.h5ad"))

        yield Case(f"add donors of kind {number}", strange)


def _bombs(raw: Path, commands: Sequence[Command]) -> Iterator[Case]:
    """Files that declare or unpack to far more than a machine holds."""
    for command in commands:

        def many_cells(path: Path) -> None:
            with h5py.File(path, "r+") as file:
                file["X"].attrs["shape"] = np.array([10**12, 80])

        def many_genes(path: Path) -> None:
            with h5py.File(path, "r+") as file:
                file["X"].attrs["shape"] = np.array([48, 10**12])

        def dense(path: Path) -> None:
            with h5py.File(path, "r+") as file:
                del file["X"]
                made = file.create_dataset("X", shape=(10**12, 80), dtype="f4", chunks=(10**4, 80), compression="gzip")
                made.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})

        def names(path: Path) -> None:
            with h5py.File(path, "r+") as file:
                text = h5py.string_dtype()
                del file["obs"][file["obs"].attrs["_index"]]
                made = file["obs"].create_dataset(
                    file["obs"].attrs["_index"], shape=(10**12,), dtype=text, chunks=(10**5,), compression="gzip"
                )
                made.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})

        for change in (many_cells, many_genes, dense, names):
            name = f"{command.__name__} bomb of {change.__name__}"
            yield Case(name, beside(raw, change, command), must="refuse")
