"""Embeddings that an atlas keeps beside its values: float16, one row a cell, in each segment that has them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from insignia.atlas.layout import EMBEDDING, MAX_VALUE
from insignia.atlas.plan import Plan
from insignia.atlas.snapshot import Snapshot
from insignia.core.errors import AtlasMismatch, InputError, MissingMetadata
from insignia.core.files import reserve

__all__ = ["centroid", "check_width", "embedding_blocks", "plan_embedding", "read_embedding", "write_embedding"]

_ROWS: Final = 16_384


def plan_embedding(plan: Plan, key: str) -> Plan:
    """Check that every source has embeddings under a key of `obsm`, of one width, and note them in the plan.

    Raises
    ------
    MissingMetadata
        A source has none.
    InputError
        They are not finite, too large for float16, or of several widths.
    """
    width = 0
    for source in plan.sources:
        with source.opened() as cells:
            if key not in cells.obsm:
                there = ", ".join(cells.obsm) or "none"
                raise MissingMetadata(
                    f"{source.name} has no embedding obsm[{key!r}] (there: {there}). Run ins.tl.embed(adata, model)."
                )
            rows, n_cells = np.asarray(cells.obsm[key]), cells.n_cells
        width = width or (rows.shape[1] if rows.ndim == 2 else 0)
        found = f"obsm[{key!r}] of {source.name}"
        if rows.shape != (n_cells, width) or not width:
            raise InputError(f"{found} has the shape {rows.shape}; expected ({n_cells}, {width or 'latent'}).")
        if not (np.abs(rows) <= MAX_VALUE).all():
            raise InputError(f"{found} holds values that are not finite or beyond {MAX_VALUE:,.0f}.")
    return replace(plan, embedding=key, width=width)


def write_embedding(plan: Plan, folders: Sequence[Path]) -> tuple[str, ...]:
    """Write the embeddings of a plan, if it asks for them, and return the names of the files in each folder."""
    if plan.embedding is None:
        return ()
    out = []
    for part, folder in zip(plan.segments, folders, strict=True):
        shape = (part.stop - part.start, plan.width)
        out.append(np.lib.format.open_memmap(folder / EMBEDDING, mode="w+", dtype=np.float16, shape=shape))
        reserve(folder / EMBEDDING)
    for source, places in zip(plan.sources, plan.places, strict=True):
        with source.opened() as cells:
            rows = np.asarray(cells.obsm[plan.embedding])
        for part, array in zip(plan.segments, out, strict=True):
            here = (places >= part.start) & (places < part.stop)
            array[places[here] - part.start] = rows[here]
    for array in out:
        array.flush()
    return (EMBEDDING,)


def check_width(snapshot: Snapshot, width: int) -> None:
    """Refuse embeddings of another width than those that the atlas has.

    Raises
    ------
    AtlasMismatch
        They cannot be of the same model.
    """
    for entry in snapshot.manifest.segments:
        array = snapshot.segments.get(entry.id).per_cell().get(EMBEDDING)
        if array is not None:
            if array.shape[1] != width:
                raise AtlasMismatch(
                    f"The atlas keeps embeddings of {array.shape[1]} dimensions and these have {width}. Embed the "
                    "cells with the model of the atlas (ins.tl.embed)."
                )
            return


def embedding_blocks(snapshot: Snapshot, rows: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read embeddings of some cells in blocks: their rows in the atlas, and float32 (cells, latent).

    Parameters
    ----------
    rows
        Rows of the atlas, ascending; `None` stands for all.

    Raises
    ------
    MissingMetadata
        Some of the cells have no embedding; the message names studies.
    """
    for entry, first in zip(snapshot.manifest.segments, snapshot.first_rows.tolist(), strict=False):
        last = first + entry.cells
        here = np.arange(first, last) if rows is None else rows[slice(*np.searchsorted(rows, [first, last]))]
        if not here.size:
            continue
        segment = snapshot.segments.get(entry.id)
        array = segment.per_cell().get(EMBEDDING)
        if array is None:
            studies = list(dict.fromkeys(part.study for part in segment.ranges))[:5]
            raise MissingMetadata(
                f"Cells of {', '.join(studies)} have no embedding in the atlas. Choose others with where=, or replace "
                "the studies with Atlas.replace(..., embedding=...)."
            )
        for start in range(0, here.size, _ROWS):
            block = here[start : start + _ROWS]
            yield block, np.asarray(array[block - first], dtype=np.float32)


def read_embedding(snapshot: Snapshot, rows: np.ndarray | None) -> np.ndarray:
    """Read embeddings of some cells; see `Atlas.embedding`."""
    blocks = [block for _, block in embedding_blocks(snapshot, rows)]
    if not blocks:
        raise InputError("The atlas holds no cells.")
    return np.concatenate(blocks)


def centroid(snapshot: Snapshot, rows: np.ndarray | None) -> np.ndarray:
    """Average embeddings of some cells; see `Atlas.centroid`."""
    total, count = np.zeros(1), 0
    for _, block in embedding_blocks(snapshot, rows):
        total = total + block.sum(axis=0, dtype=np.float64)
        count += len(block)
    if not count:
        raise InputError("The atlas holds no cells.")
    return np.asarray(total / count, dtype=np.float32)
