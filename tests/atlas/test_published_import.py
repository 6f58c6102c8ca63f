"""Published attribution folders come in whole: cells without values, cells of many studies, one gene order."""

import json

import numpy as np
import pandas as pd
import pytest
from benchmarks.attack.atlas_cells import GENES, N_GENES, RECORD, scaled
from scipy import sparse

from insignia.atlas import Atlas
from insignia.atlas import published as module
from insignia.cli.main import run
from insignia.core.errors import AtlasMismatch, DuplicateStudy, FileFormatError, InputError, MissingDependency
from insignia.workflows import import_published

tiledb = pytest.importorskip("tiledb", reason="the extra 'tiledb' is not installed")


def write_published(folder, values, cells, *, n_genes=N_GENES, fragment=1000):
    """Write one cell type as published: a sparse column-major array in fragments, consolidated, and a table."""
    folder.mkdir(parents=True)
    path = str(folder / "attributions")
    domain = tiledb.Domain(
        tiledb.Dim(name="x", domain=(0, len(cells) - 1), dtype=np.uint32),
        tiledb.Dim(name="y", domain=(0, n_genes - 1), dtype=np.uint32),
    )
    vals = tiledb.Attr(name="vals", dtype=np.float32, filters=tiledb.FilterList([tiledb.GzipFilter()]))
    schema = tiledb.ArraySchema(domain, [vals], sparse=True, cell_order="col-major", tile_order="col-major")
    tiledb.Array.create(path, schema)
    for start in range(0, len(values), fragment):
        block = sparse.coo_matrix(values[start : start + fragment])
        with tiledb.open(path, "w") as array:
            array[(block.row + start).astype(np.uint32), block.col.astype(np.uint32)] = block.data.astype(np.float32)
    if len(values) > fragment:
        tiledb.consolidate(path, config=tiledb.Config({"sm.mem.total_budget": str(1 << 26)}))
        tiledb.vacuum(path)
    cells.to_csv(folder / "cell_metadata.csv.gz", index=False)


def table(n, cell_type, *, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "study": rng.choice(["GSE1", "GSE2"], n),
            "sample": rng.choice(["s1", "s2"], n),
            "prediction": cell_type,
            "tissue": "blood",
            "disease": rng.choice(["healthy", "COVID-19;healthy", "NA"], n),
            "prediction_nn_dist": rng.random(n),
            "in_vivo": rng.random(n) < 0.9,
        }
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Two cell types; the last cells of each have no values, nor has one in the middle."""
    rng = np.random.default_rng(0)
    folder, truth = tmp_path_factory.mktemp("published"), {}
    for number, name in enumerate(["classical monocyte", "B cell"]):
        n = (70, 31)[number]
        values = scaled(rng.gamma(0.5, 1, (n, N_GENES)) * (rng.random((n, N_GENES)) < 0.3))
        values[-3:] = 0
        values[10] = 0
        truth[name] = values, table(n, name, seed=number)
        write_published(folder / name, *truth[name], fragment=25)
    return folder, truth


def make(path):
    return Atlas.create(path, genes=GENES, record=RECORD)


@pytest.mark.parametrize("window", [1, 150, 1 << 24])
def test_every_cell_and_value_comes_in(tmp_path, published, monkeypatch, window):
    folder, truth = published
    monkeypatch.setattr(module, "_WINDOW_VALUES", window)
    monkeypatch.setattr(module, "_FIRST_ROWS", 7)
    monkeypatch.setattr("insignia.atlas.writer._ROWS", 9)
    atlas = make(tmp_path / "a")
    report = import_published(atlas, folder)
    assert report.cells == 101
    matrix, obs, _ = atlas.gene_matrix([f"GENE{g}" for g in range(N_GENES)])
    got = pd.DataFrame(matrix.toarray(), index=obs["barcode"].astype(str))
    for name, (values, cells) in truth.items():
        barcodes = [f"{name}:{row}" for row in range(len(cells))]
        np.testing.assert_allclose(got.loc[barcodes].to_numpy(), values, rtol=1e-3)
        mine = obs.set_index(obs["barcode"].astype(str)).loc[barcodes]
        assert mine["study"].tolist() == cells["study"].tolist()
        np.testing.assert_allclose(mine["pred_distance"], cells["prediction_nn_dist"], rtol=1e-12)
        assert set(mine["cell_type"]) == {name}
    assert {"COVID-19 || normal", "normal", "unknown"} == set(obs["disease"].astype(str))


def test_scores_are_those_of_the_published_array_and_empty_cells_have_one(tmp_path, published):
    folder, truth = published
    atlas = make(tmp_path / "a")
    import_published(atlas, folder, cell_types=["B cell"])
    scores = atlas.search(["GENE1", "GENE2", "GENE7"]).scores
    values, cells = truth["B cell"]
    order = np.argsort(pd.factorize(cells["study"])[0], kind="stable")
    np.testing.assert_allclose(scores, values[:, [1, 2, 7]].mean(axis=1)[order], rtol=1e-3, atol=1e-6)
    assert len(scores) == len(cells)
    assert (scores == 0).sum() >= 4


def test_one_folder_of_a_cell_type_and_its_name_where_the_table_has_none(tmp_path):
    cells = table(5, "x").drop(columns="prediction")
    write_published(tmp_path / "NK cell", np.zeros((5, N_GENES), np.float32), cells)
    atlas = make(tmp_path / "a")
    assert import_published(atlas, tmp_path / "NK cell").values == 0
    assert set(atlas.obs()["cell_type"]) == {"NK cell"}


def test_importing_twice_is_refused(tmp_path, published):
    atlas = make(tmp_path / "a")
    import_published(atlas, published[0], cell_types=["B cell"])
    with pytest.raises(DuplicateStudy, match="GSE"):
        import_published(atlas, published[0])
    assert len(Atlas.open(atlas.path)) == 31


def test_refusals(tmp_path, published):
    atlas = make(tmp_path / "a")
    with pytest.raises(FileFormatError, match=r"expected attributions/ \(a TileDB array\) and cell_metadata.csv.gz"):
        import_published(atlas, tmp_path)
    with pytest.raises(FileFormatError, match=r"no folder of the cell type 'T cell'. It has: B cell, classical"):
        import_published(atlas, published[0], cell_types=["T cell"])
    write_published(tmp_path / "wide" / "B cell", np.ones((4, N_GENES)), table(4, "B cell"), n_genes=N_GENES + 5)
    with pytest.raises(AtlasMismatch, match="attributions of 45 genes and the atlas is of a model with 40"):
        import_published(atlas, tmp_path / "wide")
    write_published(tmp_path / "sums" / "B cell", np.ones((4, N_GENES)), table(4, "B cell"))
    with pytest.raises(InputError, match="do not add up to 1000"):
        import_published(atlas, tmp_path / "sums")
    write_published(tmp_path / "short" / "B cell", scaled(np.ones((9, N_GENES))), table(9, "B cell"))
    table(5, "B cell").to_csv(tmp_path / "short" / "B cell" / "cell_metadata.csv.gz", index=False)
    with pytest.raises(FileFormatError, match=r"has values of a cell 8 and cell_metadata.csv.gz ends after 5 cells"):
        import_published(atlas, tmp_path / "short")
    (tmp_path / "short" / "B cell" / "cell_metadata.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(FileFormatError, match="cannot be read as a table"):
        import_published(atlas, tmp_path / "short")
    assert len(Atlas.open(atlas.path)) == 0


def test_another_array_layout_is_refused(tmp_path):
    (tmp_path / "B cell").mkdir()
    domain = tiledb.Domain(tiledb.Dim(name="rows", domain=(0, 9), dtype=np.uint32))
    schema = tiledb.ArraySchema(domain, [tiledb.Attr(name="vals", dtype=np.float32)], sparse=True)
    tiledb.Array.create(str(tmp_path / "B cell" / "attributions"), schema)
    table(5, "B cell").to_csv(tmp_path / "B cell" / "cell_metadata.csv.gz", index=False)
    with pytest.raises(FileFormatError, match=r"dimensions x \(cell\) and y \(gene\).*found rows and vals"):
        import_published(make(tmp_path / "a"), tmp_path)
    tiledb.Array.delete_array(str(tmp_path / "B cell" / "attributions"))
    (tmp_path / "B cell" / "attributions").mkdir(exist_ok=True)
    with pytest.raises(FileFormatError, match="cannot be opened as a TileDB array"):
        import_published(make(tmp_path / "b"), tmp_path)


def test_without_tiledb(tmp_path, published, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tiledb", None)
    with pytest.raises(MissingDependency, match=r"published attribution folder needs .* 'insignia\[tiledb\]'"):
        import_published(make(tmp_path / "a"), published[0])


def test_from_the_command_line(tmp_path, published, monkeypatch, capsys):
    atlas = make(tmp_path / "a")
    arguments = ["insignia", "atlas", "import", str(atlas.path), str(published[0]), "--cell-type", "B cell", "--json"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as done:
        run()
    assert not done.value.code
    assert json.loads(capsys.readouterr().out)["cells"] == 31
    monkeypatch.setattr("sys.argv", [*arguments[:5], "--where", "tissue == 'blood'"])
    with pytest.raises(SystemExit) as done:
        run()
    assert done.value.code == 2
    assert "--where chooses cells of a Census" in capsys.readouterr().err
