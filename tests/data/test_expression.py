"""Expression is checked at the door and read block by block, the same from every kind of storage."""

import itertools

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad
from scipy import sparse

from insignia.core.errors import DuplicateNames, InputError, InputSpaceError, MissingMetadata
from insignia.data import Expression, read, simulate_planted
from insignia.genes import GeneAlignment, GeneVocabulary


@pytest.fixture(scope="module")
def planted():
    return simulate_planted(n_cells=300, rng=5).adata


@pytest.fixture
def adata(planted):
    return planted.copy()


def log1p(matrix):
    dense = np.asarray(matrix.todense())
    return np.log1p(dense / dense.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)


def joined(expression, size):
    return sparse.vstack([cells.matrix for _, cells in expression.blocks(size)]).toarray()


FORMS = {
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "dense": lambda X: X.toarray(),
    "int": lambda X: X.astype(np.int64),
    "float64 array": lambda X: sparse.csr_array(X.astype(np.float64)),
}


@pytest.mark.parametrize("size", [64, 1000])
@pytest.mark.parametrize("how", ["memory", "view", "lazy", "backed", "backed view"])
@pytest.mark.parametrize("form", FORMS)
def test_every_storage_gives_the_same_cells(adata, form, how, size, tmp_path):
    expected = adata.X.toarray()
    adata.X = FORMS[form](adata.X)
    if how in ("lazy", "backed", "backed view"):
        adata.write_h5ad(tmp_path / "x.h5ad")
        adata = read(tmp_path / "x.h5ad", backed=True) if how == "lazy" else read_h5ad(tmp_path / "x.h5ad", backed="r")
    if "view" in how:
        adata, expected = adata[250:20:-3, 100:400], expected[250:20:-3, 100:400]
    expression = Expression.from_adata(adata)
    assert expression.space == "counts"
    assert not expression.is_declared
    assert expression.n_cells == len(expected)
    assert list(expression.genes.labels) == list(adata.var_names)
    np.testing.assert_array_equal(joined(expression, size), expected)


def test_blocks_tile_the_cells_with_their_metadata(adata):
    expression = Expression.from_adata(adata)
    blocks = list(expression.blocks(128))
    assert [(place.start, place.stop) for place, _ in blocks] == [(0, 128), (128, 256), (256, 300)]
    for place, cells in blocks:
        assert isinstance(cells.matrix, sparse.csr_matrix)
        assert cells.matrix.dtype == np.float32
        assert cells.matrix.has_canonical_format
        assert cells.space == "counts"
        pd.testing.assert_frame_equal(cells.obs, adata.obs.iloc[place])


@pytest.mark.parametrize("how", ["memory", "view", "lazy"])
@pytest.mark.parametrize("form", FORMS)
def test_a_range_of_rows_is_those_rows(adata, form, how, tmp_path):
    expected = adata.X.toarray()
    adata.X = FORMS[form](adata.X)
    if how == "lazy":
        adata.write_h5ad(tmp_path / "x.h5ad")
        adata = read(tmp_path / "x.h5ad", backed=True)
    if how == "view":
        adata, expected = adata[250:20:-3, 100:400], expected[250:20:-3, 100:400]
    whole = Expression.from_adata(adata)
    bounds = [0, 1, 30, whole.n_cells]
    for start, stop in itertools.pairwise(bounds):
        part = whole.rows(start, stop)
        assert (part.n_cells, part.space) == (stop - start, "counts")
        np.testing.assert_array_equal(joined(part, 16), expected[start:stop])
        pd.testing.assert_frame_equal(part.obs, whole.obs.iloc[start:stop])
    sample = whole.sample(7)
    rows = [list(whole.obs.index).index(name) for name in sample.obs.index]
    assert (rows[0], rows[-1], len(rows)) == (0, whole.n_cells - 1, 7)
    np.testing.assert_array_equal(joined(sample, 3), expected[rows])
    assert whole.sample(10**6).n_cells == whole.n_cells


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (3, 3), (0, 301)])
def test_rows_that_are_not_there_are_refused(adata, start, stop):
    with pytest.raises(InputError, match="range of rows within 0 to 300"):
        Expression.from_adata(adata).rows(start, stop)


def test_a_part_is_taken_as_the_whole_was():
    values = np.ones((40, 3), dtype=np.float32)
    values[-1] = 0.5
    adata = AnnData(values, var=pd.DataFrame(index=["CD79A", "MS4A1", "LYZ"]))
    assert Expression.from_adata(adata[:20]).space == "counts"
    assert Expression.from_adata(adata).rows(0, 20).space == "log1p"


def test_reading_changes_nothing():
    unsorted = sparse.csr_matrix(([1.0, 2.0, 3.0, 4.0], [2, 0, 1, 1], [0, 2, 4]), shape=(2, 3), dtype=np.float32)
    adata = AnnData(unsorted, var=pd.DataFrame(index=["CD79A", "MS4A1", "LYZ"]))
    before = [array.copy() for array in (adata.X.data, adata.X.indices, adata.X.indptr)]
    for row, expected in enumerate([[2, 0, 1], [0, 7, 0]]):
        cells = Expression.from_adata(adata).block(row, row + 1)
        assert cells.matrix.has_canonical_format
        np.testing.assert_array_equal(cells.matrix.toarray(), [expected])
        cells.matrix.data[:] = -1
    for array, kept in zip((adata.X.data, adata.X.indices, adata.X.indptr), before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_log1p_is_detected_and_layers_are_read(adata):
    adata.layers["counts"] = adata.X.copy()
    adata.X = log1p(adata.X)
    assert Expression.from_adata(adata).space == "log1p"
    counts = Expression.from_adata(adata, layer="counts")
    assert counts.space == "counts"
    np.testing.assert_array_equal(joined(counts, 99), adata.layers["counts"].toarray())


def test_gene_columns_reach_the_vocabulary(adata):
    adata.var["my_names"] = adata.var_names.to_numpy()
    adata.var_names = [f"ENSG{position:011d}" for position in range(adata.n_vars)]
    genes = Expression.from_adata(adata, gene_symbols="my_names").genes
    assert genes.symbols[0] == "MARKER1-1"
    assert genes.ids[0] == "ENSG00000000000"
    assert genes.organism == "human"


def test_scaled_data_point_to_what_can_be_used(adata):
    adata.layers["umi"] = adata.X.copy()
    logged = log1p(adata.X)
    adata.X = logged
    adata.raw = adata.copy()
    adata.X = logged - logged.mean(axis=0)
    with pytest.raises(InputSpaceError, match=r"adata\.X holds negative .* scaled or centred") as refusal:
        Expression.from_adata(adata)
    assert "layer 'umi' holds counts: pass layer='umi'" in str(refusal.value)
    assert "adata.raw holds log1p: pass adata.raw.to_adata()" in str(refusal.value)
    adata.layers["z"] = adata.X
    adata.X = adata.layers.pop("umi")
    with pytest.raises(InputSpaceError, match=r"layer 'z' holds negative .* adata\.X holds counts: pass layer=None"):
        Expression.from_adata(adata, layer="z")


@pytest.mark.parametrize("how", ["lazy", "backed"])
def test_scaled_data_in_a_file_point_to_raw_too(adata, how, tmp_path):
    adata.raw = adata.copy()
    adata.X = adata.X.toarray() - 1
    adata.write_h5ad(tmp_path / "x.h5ad")
    adata = read(tmp_path / "x.h5ad", backed=True) if how == "lazy" else read_h5ad(tmp_path / "x.h5ad", backed="r")
    with pytest.raises(InputSpaceError, match=r"adata\.raw holds counts: pass adata\.to_memory\(\)\.raw\.to_adata\(\)"):
        Expression.from_adata(adata)
    assert Expression.from_adata(adata.to_memory().raw.to_adata()).space == "counts"


def test_scaled_layer_without_x():
    layers = {"z": np.full((3, 2), -1.0), "umi": np.ones((3, 2))}
    adata = AnnData(shape=(3, 2), var=pd.DataFrame(index=["CD79A", "LYZ"]), layers=layers)
    with pytest.raises(InputSpaceError, match=r"scaled or centred.* In this object layer 'umi' holds counts"):
        Expression.from_adata(adata, layer="z")


def test_without_anything_better_nothing_is_promised(adata):
    adata.X = adata.X.toarray() - 1
    with pytest.raises(InputSpaceError) as refusal:
        Expression.from_adata(adata)
    assert "In this object" not in str(refusal.value)


def test_declared_spaces(adata):
    other = adata.copy()
    other.X = log1p(adata.X)
    with pytest.raises(InputSpaceError, match="non-integers"):
        Expression.from_adata(other, input_space="counts")
    other.X = log1p(adata.X) * 2
    with pytest.raises(InputSpaceError, match="neither counts"):
        Expression.from_adata(other)
    declared = Expression.from_adata(other, input_space="log1p")
    assert declared.is_declared
    np.testing.assert_array_equal(joined(declared, 64), other.X)


@pytest.mark.parametrize("form", FORMS)
def test_a_bad_block_outside_the_sample_is_noticed(form, monkeypatch):
    monkeypatch.setattr("insignia.data.expression._SAMPLE_ROWS", 128)
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(1.0, (1000, 8)).astype(np.float32))
    adata = AnnData(counts, var=pd.DataFrame(index=[f"G{n}" for n in range(8)]))
    counts[500, 3] = -1
    adata.X = FORMS[form](counts)
    expression = Expression.from_adata(adata)
    expression.block(0, 500)
    with pytest.raises(InputSpaceError, match="cell '500' gene 'G3'"):
        expression.block(450, 550)


def test_detected_log1p_is_held_to_its_bound_in_every_block(monkeypatch):
    monkeypatch.setattr("insignia.data.expression._SAMPLE_ROWS", 128)
    values = np.full((1000, 4), 1.5, dtype=np.float32)
    values[500] = 12.5
    adata = AnnData(values, var=pd.DataFrame(index=["G1", "G2", "G3", "G4"]))
    with pytest.raises(InputSpaceError, match="neither counts"):
        Expression.from_adata(adata).block(450, 550)
    assert Expression.from_adata(adata, input_space="log1p").block(450, 550).matrix.max() == 12.5


@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_repeated_names_are_refused(adata):
    genes = adata.copy()
    genes.var_names = ["CD79A", "CD79A", *genes.var_names[2:]]
    with pytest.raises(DuplicateNames, match=r"var_names must be unique, and 1 of them repeat, e\.g\. \['CD79A'\]"):
        Expression.from_adata(genes)
    adata.obs_names = ["cell"] * adata.n_obs
    with pytest.raises(DuplicateNames, match=r"obs_names must be unique.*obs_names_make_unique"):
        Expression.from_adata(adata)


@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_the_way_out_of_repeated_genes_sums_them():
    model = GeneVocabulary.from_names(["CD79A", "LYZ"])
    cells = AnnData(np.array([[1, 2, 4]], dtype=np.float32), var=pd.DataFrame(index=["CD79A", "CD79A", "LYZ"]))
    with pytest.raises(DuplicateNames, match=r"var\['symbol'\] = adata.var_names.*make_unique.*gene_symbols='symbol'"):
        Expression.from_adata(cells)
    cells.var["symbol"] = cells.var_names
    cells.var_names_make_unique()
    for given, expected in (("symbol", [[3, 4]]), (None, [[1, 4]])):
        expression = Expression.from_adata(cells, gene_symbols=given)
        aligned = expression.block(0, 1).aligned(GeneAlignment(expression.genes, model))
        np.testing.assert_array_equal(aligned.matrix.toarray(), expected)


def test_nothing_to_read_is_refused(adata):
    with pytest.raises(InputError, match="0 cells and 600 genes: there is nothing to read"):
        Expression.from_adata(adata[:0])
    with pytest.raises(InputError, match="300 cells and 0 genes"):
        Expression.from_adata(adata[:, :0])


def test_absent_layer_and_column_are_named(adata):
    with pytest.raises(MissingMetadata, match="no layer 'counts'"):
        Expression.from_adata(adata, layer="counts")
    with pytest.raises(MissingMetadata, match="gene_symbols='symbol' is no column"):
        Expression.from_adata(adata, gene_symbols="symbol")
