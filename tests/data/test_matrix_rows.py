"""Blocks of rows are what plain indexing gives, wherever the matrix lies."""

import h5py
import numpy as np
import pytest
from anndata import AnnData, read_h5ad
from scipy import sparse

from insignia.core.errors import MissingMetadata
from insignia.data import matrix_rows, read
from insignia.data.matrix_rows import MatrixRows


@pytest.fixture
def dense():
    return np.random.default_rng(1).poisson(0.4, (200, 30)).astype(np.float32)


FORMS = {"dense": np.asarray, "csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "csr_array": sparse.csr_array}


def open_as(how, values, tmp_path):
    adata = AnnData(values.copy(), layers={"other": values * 2})
    if how == "memory":
        return adata
    adata.write_h5ad(tmp_path / "x.h5ad")
    return read(tmp_path / "x.h5ad", backed=True) if how == "lazy" else read_h5ad(tmp_path / "x.h5ad", backed="r")


def whole(rows, size):
    n = rows.shape[0]
    return np.vstack([to_dense(rows.read(start, min(start + size, n))) for start in range(0, n, size)])


def to_dense(block):
    return block.toarray() if sparse.issparse(block) else block


SELECTIONS = {
    "all": lambda adata: adata,
    "mask": lambda adata: adata[np.arange(200) % 3 == 0],
    "slice and genes": lambda adata: adata[20:120, [7, 3, 5]],
    "shuffled": lambda adata: adata[np.random.default_rng(2).permutation(200)[:90], ::2],
}


@pytest.mark.parametrize("layer", [None, "other"])
@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("how", ["memory", "lazy", "backed"])
@pytest.mark.parametrize("form", FORMS)
def test_blocks_equal_plain_indexing(dense, form, how, selection, layer, tmp_path):
    expected = SELECTIONS[selection](AnnData(dense if layer is None else dense * 2)).X
    rows = MatrixRows.from_adata(SELECTIONS[selection](open_as(how, FORMS[form](dense), tmp_path)), layer)
    assert rows.shape == expected.shape
    for size in (45, 500):
        np.testing.assert_array_equal(whole(rows, size), expected)


@pytest.mark.parametrize(("window", "chunk"), [(60, 7), (1000, 100), (1, 10**6)])
def test_small_windows_give_the_same(dense, window, chunk, monkeypatch, tmp_path):
    monkeypatch.setattr(matrix_rows, "_WINDOW_VALUES", window)
    monkeypatch.setattr(matrix_rows, "_CHUNK_VALUES", chunk)
    for how in ("memory", "lazy"):
        adata = open_as(how, sparse.csc_matrix(dense), tmp_path)
        rows = MatrixRows.from_adata(adata, None)
        np.testing.assert_array_equal(whole(rows, 16), dense)
        np.testing.assert_array_equal(to_dense(rows.read(90, 95)), dense[90:95])
        np.testing.assert_array_equal(to_dense(rows.read(85, 92)), dense[85:92])
        some = MatrixRows.from_adata(adata[[150, 3, 77, 4]], None)
        np.testing.assert_array_equal(whole(some, 3), dense[[150, 3, 77, 4]])


def test_a_window_is_read_once(dense, monkeypatch):
    loads = []
    load = matrix_rows._ColumnStore._load
    monkeypatch.setattr(
        matrix_rows._ColumnStore, "_load", lambda self, rows: loads.append(len(rows)) or load(self, rows)
    )
    whole(MatrixRows(sparse.csc_matrix(dense)), 10)
    assert loads == [200]


@pytest.mark.parametrize("form", FORMS)
def test_sample_is_spread_and_true_to_its_positions(dense, form, monkeypatch):
    rows = MatrixRows(FORMS[form](dense))
    positions, values = rows.sample(128)
    assert positions[0] == 0
    assert positions[-1] == 199
    np.testing.assert_array_equal(to_dense(values), dense[positions])
    everything, values = rows.sample(200)
    np.testing.assert_array_equal(everything, np.arange(200))
    np.testing.assert_array_equal(to_dense(values), dense)


def test_sample_of_a_large_column_store_stays_in_one_window(dense, monkeypatch):
    monkeypatch.setattr(matrix_rows, "_WINDOW_VALUES", 500)
    positions, values = MatrixRows(sparse.csc_matrix(dense)).sample(64)
    np.testing.assert_array_equal(positions, np.arange(64))
    np.testing.assert_array_equal(values.toarray(), dense[:64])


def test_empty_matrix(tmp_path):
    rows = MatrixRows(sparse.csc_matrix((5, 3), dtype=np.float32))
    assert rows.read(0, 5).shape == (5, 3)
    assert rows.read(2, 2).shape == (0, 3)


@pytest.mark.parametrize("form", ["csr", "dense"])
def test_a_file_is_read_only_where_it_is_asked(dense, form, tmp_path, monkeypatch):
    rows = MatrixRows.from_adata(open_as("lazy", FORMS[form](dense), tmp_path), "other")
    read_values = []
    original = h5py.Dataset.__getitem__

    def spy(self, *args, **kwargs):
        found = original(self, *args, **kwargs)
        if self.dtype.kind == "f":
            read_values.append(np.size(found))
        return found

    monkeypatch.setattr(h5py.Dataset, "__getitem__", spy)
    rows.read(100, 110)
    assert 0 < sum(read_values) <= 10 * 30


def test_absent_places_are_named(dense):
    with pytest.raises(MissingMetadata, match=r"no layer 'counts'\. It has: other"):
        MatrixRows.from_adata(open_as("memory", dense, None), "counts")
    with pytest.raises(MissingMetadata, match=r"adata\.X is empty\. Pass layer=, one of: counts"):
        MatrixRows.from_adata(AnnData(shape=(200, 30), layers={"counts": dense}), None)
