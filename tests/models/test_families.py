"""Every registered family: its look-alike loads, embeds, is attributed completely, and is refused when damaged."""

import contextlib
import importlib

import numpy as np
import pytest

from insignia import models, tl
from insignia.attribution import attribute
from insignia.core import keys
from insignia.core.errors import InsigniaError
from insignia.data import Expression
from insignia.genes import GeneAlignment
from insignia.models import families


def lookalike(family):
    return importlib.import_module(f"tests.lookalikes.{family}")


@pytest.fixture(params=sorted(families))
def family(request):
    return request.param


@pytest.fixture
def folder(family, tmp_path):
    return lookalike(family).build(tmp_path / "model")


@pytest.fixture
def cells(family):
    return lookalike(family).cells()


def embed(encoder, adata):
    expression = Expression.from_adata(adata, input_space="counts")
    alignment = GeneAlignment(expression.genes, encoder.genes)
    return encoder.embed(expression.block(0, adata.n_obs).aligned(alignment))


def test_a_directory_is_recognised_and_loads_the_same_twice(family, folder, cells):
    first, second = models.load(folder), models.load(folder, family=family)
    assert first.fingerprint == second.fingerprint
    np.testing.assert_array_equal(embed(first, cells), embed(second, cells))
    assert np.isfinite(embed(first, cells)).all()


def test_embeddings_do_not_depend_on_the_batch_or_the_order_of_cells(folder, cells):
    encoder = models.load(folder)
    whole = embed(encoder, cells)
    order = np.random.default_rng(0).permutation(cells.n_obs)
    np.testing.assert_allclose(embed(encoder, cells[order].copy()), whole[order], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(embed(encoder, cells[:3].copy()), whole[:3], rtol=1e-4, atol=1e-5)


def test_attributions_are_complete_sparse_and_scaled(folder, cells):
    """T1 and T3: below 1 % in the median at 50 steps; exactly 0 where x is 0; rows of 1,000; an empty cell gives 0."""
    attribute(cells, models.load(folder), show_progress=False)
    matrix = cells.layers[keys.ATTRIBUTION].toarray()
    assert cells.obs[keys.gap()].median() < 0.01
    assert (matrix[cells.X.toarray() == 0] == 0).all()
    np.testing.assert_allclose(matrix[:-1].sum(1), 1000, atol=1e-2)
    assert matrix[-1].sum() == 0


def test_the_model_says_what_it_is(folder):
    facts = models.load(folder).describe()
    assert facts["genes"] > 0
    assert facts["parameters"] > 0
    assert len(facts["fingerprint"]) == 64


def test_no_damaged_file_gets_past_the_loader(folder):
    """Each file in turn is truncated, filled with noise, or removed: an error of ours, or a model as before."""
    before = models.load(folder).fingerprint
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        content = path.read_bytes()
        for damaged in (content[: len(content) // 2], b"\x00\xff" * 20, b""):
            path.write_bytes(damaged)
            with contextlib.suppress(InsigniaError):
                found = models.load(folder).fingerprint
                assert found == before or path.suffix in {".json", ".csv", ".tsv", ".txt"}
        path.write_bytes(content)


def test_embeddings_reach_obsm(folder, cells):
    encoder = models.load(folder)
    tl.embed(cells, encoder, key_added="X_model")
    assert cells.obsm["X_model"].shape[0] == cells.n_obs
