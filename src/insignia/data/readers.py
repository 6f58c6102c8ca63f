"""Single-cell files of the usual kinds, read into AnnData."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData, OldFormatWarning, read_h5ad
from anndata.io import read_elem, sparse_dataset
from scipy import io as scipy_io
from scipy import sparse

from insignia.core.errors import FileFormatError, InputError, InsigniaError
from insignia.core.files import atomic_file
from insignia.core.optional import need
from insignia.core.room import refuse_larger_than_memory
from insignia.core.text_files import text_file, unpacked_file
from insignia.data.file_checks import (
    array_bytes,
    check_if_sparse,
    check_matrices,
    check_sparse,
    declared_bytes,
    is_below,
    refuse_nothing,
    zarr_arrays,
)

__all__ = ["read", "refuse_unwritable", "write_h5ad"]

_BACKED: Final = "If the file is sound, read it with backed=True, or where there is more memory."
_LEFT_ON_DISK: Final = ("X", "layers", "raw/X")
_KINDS: Final = "a .h5ad file, a 10x .h5 file, a 10x folder (matrix.mtx, barcodes.tsv, features.tsv) or a .zarr folder"


def read(path: str | Path, *, backed: bool = False) -> AnnData:
    """Read single-cell data from a .h5ad file, a 10x .h5 file, a 10x folder or a .zarr folder.

    In 10x data, only the features of type "Gene Expression" are taken. Gene symbols become the index of `var`, and
    Ensembl ids are kept in `var["gene_ids"]`. Where symbols repeat, the ids become the index instead, and
    `var["gene_symbols"]` holds the symbols.

    Parameters
    ----------
    path
        Where the data are. The suffix tells the kind; a folder that does not end in .zarr is a 10x folder.
    backed
        Leave `X`, `layers` and `raw.X` of a .h5ad file or a .zarr folder on disk, where `Expression` and `Attributed`
        read them block by block. The file stays open as long as the object lives, and `adata.to_memory()` loads the
        rest. Other kinds are always read whole.

    Raises
    ------
    FileFormatError
        There is nothing at `path`, or it is damaged or not what its name says.
    MissingDependency
        A .zarr folder, and zarr is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise FileFormatError(f"There is nothing at {path}. Expected {_KINDS}.")
    if not (path.is_file() or path.is_dir()):
        raise FileFormatError(f"{path} is a pipe or a device. Write what it holds to a file first: {_KINDS}.")
    with _as_format_error(path), warnings.catch_warnings():
        # repeated names get a decision of their own below, or an error from who needs them unique; old files are fine
        warnings.filterwarnings("ignore", message=".*names are not unique")
        warnings.simplefilter("ignore", OldFormatWarning)
        adata = _reader(path, backed)(path)
        refuse_nothing(adata)
        if not backed:
            check_matrices(adata)
        return adata


def write_h5ad(adata: AnnData, path: str | Path) -> None:
    """Write a .h5ad file that appears whole or not at all.

    Raises
    ------
    FileFormatError
        `path` does not end in .h5ad.
    InputError
        The object holds what such a file cannot.
    """
    path = Path(path)
    if path.suffix != ".h5ad":
        raise FileFormatError(f"{path.name} must end in .h5ad. Name it {path.stem}.h5ad.")
    with atomic_file(path) as temporary, refuse_unwritable():
        adata.write_h5ad(temporary)


@contextmanager
def refuse_unwritable() -> Iterator[None]:
    """Turn what AnnData cannot write, such as a column of mixed kinds or a name with NUL, into an `InputError`."""
    try:
        yield
    except (InsigniaError, OSError, MemoryError):
        raise
    except Exception as error:
        told = [*str(error).splitlines()[:1], *(note.strip() for note in getattr(error, "__notes__", []))]
        raise InputError(
            f"The cells hold what a .h5ad file cannot: {'; '.join(told)[:300]}. Remove it, or change its type or name."
        ) from error


def _reader(path: Path, backed: bool) -> Callable[[Path], AnnData]:
    if path.suffix == ".zarr":
        return _open_zarr if backed else _read_zarr
    if path.is_dir():
        return _read_10x_folder
    if path.suffix == ".h5ad":
        return _open_h5ad if backed else _read_h5ad
    if path.suffix in (".h5", ".hdf5"):
        return _read_10x_h5
    raise FileFormatError(f"{path.name} is of an unknown kind. Expected {_KINDS}.")


@contextmanager
def _as_format_error(path: Path) -> Iterator[None]:
    """Turn whatever a reader stumbles over into an error that names the file."""
    try:
        yield
    except (FileFormatError, ImportError, PermissionError):
        raise
    except MemoryError as error:
        raise FileFormatError(f"{path} needs more memory than there is. {_BACKED}") from error
    except Exception as error:
        found = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileFormatError(
            f"{path} could not be read as {_kind_of(path)}: damaged, cut short or of another kind? ({found}) "
            "Compare its size with the source and fetch or write it again."
        ) from error


def _kind_of(path: Path) -> str:
    if path.is_dir():
        return "zarr" if path.suffix == ".zarr" else "a 10x folder"
    return "h5ad" if path.suffix == ".h5ad" else "10x h5"


def _refuse_other_than_hdf5(path: Path) -> None:
    if not h5py.is_hdf5(path):
        with path.open("rb") as file:
            start = file.read(8)
        raise FileFormatError(
            f"{path} is no HDF5 file: expected {_kind_of(path)}, found {path.stat().st_size:,} bytes that begin with "
            f"{start!r}. Was the download complete, and is the suffix right?"
        )


def _read_h5ad(path: Path) -> AnnData:
    _refuse_other_than_hdf5(path)
    with h5py.File(path, "r") as file:
        _refuse_incomplete(path, file)
        refuse_larger_than_memory(path, declared_bytes(file), remedy=_BACKED)
        file.visititems(check_if_sparse)
    return read_h5ad(path)


def _open_h5ad(path: Path) -> AnnData:
    _refuse_other_than_hdf5(path)
    file = h5py.File(path, "r")
    try:
        _refuse_incomplete(path, file)
        refuse_larger_than_memory(path, declared_bytes(file, but=_LEFT_ON_DISK), remedy=_BACKED)
        if "encoding-type" in file.attrs:
            return AnnData(**_lazy_parts(file))
    except Exception:
        file.close()
        raise
    # written before anndata 0.8: only anndata itself knows all old layouts
    file.close()
    return read_h5ad(path, backed="r")


def _refuse_incomplete(path: Path, file: h5py.File) -> None:
    absent = [part for part in ("obs", "var") if part not in file]
    if absent:
        raise FileFormatError(
            f"{path} is an HDF5 file but not h5ad: it lacks {' and '.join(absent)} and holds "
            f"{', '.join(file) or 'nothing'}. A 10x file must end in .h5."
        )


def _lazy_parts(file: Any) -> dict[str, Any]:
    parts = {key: read_elem(file[key]) for key in file if key not in ("X", "layers", "raw")}
    parts["X"] = _lazy(file["X"]) if "X" in file else None
    parts["layers"] = {key: _lazy(file["layers"][key]) for key in file.get("layers", ())}
    if "raw" in file:
        raw = file["raw"]
        parts["raw"] = {key: _lazy(raw[key]) if key == "X" else read_elem(raw[key]) for key in raw}
    return parts


def _lazy(element: Any) -> Any:
    # datasets of HDF5 and arrays of zarr, dense
    if hasattr(element, "dtype"):
        if not isinstance(element.dtype, np.dtype) or element.dtype.kind not in "biuf" or element.ndim != 2:
            raise ValueError(f"{element.name} is no matrix of numbers")
        return element
    absent = {"data", "indices", "indptr"} - set(element)
    if absent:
        raise KeyError(f"{element.name} lacks {', '.join(sorted(absent))}")
    check_sparse(element)
    return sparse_dataset(element)


def _read_zarr(path: Path) -> AnnData:
    need("zarr", extra="zarr", purpose="Reading .zarr")
    import zarr
    from anndata import read_zarr

    declared = sum(array_bytes(array) for _, array in zarr_arrays(zarr.open_group(str(path), mode="r")))
    refuse_larger_than_memory(path, declared, remedy=_BACKED)
    return read_zarr(path)


def _open_zarr(path: Path) -> AnnData:
    zarr = need("zarr", extra="zarr", purpose="Reading .zarr")
    group = zarr.open_group(str(path), mode="r")
    absent = [part for part in ("obs", "var") if part not in group]
    if absent:
        raise FileFormatError(
            f"{path} is a zarr folder but not of AnnData: it lacks {' and '.join(absent)} and holds "
            f"{', '.join(group) or 'nothing'}."
        )
    arrays = [array for name, array in zarr_arrays(group) if not is_below(name, _LEFT_ON_DISK)]
    refuse_larger_than_memory(path, sum(map(array_bytes, arrays)), remedy=_BACKED)
    return AnnData(**_lazy_parts(group))


def _read_10x_h5(path: Path) -> AnnData:
    _refuse_other_than_hdf5(path)
    import scanpy

    return _name_genes(scanpy.read_10x_h5(path))


def _read_10x_folder(path: Path) -> AnnData:
    # scanpy's reader wants all three files packed, or none, and under their plain names
    matrix_file = _part(path, "matrix.mtx")
    barcodes = _read_tsv(_part(path, "barcodes.tsv"))[0]
    features = _read_tsv(_part(path, "features.tsv", "genes.tsv"))
    with unpacked_file(matrix_file) as file:
        matrix = sparse.csr_matrix(scipy_io.mmread(file).T, dtype=np.float32)
    if matrix.shape != (len(barcodes), len(features)):
        raise FileFormatError(
            f"{path} does not fit together: {matrix_file.name} holds {matrix.shape[1]:,} genes and {matrix.shape[0]:,} "
            f"cells, the lists {len(features):,} and {len(barcodes):,}. Are all three files from one run?"
        )
    var = pd.DataFrame({"gene_ids": features[0].to_numpy()}, index=features[min(1, features.shape[1] - 1)].to_numpy())
    if features.shape[1] > 2:
        var["feature_types"] = features[2].to_numpy()
    return _name_genes(AnnData(matrix, obs=pd.DataFrame(index=barcodes.to_numpy()), var=var))


def _read_tsv(path: Path) -> pd.DataFrame:
    with text_file(path) as file:
        return pd.read_csv(file, sep="\t", header=None, dtype=str, keep_default_na=False)


def _part(folder: Path, *names: str) -> Path:
    """Find the one file of these names, packed or not; GEO puts the sample's name in front."""
    endings = tuple(f"{name}{packed}" for name in names for packed in ("", ".gz"))
    there = sorted(item.name for item in folder.iterdir() if not item.name.startswith("."))
    found = [name for name in there if name.endswith(endings)]
    if len(found) == 1:
        return folder / found[0]
    problem = f"holds {len(found)} files of the kind" if found else "lacks"
    raise FileFormatError(
        f"{folder} {problem} {' or '.join(names)} (or .gz), of which a 10x folder needs one. "
        f"It holds: {', '.join(there[:8]) or 'nothing'}. Put the three files of a sample into a folder of their own."
    )


def _name_genes(adata: AnnData) -> AnnData:
    """Keep measured genes, and index them by id where symbols repeat."""
    if "feature_types" in adata.var:
        is_gene = (adata.var["feature_types"] == "Gene Expression").to_numpy()
        adata = adata if is_gene.all() else adata[:, is_gene].copy()
    if not adata.var_names.is_unique:
        adata.var["gene_symbols"] = adata.var_names.to_numpy()
        adata.var_names = adata.var["gene_ids"].to_numpy()
    return adata
