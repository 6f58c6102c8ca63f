"""Cells in the files of other programs: 10x HDF5, 10x folders of text, zarr folders."""

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
from scipy import io as scipy_io
from scipy import sparse

from benchmarks.attack.case import Case
from benchmarks.attack.mutations import (
    HDF5_KINDS,
    JSON_TRICKS,
    NAMES_THAT_TRICK,
    damaged_cases,
    hdf5_damage,
    hdf5_parts,
    json_damage,
)
from benchmarks.attack.originals import beside, inside_cases, raw_cells

__all__ = ["cases"]


def cases(folder: Path, rng: np.random.Generator, amount: int) -> list[Case]:
    """Scores of damaged files and folders."""
    tenx = _tenx_h5(folder / "filtered.h5")
    text = _tenx_folder(folder / "sample")
    zarr = folder / "cells.zarr"
    raw_cells().write_zarr(zarr)
    # without the copy of all descriptions, so that each is read where it stands
    (zarr / ".zmetadata").unlink(missing_ok=True)
    return [
        *(Case(f"sound {path.name}", beside(path, lambda _: None, _score), must="answer")
          for path in (tenx, text, zarr)),
        *(Case(f"{tenx.name}: {part}, {kind}", beside(tenx, _hdf5(part, kind), _score))
          for part in hdf5_parts(tenx) for kind in HDF5_KINDS),
        *damaged_cases(tenx, _score, rng, 4 * amount),
        *_texts(text),
        *inside_cases(text, _score, rng, 6 * amount),
        *inside_cases(zarr, _score, rng, 6 * amount),
        *_zarr(zarr, rng, 10 * amount),
    ]  # fmt: skip


def _score(path: Path) -> Sequence[str]:
    return ["score", path.name, "GENE1,GENE2,GENE3", "-o", "scores.csv", "--layer", "X"]


def _hdf5(part: str, kind: str) -> Callable[[Path], None]:
    return lambda path: hdf5_damage(path, part, kind)


def _tenx_h5(path: Path) -> Path:
    adata = raw_cells()
    matrix = sparse.csr_matrix(adata.X).astype(np.int32)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = np.array(adata.obs_names, dtype="S")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix, name)
        group["shape"] = np.array(matrix.shape[::-1], dtype=np.int32)
        features = group.create_group("features")
        features["id"] = np.array([f"ENSG{i:011d}" for i in range(adata.n_vars)], dtype="S")
        features["name"] = np.array(adata.var_names, dtype="S")
        features["feature_type"] = np.array(["Gene Expression"] * adata.n_vars, dtype="S")
        features["genome"] = np.array(["GRCh38"] * adata.n_vars, dtype="S")
    return path


def _tenx_folder(path: Path) -> Path:
    path.mkdir()
    adata = raw_cells()
    scipy_io.mmwrite(path / "matrix.mtx", sparse.coo_matrix(adata.X.T.astype(int)))
    (path / "barcodes.tsv").write_text("".join(f"{name}\n" for name in adata.obs_names))
    rows = [f"ENSG{i:011d}\t{name}\tGene Expression\n" for i, name in enumerate(adata.var_names)]
    (path / "features.tsv").write_text("".join(rows))
    return path


def _texts(original: Path) -> Iterator[Case]:
    """Files of a 10x folder that were thought of."""
    matrix = (original / "matrix.mtx").read_text()
    head, rest = matrix.split("\n", 1)
    features = (original / "features.tsv").read_text()
    tricks: dict[str, tuple[str, bytes]] = {
        "huge matrix": ("matrix.mtx", f"{head}\n%\n80 1000000000000 1\n1 1 1\n".encode()),
        "huge number of values": ("matrix.mtx", f"{head}\n%\n80 48 1000000000000\n1 1 1\n".encode()),
        "place outside": ("matrix.mtx", f"{head}\n%\n80 48 1\n81 49 1\n".encode()),
        "place zero": ("matrix.mtx", f"{head}\n%\n80 48 1\n0 0 1\n".encode()),
        "not finite": ("matrix.mtx", f"{head.replace('integer', 'real')}\n%\n80 48 1\n1 1 nan\n".encode()),
        "complex": ("matrix.mtx", f"{head.replace('integer', 'complex')}\n%\n80 48 1\n1 1 1 1\n".encode()),
        "dense": ("matrix.mtx", b"%%MatrixMarket matrix array real general\n80 48\n1\n"),
        "huge integers": ("matrix.mtx", f"{head}\n%\n80 48 1\n1 1 {'9' * 50}\n".encode()),
        "empty matrix": ("matrix.mtx", b""),
        "no rows": ("matrix.mtx", f"{head}\n%\n0 0 0\n".encode()),
        "unpacks to gigabytes": ("matrix.mtx.gz", gzip.compress(b"%" + b" " * 2**26) * 64),
        "packed and cut": ("matrix.mtx.gz", gzip.compress(matrix.encode())[:-20]),
        "features of one column": ("features.tsv", b"".join(b"GENE%d\n" % i for i in range(80))),
        "features of a million columns": ("features.tsv", b"\t".join([b"x"] * 10**6)),
        "features with an open quote": ("features.tsv", features.replace("GENE1\t", '"GENE1\t').encode()),
        "features are another encoding": ("features.tsv", features.replace("GENE1\t", "GENÉ1\t").encode("latin-1")),
        "features with tricks": ("features.tsv", "".join(
            f"ID{i}\t{NAMES_THAT_TRICK[i % 19].strip() or 'x'}{i}\tGene Expression\n" for i in range(80)
        ).encode()),
        "features of other kinds": ("features.tsv", features.replace("Gene Expression", "Antibody Capture").encode()),
        "no barcodes": ("barcodes.tsv", b""),
        "barcodes of one name": ("barcodes.tsv", b"A\n" * 48),
        "barcodes unpack to gigabytes": ("barcodes.tsv.gz", gzip.compress(b"A\n" * 2**25) * 64),
        "matrix twice": ("matrix.mtx.gz", gzip.compress(matrix.encode())),
    }  # fmt: skip
    assert rest
    for name, (file, content) in tricks.items():

        def change(path: Path, name: str = name, file: str = file, content: bytes = content) -> None:
            if file.endswith(".gz") and name != "matrix twice":
                (path / file.removesuffix(".gz")).unlink()
            (path / file).write_bytes(content)

        yield Case(f"10x folder: {name}", beside(original, change, _score))


def _zarr(original: Path, rng: np.random.Generator, amount: int) -> Iterator[Case]:
    """Descriptions of arrays and groups, damaged as JSON; declared sizes without data."""
    files = sorted(path for path in original.rglob("*") if path.name in (".zarray", ".zattrs", ".zgroup", "zarr.json"))
    for number in range(amount):
        file = files[int(rng.integers(len(files)))]
        if not json.loads(file.read_text()):
            continue
        how, content = json_damage(file.read_text(), rng)
        where = file.relative_to(original)

        def change(path: Path, where: Path = where, content: str = content) -> None:
            (path / where).write_text(content)

        yield Case(f"{original.name}/{where} {number}: {how}", beside(original, change, _score))
    for file in files:
        if "shape" not in json.loads(file.read_text()):
            continue
        where = file.relative_to(original)

        def huge(path: Path, where: Path = where) -> None:
            content = json.loads((path / where).read_text())
            content["shape"] = [10**12 for _ in content["shape"]]
            (path / where).write_text(json.dumps(content))

        yield Case(f"{original.name}/{where} huge", beside(original, huge, _score), must="refuse")
    for name, trick in JSON_TRICKS.items():

        def replace(path: Path, trick: str = trick) -> None:
            for file in path.iterdir():
                if file.name in (".zattrs", ".zgroup", "zarr.json"):
                    file.write_text(trick)

        yield Case(f"{original.name} root is {name}", beside(original, replace, _score))
