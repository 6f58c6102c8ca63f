"""`tl.attribute` and part files: what goes in, what comes out, and what is refused before anything is written."""

import anndata
import numpy as np
import pytest
from scipy.sparse import csc_matrix, csr_matrix
from tests.attribution.conftest import ENCODERS, make_cells, scimilarity_look_alike, vocabulary

from insignia.attribution import AttributeOptions, PathOptions, Runner, attribute, write_part
from insignia.core import keys
from insignia.core.errors import (
    CompletenessWarning,
    DuplicateNames,
    GeneMatchError,
    InputError,
    InputSpaceError,
    MissingMetadata,
    OrganismMismatch,
    UnknownName,
)
from insignia.data import AttributionRecord, Expression, read
from insignia.models import fakes


@pytest.fixture
def model():
    return scimilarity_look_alike()


def test_results_stand_under_their_keys_and_the_input_is_not_changed(cells, model):
    before = cells.copy()
    result = attribute(cells, model, copy=True, show_progress=False)
    assert set(cells.layers) == set(cells.uns) == set()
    np.testing.assert_array_equal(cells.X.toarray(), before.X.toarray())
    assert result.layers[keys.ATTRIBUTION].dtype == np.float32
    assert result.layers[keys.ATTRIBUTION].format == "csr"
    assert {keys.gap(), keys.row_sum()} <= set(result.obs)
    assert (result.var[keys.gene_index()] == np.arange(cells.n_vars)).all()
    record = AttributionRecord.from_dict(result.uns[keys.ATTRIBUTION])
    assert (record.fingerprint, record.method, record.target) == (model.fingerprint, "integrated_gradients", "self")
    assert (record.input_space, record.n_steps, record.sign, record.baseline) == ("counts", 50, "absolute", "zero")
    assert attribute(cells, model, show_progress=False) is None
    np.testing.assert_array_equal(cells.layers[keys.ATTRIBUTION].toarray(), result.layers[keys.ATTRIBUTION].toarray())


def test_dense_sparse_backed_and_log_normalised_give_the_same(cells, model, tmp_path):
    expected = attribute(cells, model, copy=True, show_progress=False).layers[keys.ATTRIBUTION].toarray()

    def same(other, **options):
        found = attribute(other, model, copy=True, show_progress=False, **options).layers[keys.ATTRIBUTION]
        np.testing.assert_allclose(found.toarray(), expected, rtol=1e-4, atol=2e-3)

    dense = cells.copy()
    dense.X = cells.X.toarray()
    same(dense)
    columns = cells.copy()
    columns.X = csc_matrix(cells.X)
    same(columns)
    integers = cells.copy()
    integers.X = cells.X.astype(np.int64)
    same(integers)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    same(read(tmp_path / "cells.h5ad", backed=True))
    logged = cells.copy()
    totals = np.maximum(np.asarray(cells.X.sum(1)), 1)
    logged.X = csr_matrix(np.log1p(cells.X.toarray() / totals * 1e4).astype(np.float32))
    same(logged)
    layered = logged.copy()
    layered.layers["counts"] = cells.X
    same(layered, layer="counts")


def test_genes_in_another_order_among_strangers_give_the_same(cells, model):
    expected = attribute(cells, model, copy=True, show_progress=False)
    order = np.random.default_rng(0).permutation(cells.n_vars)
    strangers = make_cells(seed=4)
    strangers.var_names = [f"OTHER{i}" for i in range(strangers.n_vars)]
    mixed = anndata.concat([cells[:, order], strangers], axis=1)
    attribute(mixed, model, show_progress=False)
    found = mixed[:, cells.var_names].layers[keys.ATTRIBUTION].toarray()
    np.testing.assert_allclose(found, expected.layers[keys.ATTRIBUTION].toarray(), rtol=1e-4, atol=2e-3)
    assert mixed[:, strangers.var_names].layers[keys.ATTRIBUTION].nnz == 0
    assert (mixed.var.loc[strangers.var_names, keys.gene_index()] == -1).all()


def test_ensembl_ids_that_share_a_symbol_add_up_and_share_the_attribution(cells, model):
    """What two ids of one symbol get together is what the sum of their counts gets."""
    expected = attribute(cells, model, copy=True, show_progress=False).layers[keys.ATTRIBUTION].toarray()
    counts = cells.X.toarray()
    part = np.floor(counts[:, :1] / 2)
    split = anndata.AnnData(csr_matrix(np.hstack([counts[:, :1] - part, counts[:, 1:], part])))
    split.obs_names = cells.obs_names
    split.var_names = [f"ENSG{i:011d}" for i in range(split.n_vars)]
    split.var["gene_name"] = [*cells.var_names, cells.var_names[0]]
    attribute(split, model, show_progress=False)
    found = split.layers[keys.ATTRIBUTION].toarray()
    np.testing.assert_allclose(found[:, :1] + found[:, -1:], expected[:, :1], rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(found[:, 1:-1], expected[:, 1:], rtol=1e-4, atol=2e-3)


def test_a_part_file_holds_what_the_verb_gives(cells, model, tmp_path):
    cells.obs["sample"] = "s1"
    cells.var["note"] = "kept"
    cells.write_h5ad(tmp_path / "cells.h5ad")
    expression = Expression.from_adata(read(tmp_path / "cells.h5ad", backed=True))
    runner = Runner(model, expression, AttributeOptions(block_size=5))
    expected = attribute(cells, model, copy=True, show_progress=False)
    write_part(runner, cells.var, tmp_path / "part.h5ad", show_progress=False)
    write_part(runner, cells.var, tmp_path / "full.h5ad", template=tmp_path / "cells.h5ad", show_progress=False)
    lean, full = read(tmp_path / "part.h5ad"), read(tmp_path / "full.h5ad")
    assert lean.X is None
    np.testing.assert_array_equal(full.X.toarray(), cells.X.toarray())
    for part in (lean, full):
        np.testing.assert_allclose(
            part.layers[keys.ATTRIBUTION].toarray(), expected.layers[keys.ATTRIBUTION].toarray(), rtol=1e-4, atol=2e-3
        )
        assert (part.var["note"] == "kept").all()
        assert (part.obs["sample"] == "s1").all()
        np.testing.assert_allclose(part.obs[keys.row_sum()], expected.obs[keys.row_sum()], rtol=1e-4)
        assert AttributionRecord.from_dict(part.uns[keys.ATTRIBUTION]).differences(runner.record) == []


def refuse(adata, model, error, message, **options):
    before = (list(adata.layers), list(adata.obs), list(adata.var), list(adata.uns))
    with pytest.raises(error, match=message):
        attribute(adata, model, show_progress=False, **options)
    assert (list(adata.layers), list(adata.obs), list(adata.var), list(adata.uns)) == before


def test_bad_values_are_refused_with_what_to_do(cells, model):
    def having(value):
        bad = cells.copy()
        bad.X = cells.X.toarray()
        bad.X[3, 5] = value
        return bad

    refuse(having(np.nan), model, InputSpaceError, "NaN|finite")
    refuse(having(-1.0), model, InputSpaceError, "negative")
    refuse(having(12.5), model, InputSpaceError, r"neither counts .* nor log1p")
    refuse(cells[:0].copy(), model, InputError, "0 cells")
    refuse(cells, model, MissingMetadata, "counts", layer="counts")


def test_bad_names_are_refused_with_what_to_do(cells, model):
    repeated = cells.copy()
    repeated.var_names = ["GENE0", *repeated.var_names[1:-1], "GENE0"]
    refuse(repeated, model, DuplicateNames, "var_names must be unique")
    strange = cells.copy()
    strange.var_names = [f"XYZ{i}" for i in range(cells.n_vars)]
    refuse(strange, model, GeneMatchError, "0 of 60 model genes")
    ensembl = cells.copy()
    ensembl.var_names = [f"ENSG{i:011d}" for i in range(cells.n_vars)]
    refuse(ensembl, model, GeneMatchError, "Ensembl")
    mouse = cells.copy()
    mouse.var_names = [f"ENSMUSG{i:011d}" for i in range(cells.n_vars)]
    refuse(mouse, model, OrganismMismatch, "mouse")


def test_a_model_that_needs_counts_refuses_log_normalised_cells(cells):
    logged = cells.copy()
    logged.X = cells.X.log1p()
    refuse(logged, ENCODERS["token"](), InputSpaceError, "token needs counts, and the data are log1p")


def test_unknown_names_list_what_there_is(cells, model):
    refuse(cells, model, UnknownName, "Did you mean 'integrated_gradients'", method="integrated_gradient")
    refuse(cells, model, UnknownName, "Known: dim, label, self, self_abs, self_raw", target="nobody")


def test_a_baseline_is_a_profile_of_the_data(cells, model):
    mean = np.asarray(cells.X.mean(0)).ravel()
    result = attribute(cells, model, baseline=mean, copy=True, show_progress=False)
    assert result.uns[keys.ATTRIBUTION]["baseline"].startswith("given:")
    assert result.layers[keys.ATTRIBUTION].nnz > cells.X.nnz
    refuse(cells, model, InputError, "one profile of 60", baseline=mean[:5])
    refuse(cells, model, InputError, "non-negative", baseline=-mean)


def test_a_wide_gap_is_a_warning_that_says_what_to_do(cells, model):
    with pytest.warns(CompletenessWarning, match=r"Raise n_steps \(now 1\)"):
        attribute(cells, model, n_steps=1, show_progress=False)


def test_a_failure_in_the_middle_leaves_no_file(cells, tmp_path):
    late = make_cells(30)
    late.X = late.X.toarray()
    late.X[25, 3] = np.nan
    options = AttributeOptions(block_size=10, path=PathOptions(5))
    runner = Runner(fakes.linear_encoder(vocabulary()), _unchecked(late), options)
    with pytest.raises(InputSpaceError, match="NaN"):
        write_part(runner, late.var, tmp_path / "part.h5ad", show_progress=False)
    assert list(tmp_path.iterdir()) == []


def _unchecked(adata):
    """An expression whose fault lies beyond what is looked at on opening."""
    good = adata.copy()
    good.X[25, 3] = 0
    expression = Expression.from_adata(good, input_space="counts")
    good.X[25, 3] = np.nan
    return expression
