"""Whatever is written is read back: cells of every kind, signatures, splits, priors, programs, folders of arrays."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from tests.strategies import QUICK, adatas, texts

from insignia.core.array_folder import read_array_folder, write_array_folder
from insignia.data import Split, read, read_splits, write_h5ad, write_splits
from insignia.data.gene_priors import GeneEmbedding, GeneNetwork, GenePriors
from insignia.data.matrix_rows import MatrixRows
from insignia.genes import Signature, read_gmt, write_gmt
from insignia.perturb import Programs, load_priors, save_priors

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def dense(matrix):
    return matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)


@QUICK
@given(adata=adatas(), rows=st.data())
def test_cells_are_read_back_whole_or_block_by_block(folder, adata, rows):
    path = folder / "cells.h5ad"
    values, obs = dense(adata.X).copy(), adata.obs.copy()
    write_h5ad(adata, path)
    whole = read(path)
    np.testing.assert_array_equal(dense(whole.X), values)
    assert whole.X.dtype == values.dtype
    assert list(whole.var_names) == list(adata.var_names)
    for name in obs:
        got, given_ = whole.obs[name], obs[name]
        pd.testing.assert_series_equal(got.astype(object), given_.astype(object), check_names=False)
    opened = read(path, backed=True)
    start = rows.draw(st.integers(0, len(values) - 1))
    stop = rows.draw(st.integers(start + 1, len(values)))
    for layer in (None, *adata.layers):
        found = MatrixRows.from_adata(opened, layer)
        np.testing.assert_array_equal(dense(found.read(start, stop)), values[start:stop])
        picked = rows.draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=5))
        np.testing.assert_array_equal(dense(found.selected(np.array(picked)).read(0, len(picked))), values[picked])
    opened.file.close()


names = texts.filter(lambda name: not name.upper().endswith(("_UP", "_DN", "_DOWN")))
genes = st.lists(st.from_regex(r"[A-Z][A-Z0-9]{2,5}", fullmatch=True), min_size=2, max_size=6, unique=True)


@QUICK
@given(sets=st.dictionaries(names, st.tuples(genes, st.integers(0, 5), texts), min_size=1, max_size=4))
def test_signatures_of_signs_are_read_back_from_gmt(folder, sets):
    made = [
        Signature(name, tuple(of), tuple([1.0] * min(n, len(of)) + [-1.0] * (len(of) - n)) if n else None,
                  description=about)
        for name, (of, n, about) in sets.items()
    ]  # fmt: skip
    write_gmt(made, folder / "sets.gmt")
    found = read_gmt(folder / "sets.gmt", merge_up_down=True)
    assert list(found) == [one.name for one in made]
    for one in made:
        again = dict(zip(found[one.name].genes, found[one.name].weight_array, strict=True))
        assert again == dict(zip(one.genes, one.weight_array, strict=True))


units = st.lists(texts, min_size=3, max_size=9, unique=True)


@QUICK
@given(folds=st.lists(st.tuples(texts, units, st.integers(1, 2)), min_size=1, max_size=3))
def test_splits_are_read_back_and_keep_their_fingerprint(folder, folds):
    made = tuple(Split(name, tuple(of[n:]), tuple(of[:n])) for name, of, n in folds)
    write_splits(made, folder / "split.json")
    found = read_splits(folder / "split.json")
    assert found == made
    assert [one.fingerprint for one in found] == [one.fingerprint for one in made]


OURS = ("format", "sha256", "arrays_sha256")
entries = st.from_regex(r"[a-z.]{1,8}", fullmatch=True)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@QUICK
@given(
    record=st.dictionaries(texts.filter(lambda key: key not in OURS), plain, max_size=4),
    sizes=st.dictionaries(entries, st.tuples(st.integers(0, 3), st.integers(0, 4))),
    kind=st.sampled_from(["float32", "float64", "int64", "bool", "uint16"]),
)  # fmt: skip
def test_folders_of_arrays_are_read_back_bit_by_bit(record, sizes, kind):
    rng = np.random.default_rng(0)
    arrays = {name: rng.integers(0, 9, size).astype(kind) for name, size in sizes.items()}
    with tempfile.TemporaryDirectory() as place:
        write_array_folder(Path(place) / "it", "record.json", record, arrays, form="test/1")
        again, found = read_array_folder(Path(place) / "it", "record.json", form="test/1")
    assert {key: again[key] for key in record} == record
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@QUICK
@given(of=st.lists(texts, min_size=2, max_size=6, unique=True), seed=st.integers(0, 99), sets=st.booleans())
def test_priors_and_programs_are_read_back(of, seed, sets):
    rng = np.random.default_rng(seed)
    links = sparse.csr_matrix(np.triu(rng.random((len(of), len(of))) < 0.5, 1).astype(np.float32))
    priors = GenePriors(
        embedding=GeneEmbedding(tuple(of), rng.normal(size=(len(of), 3)).astype(np.float32), "drawn"),
        network=GeneNetwork(tuple(of), sparse.csr_matrix(links + links.T), "drawn"),
        gene_sets={name: tuple(of[:i]) for i, name in enumerate(of[1:], 1)} if sets else {},
    )
    with tempfile.TemporaryDirectory() as place:
        save_priors(priors, Path(place) / "it")
        found = load_priors(Path(place) / "it")
    np.testing.assert_array_equal(found.embedding.matrix, priors.embedding.matrix)
    assert (found.embedding.genes, dict(found.gene_sets)) == (priors.embedding.genes, dict(priors.gene_sets))
    assert (found.network.adjacency != priors.network.adjacency).nnz == 0
    made = Programs.from_labels(of, rng.integers(-1, 3, len(of)), source="drawn", about={"seed": seed})
    again = Programs.from_dict(json.loads(json.dumps(made.to_dict())))
    np.testing.assert_array_equal(again.program, made.program)
    assert (again.genes, again.names, again.source, again.about) == (made.genes, made.names, made.source, made.about)
