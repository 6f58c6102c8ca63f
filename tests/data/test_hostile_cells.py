"""Files of cells that lie about themselves: refused by name before memory, compiled code or time is lost over them."""

import gzip
import json

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from benchmarks.attack.mutations import hdf5_damage
from benchmarks.attack.originals import raw_cells

from insignia.core import room
from insignia.core.errors import FileFormatError, InputError, InputSpaceError
from insignia.data import (
    Split,
    file_checks,
    read,
    read_screen,
    read_splits,
    screen_to_anndata,
    simulate_screen,
    write_h5ad,
    write_splits,
)
from insignia.data.matrix_rows import MatrixRows
from insignia.data.metadata_map import MetadataMap

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def path(tmp_path):
    write_h5ad(raw_cells(12, 10), tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


def read_rows(path):
    rows = MatrixRows.from_adata(read(path, backed=True), None)
    return rows.read(0, rows.shape[0])


@pytest.mark.parametrize("part", ["obs/score", "obsm/X_pca", "obs/disease/codes"])
@pytest.mark.parametrize("backed", [False, True])
def test_more_than_memory_is_refused_before_it_is_read(path, part, backed):
    hdf5_damage(path, part, "huge")
    with pytest.raises(FileFormatError, match=r"declares .* once it is unpacked"):
        read(path, backed=backed)


def test_expression_that_stays_on_disk_is_not_counted(path, monkeypatch):
    with h5py.File(path) as file:
        declared = file_checks.declared_bytes(file)
    monkeypatch.setattr(room, "available_memory", lambda: declared - 1)
    with pytest.raises(FileFormatError, match=r"read it with backed=True"):
        read(path)
    assert read(path, backed=True).n_obs == 12


@pytest.mark.parametrize("part", ["X/indptr", "X/indices", "X/data", "raw/X/indptr"])
@pytest.mark.parametrize("kind", ["floats", "negative", "shorter", "text", "two-dimensional"])
def test_sparse_parts_that_contradict_each_other_are_refused(path, part, kind):
    if (part, kind) in {("X/data", "floats"), ("X/data", "negative")}:
        pytest.skip("these are values, if strange ones")
    hdf5_damage(path, part, kind)
    with pytest.raises(FileFormatError, match=r"cells\.h5ad"):
        read(path)
    if part.startswith("X"):
        with pytest.raises(FileFormatError, match=r"cells\.h5ad"):
            read_rows(path)


@pytest.mark.parametrize("place", ["too large", "negative"])
@pytest.mark.parametrize("form", ["csr", "csc"])
def test_positions_that_lead_out_of_a_matrix_are_refused(tmp_path, form, place):
    adata = raw_cells(12, 10)
    adata.X = adata.X.asformat(form)
    path = tmp_path / "cells.h5ad"
    write_h5ad(adata, path)
    with h5py.File(path, "r+") as file:
        file["X/indices"][3] = 1000 if place == "too large" else -2
    with pytest.raises(FileFormatError, match=r"cells\.h5ad"):
        read(path)
    with pytest.raises(FileFormatError, match=r"cells\.h5ad cannot be read in its rows 0 to 11"):
        read_rows(path)


def test_a_declared_shape_is_held_against_what_is_there(path):
    with h5py.File(path, "r+") as file:
        file["X"].attrs["shape"] = np.array([10**12, 10])
    for backed in (False, True):
        with pytest.raises(FileFormatError, match=r"cells\.h5ad"):
            read(path, backed=backed)


def test_a_packed_block_that_is_damaged_is_named(tmp_path):
    path = tmp_path / "cells.h5ad"
    adata = AnnData(np.random.default_rng(0).normal(size=(200, 50)))
    adata.write_h5ad(path, compression="gzip")
    with h5py.File(path) as file:
        place = file["X"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[place : place + 64] = b"\xff" * 64
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=r"cells\.h5ad cannot be read in its rows"):
        read_rows(path)


def test_a_column_without_values_is_refused(path):
    hdf5_damage(path, "obs/score", "empty")
    with pytest.raises(FileFormatError, match=r"obs.*score.* is empty"):
        read(path)


def test_what_no_file_can_hold_is_refused_and_nothing_is_left(tmp_path):
    adata = raw_cells(4, 3)
    adata.obs["mixed"] = pd.Series([1, "a", None, 2.5], index=adata.obs_names, dtype=object)
    with pytest.raises(InputError, match=r"cannot: .*mixed"):
        write_h5ad(adata, tmp_path / "cells.h5ad")
    assert list(tmp_path.iterdir()) == []


def test_zarr_that_declares_more_than_memory_is_refused(tmp_path):
    pytest.importorskip("zarr")
    path = tmp_path / "cells.zarr"
    raw_cells(12, 10).write_zarr(path)
    (path / ".zmetadata").unlink(missing_ok=True)
    about = next(file for file in (path / "layers/dense").iterdir() if file.name in (".zarray", "zarr.json"))
    about.write_text(json.dumps(json.loads(about.read_text()) | {"shape": [10**9, 10**6]}))
    with pytest.raises(FileFormatError, match=r"declares"):
        read(path)


def test_texts_of_a_10x_folder_that_unpack_to_far_more_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("insignia.core.text_files._FAR", 2**20)
    (tmp_path / "matrix.mtx").write_text("%%MatrixMarket matrix coordinate integer general\n2 1 1\n1 1 1\n")
    (tmp_path / "features.tsv").write_text("E1\tA\nE2\tB\n")
    (tmp_path / "barcodes.tsv.gz").write_bytes(gzip.compress(b"A\n" * 2**21))
    with pytest.raises(FileFormatError, match=r"barcodes\.tsv\.gz .* unpacks to more than"):
        read(tmp_path)


def test_nesting_without_end_is_refused(tmp_path):
    write_splits(Split("one", ("a",), ("b",)), tmp_path / "split.json")
    (tmp_path / "split.json").write_text("[" * 100_000)
    with pytest.raises(FileFormatError, match=r"no file of splits"):
        read_splits(tmp_path / "split.json")
    (tmp_path / "map.toml").write_text("columns = " + "[" * 20_000 + "]" * 20_000)
    with pytest.raises(FileFormatError, match=r"no mapping"):
        MetadataMap.read(tmp_path / "map.toml")


def test_halves_are_widened_and_complex_numbers_refused(path):
    adata = raw_cells(12, 10)
    values = adata.X.toarray()
    adata.X = values.astype(np.float16)
    write_h5ad(adata, path)
    np.testing.assert_array_equal(read_rows(path), values)
    assert read_rows(path).dtype == np.float32
    with pytest.raises(InputSpaceError, match=r"complex64, which is no kind of real numbers"):
        MatrixRows(values.astype(np.complex64)).read(0, 3)


@pytest.mark.parametrize("scale", ["text", [1.0, 2.0]])
def test_a_screen_says_its_scale_as_a_number(path, scale):
    screen = screen_to_anndata(
        simulate_screen(n_genes=12, n_programs=4, n_perturbations=4, n_doubles=2, n_controls=10, rng=0).data
    )
    screen.uns["perturb"]["scale"] = scale
    write_h5ad(screen, path)
    with pytest.raises(FileFormatError, match=r"'scale'.* should be a number"):
        read_screen(path)
