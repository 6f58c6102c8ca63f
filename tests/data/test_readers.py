"""Files of every kind are read; damaged ones are refused in words, never by a bare traceback."""

import gzip
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad
from scipy import io as scipy_io
from scipy import sparse

from insignia.core.errors import FileFormatError, MissingDependency
from insignia.data import Expression, read, simulate_planted, write_h5ad
from insignia.data.matrix_rows import MatrixRows

SYMBOLS = ["CD79A", "MS4A1", "LYZ", "CD79A"]
IDS = ["ENSG00000105369", "ENSG00000156738", "ENSG00000090382", "ENSG00000000001"]
COUNTS = np.array([[1, 0, 2, 0], [0, 3, 0, 1], [5, 0, 0, 0]])
BARCODES = ["AAAC-1", "AAAG-1", "AAAT-1"]


@pytest.fixture
def adata():
    made = simulate_planted(n_cells=50, rng=1).adata
    made.layers["double"] = made.X * 2
    made.raw = made.copy()
    made.obsm["X_pca"] = np.ones((50, 2), dtype=np.float32)
    made.uns["note"] = {"kind": "test"}
    return made


def mtx_folder(folder, *, packed=True, legacy=False, prefix="", types=None, symbols=SYMBOLS, n_genes=4):
    folder.mkdir()
    frame = pd.DataFrame({"id": IDS, "symbol": symbols})
    if not legacy:
        frame["type"] = types or "Gene Expression"
    name = "genes.tsv" if legacy else "features.tsv"
    frame.to_csv(folder / f"{prefix}{name}", sep="\t", header=False, index=False)
    (folder / f"{prefix}barcodes.tsv").write_text("\n".join(BARCODES) + "\n")
    scipy_io.mmwrite(folder / f"{prefix}matrix.mtx", sparse.coo_matrix(COUNTS[:, :n_genes].T))
    if packed:
        for path in list(folder.iterdir()):
            with gzip.open(f"{path}.gz", "wb") as file:
                file.write(path.read_bytes())
            path.unlink()
    return folder


def tenx_h5(path, symbols=SYMBOLS, types=("Gene Expression",) * 4):
    matrix = sparse.csr_matrix(COUNTS.astype(np.int32))
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["barcodes"] = np.array(BARCODES, dtype="S")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix, name)
        group["shape"] = np.array([4, 3], dtype=np.int32)
        features = group.create_group("features")
        for name, values in {"id": IDS, "name": symbols, "feature_type": types, "genome": ["GRCh38"] * 4}.items():
            features[name] = np.array(values, dtype="S")
    return path


def test_h5ad_round_trip(adata, tmp_path):
    write_h5ad(adata, tmp_path / "deep" / "x.h5ad")
    for backed in (False, True):
        back = read(tmp_path / "deep" / "x.h5ad", backed=backed)
        assert list(back.obs_names) == list(adata.obs_names)
        assert list(back.layers) == ["double"]
        assert back.uns["note"]["kind"] == "test"
        assert back.obsm["X_pca"].shape == (50, 2)
        np.testing.assert_array_equal(back.to_memory().X.toarray(), adata.X.toarray())
        np.testing.assert_array_equal(back.to_memory().raw.to_adata().X.toarray(), adata.X.toarray())


def test_backed_h5ad_stays_on_disk_and_reads_the_same(adata, tmp_path):
    write_h5ad(adata, tmp_path / "x.h5ad")
    back = read(tmp_path / "x.h5ad", backed=True)
    assert not sparse.issparse(back.X)
    assert not sparse.issparse(back.layers["double"])
    cells = Expression.from_adata(back, layer="double").block(10, 20)
    np.testing.assert_array_equal(cells.matrix.toarray(), adata.X[10:20].toarray() * 2)


def test_backed_object_can_be_changed_and_written(adata, tmp_path):
    write_h5ad(adata, tmp_path / "x.h5ad")
    back = read(tmp_path / "x.h5ad", backed=True)
    back.obs["new"] = 1.0
    write_h5ad(back, tmp_path / "x.h5ad")
    again = read(tmp_path / "x.h5ad")
    assert (again.obs["new"] == 1.0).all()
    np.testing.assert_array_equal(again.layers["double"].toarray(), adata.X.toarray() * 2)


def test_backed_reads_files_of_before_anndata_08(adata, tmp_path):
    write_h5ad(adata, tmp_path / "x.h5ad")
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        del file.attrs["encoding-type"], file.attrs["encoding-version"]
    expression = Expression.from_adata(read(tmp_path / "x.h5ad", backed=True))
    np.testing.assert_array_equal(expression.block(0, 50).matrix.toarray(), adata.X.toarray())


def test_writing_is_atomic(adata, tmp_path):
    path = tmp_path / "x.h5ad"
    write_h5ad(adata, path)
    before = path.read_bytes()
    adata.uns["bad"] = object()
    with pytest.raises(Exception, match=r"bad|object"):
        write_h5ad(adata, path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["x.h5ad"]


def test_writing_a_view_leaves_it_alone(adata, tmp_path):
    view = adata[:10]
    view_names = list(view.obs_names)
    write_h5ad(view, tmp_path / "x.h5ad")
    assert view.is_view
    assert list(read(tmp_path / "x.h5ad").obs_names) == view_names


def test_writing_elsewhere_than_h5ad_is_refused(adata, tmp_path):
    with pytest.raises(FileFormatError, match=r"x\.csv must end in \.h5ad\. Name it x\.h5ad"):
        write_h5ad(adata, tmp_path / "x.csv")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("legacy", [True, False])
def test_10x_folders_of_every_age(packed, legacy, tmp_path):
    symbols = ["CD79A", "MS4A1", "LYZ", "GNLY"]
    adata = read(mtx_folder(tmp_path / "sample", packed=packed, legacy=legacy, symbols=symbols))
    np.testing.assert_array_equal(adata.X.toarray(), COUNTS)
    assert adata.X.format == "csr"
    assert list(adata.obs_names) == BARCODES
    assert list(adata.var_names) == symbols
    assert list(adata.var["gene_ids"]) == IDS


def test_10x_folder_agrees_with_scanpy(tmp_path):
    import scanpy

    folder = mtx_folder(tmp_path / "sample", symbols=["CD79A", "MS4A1", "LYZ", "GNLY"])
    ours, theirs = read(folder), scanpy.read_10x_mtx(folder)
    np.testing.assert_array_equal(ours.X.toarray(), theirs.X.toarray())
    pd.testing.assert_frame_equal(ours.var[["gene_ids"]], theirs.var[["gene_ids"]])


@pytest.mark.parametrize("kind", ["folder", "h5"])
def test_repeated_symbols_make_ids_the_index(kind, tmp_path):
    path = mtx_folder(tmp_path / "sample") if kind == "folder" else tenx_h5(tmp_path / "x.h5")
    adata = read(path)
    assert list(adata.var_names) == IDS
    assert list(adata.var["gene_symbols"]) == SYMBOLS
    assert list(adata.var["gene_ids"]) == IDS
    genes = Expression.from_adata(adata).genes
    assert list(genes.symbols) == SYMBOLS
    assert list(genes.ids) == IDS


@pytest.mark.parametrize("kind", ["folder", "h5"])
def test_only_gene_expression_is_taken(kind, tmp_path):
    types = ["Gene Expression", "Gene Expression", "Gene Expression", "Antibody Capture"]
    path = mtx_folder(tmp_path / "sample", types=types) if kind == "folder" else tenx_h5(tmp_path / "x.h5", types=types)
    adata = read(path)
    assert list(adata.var_names) == SYMBOLS[:3]
    np.testing.assert_array_equal(adata.X.toarray(), COUNTS[:, :3])


def test_10x_h5(tmp_path):
    adata = read(tenx_h5(tmp_path / "x.h5", symbols=["CD79A", "MS4A1", "LYZ", "GNLY"]))
    np.testing.assert_array_equal(adata.X.toarray(), COUNTS)
    assert list(adata.var_names) == ["CD79A", "MS4A1", "LYZ", "GNLY"]
    assert list(adata.var["gene_ids"]) == IDS


def test_10x_folder_with_the_samples_name_in_front(tmp_path):
    folder = mtx_folder(tmp_path / "sample", prefix="GSM1_")
    assert read(folder).shape == (3, 4)
    shutil.copy(folder / "GSM1_barcodes.tsv.gz", folder / "GSM2_barcodes.tsv.gz")
    with pytest.raises(FileFormatError, match=r"holds 2 files of the kind barcodes\.tsv .* folder of their own"):
        read(folder)


@pytest.mark.parametrize("part", ["barcodes.tsv", "features.tsv", "matrix.mtx"])
def test_10x_folder_that_lacks_a_part(part, tmp_path):
    folder = mtx_folder(tmp_path / "sample")
    (folder / f"{part}.gz").unlink()
    with pytest.raises(FileFormatError, match=rf"lacks {part}.*It holds: .*\.gz"):
        read(folder)


def test_10x_folder_of_two_runs(tmp_path):
    with pytest.raises(FileFormatError, match="holds 3 genes and 3 cells, the lists 4 and 3"):
        read(mtx_folder(tmp_path / "sample", n_genes=3))


def test_10x_folder_with_a_matrix_that_is_none(tmp_path):
    folder = mtx_folder(tmp_path / "sample", packed=False)
    (folder / "matrix.mtx").write_text("not a matrix\n")
    with pytest.raises(FileFormatError, match=r"matrix\.mtx could not be read: .*Matrix Market"):
        read(folder)


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_zarr(adata, tmp_path):
    pytest.importorskip("zarr")
    del adata.raw
    adata.write_zarr(tmp_path / "x.zarr")
    np.testing.assert_array_equal(read(tmp_path / "x.zarr").X.toarray(), adata.X.toarray())
    (tmp_path / "broken.zarr").mkdir()
    with pytest.raises(FileFormatError, match="could not be read as zarr"):
        read(tmp_path / "broken.zarr")


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_zarr_stays_on_disk_until_its_rows_are_read(adata, tmp_path):
    pytest.importorskip("zarr")
    adata.layers["dense"] = adata.X.toarray()
    adata.write_zarr(tmp_path / "x.zarr")
    found = read(tmp_path / "x.zarr", backed=True)
    assert not isinstance(found.layers["dense"], np.ndarray)
    assert not hasattr(found.X, "toarray")
    for layer in (None, "dense"):
        rows = MatrixRows.from_adata(found, layer).read(1, 3)
        np.testing.assert_array_equal(getattr(rows, "toarray", lambda rows=rows: rows)(), adata.X.toarray()[1:3])
    assert found.obs_names.tolist() == adata.obs_names.tolist()


def test_zarr_without_the_package(tmp_path, monkeypatch):
    (tmp_path / "x.zarr").mkdir()
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    with pytest.raises(MissingDependency, match=r"Reading \.zarr needs .* pip install 'insignia\[zarr\]'"):
        read(tmp_path / "x.zarr")


@pytest.mark.parametrize("backed", [True, False])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_truncated_h5ad(adata, backed, share, tmp_path):
    write_h5ad(adata, tmp_path / "x.h5ad")
    content = (tmp_path / "x.h5ad").read_bytes()
    (tmp_path / "x.h5ad").write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileFormatError, match=r"x\.h5ad could not be read as h5ad: damaged, cut short.*fetch or write"):
        read(tmp_path / "x.h5ad", backed=backed)


@pytest.mark.parametrize("backed", [True, False])
@pytest.mark.parametrize("entry", ["obs", "var", "X/indptr"])
def test_h5ad_without_a_part(adata, backed, entry, tmp_path):
    write_h5ad(adata, tmp_path / "x.h5ad")
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        del file[entry]
    with pytest.raises(FileFormatError, match=r"could not be read as h5ad|not h5ad: it lacks (obs|var)"):
        read(tmp_path / "x.h5ad", backed=backed)


@pytest.mark.parametrize("backed", [True, False])
@pytest.mark.parametrize("name", ["x.h5ad", "x.h5"])
@pytest.mark.parametrize("content", [b"gene,cell1\nCD79A,3\n", b""])
def test_text_under_the_name_of_hdf5(name, content, backed, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileFormatError, match=r"is no HDF5 file: expected .*, found \d+ bytes that begin with"):
        read(tmp_path / name, backed=backed)


def test_h5_that_is_not_10x(adata, tmp_path):
    write_h5ad(adata, tmp_path / "x.h5ad")
    (tmp_path / "x.h5ad").rename(tmp_path / "x.h5")
    with pytest.raises(FileFormatError, match="could not be read as 10x h5"):
        read(tmp_path / "x.h5")


def test_unknown_suffix_and_absent_path(tmp_path):
    (tmp_path / "x.rds").write_text("")
    with pytest.raises(FileFormatError, match=r"x\.rds is of an unknown kind\. Expected a \.h5ad file"):
        read(tmp_path / "x.rds")
    with pytest.raises(FileFormatError, match=r"There is nothing at .*absent\.h5ad\. Expected"):
        read(tmp_path / "absent.h5ad")


def test_written_files_are_plain_anndata(adata, tmp_path):
    write_h5ad(adata, tmp_path / "x.h5ad")
    assert isinstance(read_h5ad(tmp_path / "x.h5ad"), AnnData)
