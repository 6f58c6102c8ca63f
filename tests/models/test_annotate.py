"""Cell types by nearest neighbours: votes are right, planted types are found, damaged references are refused."""

import contextlib
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score
from tests.attribution.conftest import make_cells, scimilarity_look_alike
from tests.lookalikes import scimilarity

from insignia import models, tl
from insignia.core.errors import GeneMatchError, InputError, MissingDependency, MissingMetadata, ModelFormatError
from insignia.data import simulate_planted
from insignia.models.neighbours import nearest, vote
from insignia.models.scimilarity_index import _HEADER, check_index, read_annotation_index

KEY = "cell_type_predicted"


@pytest.fixture(scope="module")
def planted():
    """A model trained on labelled cells, those cells, and others."""
    adata = simulate_planted(n_cells=500, n_genes=200, rng=3).adata
    reference, query = adata[:350].copy(), adata[350:].copy()
    options = models.TrainOptions(epochs=12)
    sizes = {"hidden": (32, 32), "latent": 16, "show_progress": False}
    encoder = models.train(reference, labels="cell_type", **sizes, options=options)
    return encoder, reference, query


@pytest.fixture
def reference():
    adata = make_cells(30, seed=1)
    adata.obs["cell_type"] = np.where(np.arange(30) % 3, "B cell", "T cell")
    return adata


def slowly(query, reference, labels, n_neighbors):
    """Type, distance and share of each cell, one cell and one neighbour at a time."""
    results = []
    for cell in query.astype(float):
        cosines = [cell @ other / np.linalg.norm(cell) / np.linalg.norm(other) for other in reference.astype(float)]
        ranked = sorted((1 - cosine, labels[i]) for i, cosine in enumerate(cosines))[:n_neighbors]
        votes = Counter(label for _, label in ranked)
        most = max(votes.values())
        winner = next(label for _, label in ranked if votes[label] == most)
        results.append((winner, ranked[0][0], most / n_neighbors))
    return zip(*results, strict=True)


@pytest.mark.parametrize("n_neighbors", [1, 4, 7])
def test_annotations_equal_a_slow_loop(reference, n_neighbors):
    model, adata = scimilarity_look_alike(), make_cells(15)
    tl.annotate(adata, model, reference, n_neighbors=n_neighbors)
    for cells in (adata, reference):
        tl.embed(cells, model, key_added="e")
    labels = reference.obs["cell_type"].to_numpy()
    types, distances, shares = slowly(adata.obsm["e"], reference.obsm["e"], labels, n_neighbors)
    assert list(adata.obs[KEY]) == list(types)
    np.testing.assert_allclose(adata.obs[f"{KEY}_dist"], distances, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(adata.obs[f"{KEY}_share"], shares, rtol=1e-6)


def test_ties_go_to_the_nearest_and_then_to_the_first_label():
    codes = np.array([[2, 0, 0, 2, 1], [1, 0, 2, 3, 3], [2, 1, 0, 3, 3], [2, 0, 1, 4, 5]])
    distances = np.array([[0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5], [0.1] * 5, [0.1, 0.1, 0.1, 0.2, 0.3]])
    winners, shares = vote(codes, distances, 6)
    assert list(winners) == [2, 3, 3, 0]
    np.testing.assert_allclose(shares, [0.4, 0.4, 0.4, 0.2])
    order = [3, 1, 0, 4, 2]
    np.testing.assert_array_equal(vote(codes[:, order], distances[:, order], 6)[0], winners)


def test_the_order_of_the_reference_and_a_stored_embedding_change_nothing(reference):
    model, first, second, third = scimilarity_look_alike(), make_cells(20), make_cells(20), make_cells(20)
    tl.annotate(first, model, reference, n_neighbors=5)
    tl.annotate(second, model, reference[np.random.default_rng(0).permutation(30)].copy(), n_neighbors=5)
    tl.embed(reference, model)
    reference.X = csr_matrix(reference.shape, dtype=np.float32)
    tl.annotate(third, model, reference, n_neighbors=5)
    for other in (second, third):
        for column in (KEY, f"{KEY}_share"):
            assert list(first.obs[column]) == list(other.obs[column])
        np.testing.assert_allclose(first.obs[f"{KEY}_dist"], other.obs[f"{KEY}_dist"], rtol=1e-5)


def test_planted_types_are_found_and_shuffled_labels_are_not(planted):
    encoder, reference, query = planted
    found = tl.annotate(query, encoder, reference, n_neighbors=15, copy=True)
    truth = query.obs["cell_type"].astype(str)
    assert (found.obs[KEY].astype(str) == truth).mean() > 0.9
    shuffled = reference.copy()
    shuffled.obs["cell_type"] = np.random.default_rng(0).permutation(reference.obs["cell_type"].to_numpy())
    lost = tl.annotate(query, encoder, shuffled, n_neighbors=15, copy=True)
    assert (lost.obs[KEY].astype(str) == truth).mean() < 0.25
    assert lost.obs[f"{KEY}_share"].mean() < found.obs[f"{KEY}_share"].mean() - 0.3


def test_a_type_that_the_reference_lacks_is_further_away(planted):
    encoder, reference, query = planted
    without = reference[reference.obs["cell_type"] != "type 2"].copy()
    tl.annotate(query, encoder, without)
    foreign = query.obs["cell_type"] == "type 2"
    distance = query.obs[f"{KEY}_dist"]
    assert distance[foreign].median() > 3 * distance[~foreign].median()
    assert roc_auc_score(foreign, distance) > 0.9


def test_results_say_where_they_come_from_and_survive_a_file(reference, tmp_path):
    import anndata

    model, adata = scimilarity_look_alike(), make_cells()
    values = reference.obs["cell_type"].astype(object)
    values.iloc[[0, 1, 2, 3]] = [np.nan, "", "unknown", None]
    reference.obs["mine"] = values
    copied = tl.annotate(adata, model, reference, labels="mine", key_added="type", copy=True)
    assert not adata.obs.columns.any()
    copied.write_h5ad(tmp_path / "cells.h5ad")
    facts = anndata.read_h5ad(tmp_path / "cells.h5ad").uns["type"]
    assert facts["model_fingerprint"] == model.fingerprint
    assert (facts["reference_cells"], facts["unlabelled_cells"], facts["n_neighbors"]) == (26, 4, 26)
    assert isinstance(copied.obs["type"].dtype, pd.CategoricalDtype)
    assert set(copied.obs["type"].cat.categories) <= {"B cell", "T cell"}
    assert copied.obs["type_dist"].dtype == copied.obs["type_share"].dtype == np.float32


def test_references_that_cannot_be_are_refused_and_nothing_is_written(reference, tmp_path):
    model, adata = scimilarity_look_alike(), make_cells()

    def refuse(other, error, message, **options):
        with pytest.raises(error, match=message):
            tl.annotate(adata, model, other, **options)
        assert not len(adata.obs.columns)
        assert not adata.uns
        assert not adata.obsm

    refuse(reference, MissingMetadata, r"no column 'type'; it has \['cell_type'\]", labels="type")
    refuse(reference, InputError, "n_neighbors must be at least 1, found 0", n_neighbors=0)
    refuse(reference, MissingMetadata, "raw", layer="raw")
    refuse(adata, InputError, "every cell would find itself")
    refuse(reference[:0].copy(), InputError, "0 cells, and none of them has a label")
    refuse(tmp_path, ModelFormatError, r"lacks annotation/labelled_kNN.bin and annotation/reference_labels.tsv")
    unlabelled = reference.copy()
    unlabelled.obs["cell_type"] = np.nan
    refuse(unlabelled, InputError, "30 cells, and none of them has a label")
    strange = reference.copy()
    strange.var_names = [f"XYZ{i}" for i in range(60)]
    refuse(strange, GeneMatchError, "0 of 60")
    reference.obsm["X_scimilarity"] = np.zeros((30, 5))
    refuse(reference, InputError, "12 dimensions, and the reference has 5")
    reference.obsm["X_scimilarity"] = np.full((30, 12), np.nan)
    refuse(reference, InputError, "should hold finite numbers")


def test_nearest_cells_are_far_more_exact_than_float32():
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(5, 16)).astype(np.float32)
    near = cells * np.float32(2.0)
    assert nearest(cells, near, 1).distances.max() < 1e-12
    assert list(nearest(cells, near, 1).indices[:, 0]) == list(range(5))


# --- the annotation index of a SCimilarity directory


@pytest.fixture
def directory(tmp_path, reference):
    """A look-alike of a released directory with its labelled reference cells."""
    hnswlib = pytest.importorskip("hnswlib", reason="hnswlib is not installed: pip install 'insignia[scimilarity]'")
    path = scimilarity.build(tmp_path / "scimilarity")
    tl.embed(reference, path, key_added="e")
    (path / "annotation").mkdir()
    index = hnswlib.Index(space="cosine", dim=12)
    # few links, so that thirty cells fill several levels
    index.init_index(max_elements=100, ef_construction=50, M=2, random_seed=1)
    index.add_items(reference.obsm["e"], np.arange(30), num_threads=1)
    index.save_index(str(path / "annotation/labelled_kNN.bin"))
    lines = [f"{label}\tGSE{i}\n" for i, label in enumerate(reference.obs["cell_type"])]
    (path / "annotation/reference_labels.tsv").write_text("".join(lines))
    return path


def test_an_index_gives_what_the_exact_search_gives(directory, reference):
    first, second = make_cells(20), make_cells(20)
    tl.annotate(first, directory, reference, n_neighbors=5)
    tl.annotate(second, directory, directory, n_neighbors=5)
    assert list(first.obs[KEY]) == list(second.obs[KEY])
    np.testing.assert_allclose(first.obs[f"{KEY}_dist"], second.obs[f"{KEY}_dist"], atol=1e-6)
    assert (first.uns[KEY]["search"], second.uns[KEY]["search"]) == ("exact", "hnsw")
    assert (second.uns[KEY]["reference_cells"], second.uns[KEY]["n_neighbors"]) == (30, 5)


def test_labels_without_studies_are_read(directory):
    table = directory / "annotation/reference_labels.tsv"
    expected = list(read_annotation_index(directory).labels)
    table.write_text("\n".join(expected))
    assert list(read_annotation_index(directory).labels) == expected
    assert expected[:3] == ["T cell", "B cell", "B cell"]


def test_cells_marked_as_deleted_do_not_vote(directory):
    import hnswlib

    index = hnswlib.Index(space="cosine", dim=12)
    path = directory / "annotation/labelled_kNN.bin"
    index.load_index(str(path))
    for cell in range(0, 30, 3):
        index.mark_deleted(cell)
    index.save_index(str(path))
    adata = make_cells(20)
    tl.annotate(adata, directory, directory)
    assert set(adata.obs[KEY]) == {"B cell"}
    assert adata.uns[KEY]["reference_cells"] == adata.uns[KEY]["n_neighbors"] == 20


def test_an_index_of_another_model_is_refused(directory, tmp_path):
    adata = make_cells()
    other = scimilarity.build(tmp_path / "other", seed=5)
    with pytest.raises(InputError, match="holds another model than other"):
        tl.annotate(adata, other, directory)
    (directory / "encoder.ckpt").unlink()
    small = scimilarity.build(tmp_path / "small", latent=7)
    with pytest.raises(InputError, match="7 dimensions, and the reference has 12"):
        tl.annotate(adata, small, directory)
    assert not len(adata.obs.columns)


def test_a_missing_hnswlib_is_named(directory, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "hnswlib", None)
    with pytest.raises(MissingDependency, match=r"insignia\[scimilarity\]"):
        tl.annotate(make_cells(), directory, directory)


def test_label_tables_that_do_not_fit_are_refused(directory):
    table = directory / "annotation/reference_labels.tsv"
    lines = table.read_text().splitlines()

    def refuse(content, message):
        table.write_bytes(content)
        with pytest.raises(ModelFormatError, match=message):
            read_annotation_index(directory)

    refuse("\n".join(lines[:-1]).encode(), "holds 30 cells, and reference_labels.tsv lists 29")
    refuse("\n".join([*lines[:4], "\tGSE1", *lines[5:]]).encode(), "no cell type in line 5")
    refuse(b"\xff\xfe\x00", "not a text file")
    table.unlink()
    with pytest.raises(ModelFormatError, match=r"lacks annotation/reference_labels\.tsv, which"):
        read_annotation_index(directory)


def test_the_capacity_in_the_file_asks_for_no_memory(directory):
    path = directory / "annotation/labelled_kNN.bin"
    content = bytearray(path.read_bytes())
    np.frombuffer(content, dtype=_HEADER, count=1)["capacity"] = 2**40
    path.write_bytes(content)
    assert read_annotation_index(directory).index.max_elements == 30


RECORD = 4 + 4 * 4 + 4 * 12 + 8  # M = 2: count, four links, vector, number
HEADER_CHANGES = [
    ("start", 8, "contradict each other"),
    ("vector_at", 16, "contradict each other"),
    ("label_at", 10**18, "contradict each other"),
    ("links", 0, "contradict each other"),
    ("cells", 2**62, "need at least"),
    ("cells", 0, "counts 0 cells"),
    ("entry", 30, "starts at cell 30"),
    ("top_level", 60, "starts on level 60"),
]


@pytest.mark.parametrize(("field", "value", "message"), HEADER_CHANGES)
def test_headers_that_lie_are_refused(directory, field, value, message):
    path = directory / "annotation/labelled_kNN.bin"
    content = bytearray(path.read_bytes())
    head = np.frombuffer(content, dtype=_HEADER, count=1)
    head[field] = value
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=message):
        check_index(path, n_labels=30)


RECORD_CHANGES = [
    (0, "<u2", 5, "lead beyond its 30 cells"),
    (4, "<u4", 30, "lead beyond its 30 cells"),
    (20, "<f4", np.nan, "length 1"),
    (20, "<f4", 3e38, "length 1"),
    (68, "<u8", 30, "numbers cells beyond"),
    (68, "<u8", 4, "have the same number"),
]


@pytest.mark.parametrize(("place", "kind", "value", "message"), RECORD_CHANGES)
def test_cells_that_lead_outside_are_refused(directory, place, kind, value, message):
    path = directory / "annotation/labelled_kNN.bin"
    content = bytearray(path.read_bytes())
    at = _HEADER.itemsize + 7 * RECORD + place
    content[at : at + np.dtype(kind).itemsize] = np.array(value, dtype=kind).tobytes()
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=message):
        check_index(path, n_labels=30)


def test_upper_levels_that_lead_outside_are_refused(directory):
    path = directory / "annotation/labelled_kNN.bin"
    whole = path.read_bytes()
    begin, sizes = _HEADER.itemsize + 30 * RECORD, []
    at = begin
    while at < len(whole):
        length = int.from_bytes(whole[at : at + 4], "little")
        sizes.append((at + 4, length))
        at += 4 + length
    cell = next(i for i, (_, length) in enumerate(sizes) if length)
    ground = next(i for i, (_, length) in enumerate(sizes) if not length)
    first = sizes[cell][0]

    def refuse(changes, message, end=None):
        content = bytearray(whole)
        for place, value, width in changes:
            content[place : place + width] = value.to_bytes(width, "little")
        path.write_bytes(content[:end])
        with pytest.raises(ModelFormatError, match=message):
            read_annotation_index(directory)

    refuse([(first, 3, 2)], f"links of cell {cell} lead beyond")
    refuse([(first, 1, 2), (first + 4, 30, 4)], f"links of cell {cell} lead beyond")
    refuse([(first, 1, 2), (first + 4, ground, 4)], "do not have their level")
    refuse([(first - 4, 10**9, 4)], "cut off or of a wrong length")
    refuse([], "cut off or of a wrong length", end=-1 if sizes[-1][1] else -2)
    refuse([], "header alone takes", end=50)
    path.write_bytes(whole + b"\0\0")
    with pytest.raises(ModelFormatError, match="2 bytes follow"):
        read_annotation_index(directory)


@pytest.mark.parametrize("seed", range(3))
def test_random_damage_never_ends_the_process(directory, seed):
    """Refused, or searched to the end: a link that leads outside would be a segmentation fault."""
    path = directory / "annotation/labelled_kNN.bin"
    whole, rng = path.read_bytes(), np.random.default_rng(seed)
    query = np.ones((2, 12), dtype=np.float32)
    for _ in range(60):
        content = bytearray(whole)
        for at in rng.integers(len(whole), size=rng.integers(1, 4)):
            content[at] = rng.integers(256)
        path.write_bytes(content)
        with contextlib.suppress(ModelFormatError, InputError):
            assert read_annotation_index(directory).search(query, 3).indices.max() < 30


def test_adata_needs_no_hnswlib(reference, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "hnswlib", None)
    adata = AnnData(make_cells().X, obs=make_cells().obs, var=make_cells().var)
    tl.annotate(adata, scimilarity_look_alike(), reference)
    assert adata.obs[KEY].notna().all()
