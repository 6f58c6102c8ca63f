"""What a file declares, held against itself and against memory before a reader believes it."""

import math
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from anndata import AnnData
from scipy import sparse

__all__ = [
    "array_bytes",
    "check_if_sparse",
    "check_matrices",
    "check_sparse",
    "declared_bytes",
    "is_below",
    "refuse_nothing",
    "zarr_arrays",
]


def refuse_nothing(adata: AnnData) -> None:
    """Refuse columns that HDF5 calls empty, which is neither a number nor a text nor a missing value."""
    for axis, table in (("obs", adata.obs), ("var", adata.var)):
        for name, column in table.items():
            if column.dtype == object and any(isinstance(value, h5py.Empty) for value in column):
                raise ValueError(f"{axis}[{name!r}] is empty")


def declared_bytes(file: h5py.File, but: tuple[str, ...] = ()) -> int:
    """Bytes of all datasets once they are unpacked; of texts, of their addresses alone."""
    total = 0

    def add(name: str, item: object) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset) and not is_below(name, but):
            total += array_bytes(item)

    file.visititems(add)
    return total


def array_bytes(array: Any) -> int:
    """Bytes of an array of HDF5 or zarr once it is unpacked."""
    return math.prod(array.shape or ()) * int(getattr(array.dtype, "itemsize", 8))


def is_below(name: str, parts: tuple[str, ...]) -> bool:
    """Whether an element is one of some parts of a file, or stands in one."""
    return any(name == part or name.startswith(f"{part}/") for part in parts)


def zarr_arrays(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Names and arrays of a group and all groups below it."""
    for name in group:
        item = group[name]
        if hasattr(item, "dtype"):
            yield f"{above}{name}", item
        else:
            yield from zarr_arrays(item, f"{above}{name}/")


def check_if_sparse(_: str, element: Any) -> None:
    """Check a part of a file that says of itself that it is sparse."""
    if str(element.attrs.get("encoding-type", "")) in ("csr_matrix", "csc_matrix"):
        check_sparse(element)


def check_matrices(adata: AnnData) -> None:
    """Refuse sparse matrices whose positions lead out of them, over which compiled code would stumble."""
    parts = [adata.X, *adata.layers.values(), *adata.obsm.values(), *([] if adata.raw is None else [adata.raw.X])]
    for part in parts:
        if sparse.issparse(part) and part.format in ("csr", "csc"):
            part.check_format(full_check=True)


def check_sparse(element: Any) -> None:
    """Refuse parts that contradict each other before a loop believes their shape."""
    data, indices, indptr = (element[name] for name in ("data", "indices", "indptr"))
    rows, columns = (int(size) for size in element.attrs["shape"])
    lines = columns if element.attrs["encoding-type"] == "csc_matrix" else rows
    kinds = [part.dtype.kind for part in (data, indices, indptr)]
    if (
        kinds[0] not in "biuf"
        or not set(kinds[1:]) <= set("iu")
        or any(part.ndim != 1 for part in (data, indices, indptr))
    ):
        raise ValueError(f"{element.name} holds no lists of numbers and positions")
    places = np.asarray(indptr[:]) if indptr.shape[0] == lines + 1 else np.array([-1])
    if places[0] != 0 or (np.diff(places) < 0).any() or places[-1] > data.shape[0] or data.shape != indices.shape:
        raise ValueError(
            f"{element.name} is declared as {rows:,} x {columns:,} and holds {indptr.shape[0] - 1:,} lines and "
            f"{data.shape[0]:,} values"
        )
