"""Writing cells of an atlas as AnnData, block by block, in a form that `Atlas.add` takes back."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import sparse_dataset, write_elem
from scipy.sparse import csr_matrix

from insignia.atlas.block_rows import block_rows
from insignia.atlas.export_report import ExportReport
from insignia.atlas.filters import select
from insignia.atlas.snapshot import Snapshot
from insignia.core import keys
from insignia.core.errors import InputError
from insignia.core.files import atomic_file, atomic_folder, refuse_occupied
from insignia.core.optional import need
from insignia.core.progress import Advance, progress
from insignia.data.readers import refuse_unwritable

__all__ = ["export"]


@dataclass(frozen=True, eq=False)
class _Part:
    """Cells that measured the same genes: for each segment, its number, and rows of it."""

    measured: np.ndarray
    rows: list[tuple[int, np.ndarray]]


def export(snapshot: Snapshot, path: str | Path, *, where: str | None, show: bool | None) -> ExportReport:
    """Write cells to an h5ad file, a zarr folder or a folder of parts; see `Atlas.export`."""
    began, path = time.perf_counter(), Path(path)
    refuse_occupied(path)
    rows = np.arange(snapshot.manifest.cells) if where is None else select(snapshot, where)
    parts = _parts(snapshot, rows)
    if not parts:
        raise InputError("The atlas holds no cells to export.")
    is_single = path.suffix in (".h5ad", ".zarr")
    if is_single and len(parts) > 1:
        raise InputError(
            f"The cells come from studies that measured {len(parts)} different sets of genes, and in one file a gene "
            "that was not measured would look like a zero. Give a folder, for one file for each set, or narrow where=."
        )
    with progress("exporting cells", rows.size, show=show) as advance:
        if is_single:
            files: tuple[Path, ...] = (path,)
            values = _write(snapshot, parts[0], path, advance)
        else:
            with atomic_folder(path) as folder:
                names = [f"part-{number:03d}.h5ad" for number in range(len(parts))]
                values = sum(
                    _write(snapshot, part, folder / name, advance) for part, name in zip(parts, names, strict=True)
                )
            files = tuple(path / name for name in names)
    return ExportReport(files, int(rows.size), values, time.perf_counter() - began)


def _parts(snapshot: Snapshot, rows: np.ndarray) -> list[_Part]:
    parts: dict[bytes, _Part] = {}
    for number, entry in enumerate(snapshot.manifest.segments):
        first = int(snapshot.first_rows[number])
        here = rows[slice(*np.searchsorted(rows, [first, first + entry.cells]))] - first
        if not here.size:
            continue
        segment = snapshot.segments.get(entry.id)
        for piece, measured in zip(segment.ranges, segment.measured, strict=True):
            own = here[slice(*np.searchsorted(here, [piece.start, piece.stop]))]
            if own.size:
                part = parts.setdefault(measured.tobytes(), _Part(measured, []))
                part.rows.append((number, own))
    return list(parts.values())


def _write(snapshot: Snapshot, part: _Part, path: Path, advance: Advance) -> int:
    genes = np.flatnonzero(part.measured)
    rows = np.concatenate([own + snapshot.first_rows[number] for number, own in part.rows])
    record = snapshot.manifest.record.to_dict()
    adata = AnnData(obs=_obs(snapshot, rows), var=_var(snapshot, genes), uns={keys.ATTRIBUTION: record})
    if path.suffix == ".zarr":
        zarr = need("zarr", extra="zarr", purpose="Writing .zarr")
        with atomic_folder(path) as folder:
            group = zarr.open_group(folder, mode="w", zarr_format=2)
            write_elem(group, "/", adata)
            values = _append(snapshot, part, genes, group, advance)
            zarr.consolidate_metadata(group.store)
            return values
    with atomic_file(path) as temporary:
        with refuse_unwritable():
            adata.write_h5ad(temporary)
        with h5py.File(temporary, "r+") as file:
            return _append(snapshot, part, genes, file, advance)


def _append(snapshot: Snapshot, part: _Part, genes: np.ndarray, group: Any, advance: Advance) -> int:
    name, values = f"layers/{keys.ATTRIBUTION}", 0
    write_elem(group, name, csr_matrix((0, genes.size), dtype=np.float32))
    layer = sparse_dataset(group[name])
    for block in _blocks(snapshot, part, genes):
        layer.append(block)
        values += block.nnz
        advance(block.shape[0])
    return values


def _blocks(snapshot: Snapshot, part: _Part, genes: np.ndarray) -> Iterator[csr_matrix]:
    for number, own in part.rows:
        yield from block_rows(snapshot.segments.get(snapshot.manifest.segments[number].id), own, genes)


def _obs(snapshot: Snapshot, rows: np.ndarray) -> pd.DataFrame:
    obs = snapshot.frame(rows=rows)
    barcodes = obs[keys.BARCODE].astype(str)
    obs.index = pd.Index(barcodes if barcodes.is_unique else obs[keys.STUDY].astype(str) + ":" + barcodes, name=None)
    for name, column in obs.items():
        if pd.api.types.infer_dtype(column, skipna=True) == "boolean" and column.isna().any():
            obs[name] = column.astype("boolean")
    return obs


def _var(snapshot: Snapshot, genes: np.ndarray) -> pd.DataFrame:
    table = snapshot.genes.frame().iloc[genes].reset_index(drop=True)
    symbols, ids = table["symbol"].astype(str), table["id"].astype(str)
    names = symbols.where((symbols != "") & ~symbols.duplicated(keep=False), ids)
    names = names.where((names != "") & ~names.duplicated(keep=False), pd.Series([f"gene {place}" for place in genes]))
    table.index = pd.Index(names.to_numpy(dtype=object))
    table[keys.gene_index()] = genes.astype(np.int32)
    return table
