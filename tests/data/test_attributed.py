"""Attributed cells come out in the model's gene order, from memory and from a file, and damage is noticed."""

import json

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata
from insignia.data import Attributed, AttributionRecord, read, write_h5ad

N_GENES = 12
RECORD = AttributionRecord(
    model="tiny",
    fingerprint="f00d",
    genes_sha256="abcd",
    method="integrated_gradients",
    target="self",
    baseline="zero",
    n_steps=50,
    sign="absolute",
    scale=1000.0,
    input_space="counts",
    version="0.1.0",
)
INDEX = np.array([3, -1, 0, 7, 3, 11, -1, 5])


def make(key=keys.ATTRIBUTION, n_cells=40, sign="absolute"):
    """Eight genes of data: two the model lacks, and two that are one gene of the model."""
    rng = np.random.default_rng(7)
    values = rng.gamma(1.0, size=(n_cells, len(INDEX))) * (rng.random((n_cells, len(INDEX))) < 0.6) * (INDEX >= 0)
    values[5] = 0.0
    values *= 1000.0 / np.maximum(values.sum(axis=1, keepdims=True), 1e-9)
    if sign == "signed":
        values *= np.sign(INDEX % 2 - 0.5)
    adata = AnnData(
        sparse.csr_matrix((n_cells, len(INDEX)), dtype=np.float32),
        obs=pd.DataFrame({keys.gap(key): 0.01}, index=[f"cell{n}" for n in range(n_cells)]),
        var=pd.DataFrame({keys.gene_index(key): INDEX.astype(np.int32)}, index=[f"G{n}" for n in range(len(INDEX))]),
    )
    adata.layers[key] = sparse.csr_matrix(values.astype(np.float32))
    adata.uns[key] = AttributionRecord(**{**RECORD.to_dict(), "sign": sign}).to_dict()
    return adata


def expected(adata, key=keys.ATTRIBUTION):
    dense = np.zeros((adata.n_obs, N_GENES))
    for gene, place in enumerate(INDEX):
        if place >= 0:
            dense[:, place] += adata.layers[key].toarray()[:, gene]
    return dense


def joined(attributed, size):
    return sparse.vstack(list(attributed.blocks(size))).toarray()


@pytest.mark.parametrize("sign", ["absolute", "signed"])
@pytest.mark.parametrize("key", [keys.ATTRIBUTION, "deeplift"])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_columns_come_in_model_order_and_twins_are_summed(size, key, sign):
    adata = make(key, sign=sign)
    attributed = Attributed.from_adata(adata, key=key, n_genes=N_GENES)
    np.testing.assert_allclose(joined(attributed, size), expected(adata, key), rtol=1e-6)
    np.testing.assert_array_equal(np.flatnonzero(attributed.measured), [0, 3, 5, 7, 11])
    np.testing.assert_array_equal(attributed.index, INDEX)
    assert attributed.n_cells == 40
    assert keys.gap(key) in attributed.obs
    assert attributed.record.sign == sign


def test_blocks_are_canonical_float32_and_can_be_read_again():
    attributed = Attributed.from_adata(make(), n_genes=N_GENES)
    for block in attributed.blocks(9):
        assert isinstance(block, sparse.csr_matrix)
        assert block.dtype == np.float32
        assert block.has_canonical_format
        assert block.shape[1] == N_GENES
    np.testing.assert_array_equal(joined(attributed, 9), joined(attributed, 9))


@pytest.mark.parametrize("backed", [True, False])
def test_file_equals_memory(backed, tmp_path):
    adata = make()
    write_h5ad(adata, tmp_path / "part.h5ad")
    attributed = Attributed.from_adata(read(tmp_path / "part.h5ad", backed=backed), n_genes=N_GENES)
    in_memory = Attributed.from_adata(adata, n_genes=N_GENES)
    assert attributed.record == in_memory.record == RECORD
    np.testing.assert_array_equal(joined(attributed, 11), joined(in_memory, 40))
    np.testing.assert_array_equal(attributed.measured, in_memory.measured)
    pd.testing.assert_frame_equal(attributed.obs, in_memory.obs)


def test_rows_of_a_view_follow_it():
    adata = make()
    attributed = Attributed.from_adata(adata[[30, 2, 9]], n_genes=N_GENES)
    np.testing.assert_allclose(joined(attributed, 2), expected(adata)[[30, 2, 9]], rtol=1e-6)


def test_reading_changes_nothing():
    adata = make()
    before = adata.layers[keys.ATTRIBUTION].copy()
    list(Attributed.from_adata(adata, n_genes=N_GENES).blocks(10))
    assert (adata.layers[keys.ATTRIBUTION] != before).nnz == 0


def test_a_dense_layer_is_accepted():
    adata = make()
    adata.layers[keys.ATTRIBUTION] = adata.layers[keys.ATTRIBUTION].toarray()
    np.testing.assert_allclose(joined(Attributed.from_adata(adata, n_genes=N_GENES), 8), expected(make()), rtol=1e-6)


def test_unattributed_data_are_refused():
    adata = make()
    with pytest.raises(MissingMetadata, match=r"layer 'ig' is absent \(layers: attribution\)\. Run ins\.tl\.attribute"):
        Attributed.from_adata(adata, key="ig", n_genes=N_GENES)
    for container, entry in ((adata.uns, keys.ATTRIBUTION), (adata.var, keys.gene_index())):
        kept = container[entry]
        del container[entry]
        with pytest.raises(
            MissingMetadata, match=rf"{entry}'\].* is absent.*Run ins\.tl\.attribute\(adata, model\) fir"
        ):
            Attributed.from_adata(adata, n_genes=N_GENES)
        container[entry] = kept


@pytest.mark.parametrize("bad", [12, -2, 1.5, np.nan])
def test_positions_outside_the_model_are_refused(bad):
    adata = make()
    adata.var[keys.gene_index()] = [bad, *INDEX[1:].astype(float)]
    with pytest.raises(InputError, match=r"must hold positions from -1 to 11, for a model of 12 genes"):
        Attributed.from_adata(adata, n_genes=N_GENES)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad):
    adata = make()
    layer = adata.layers[keys.ATTRIBUTION]
    layer.data[layer.indptr[20]] = bad
    with pytest.raises(InputError, match=r"1 of 10 cells, e\.g\. \['cell20'\], hold attributions that are NaN"):
        joined(Attributed.from_adata(adata, n_genes=N_GENES), 10)


def test_genes_dropped_after_the_attribution_are_noticed():
    adata = make()
    with pytest.raises(InputError, match=r"do not add up to 1000 \(the first adds up to .*genes were dropped"):
        joined(Attributed.from_adata(adata[:, [0, 1, 2, 4, 5]], n_genes=N_GENES), 10)


def test_values_on_genes_that_the_model_lacks_are_noticed():
    adata = make()
    moved = adata.layers[keys.ATTRIBUTION].tolil()
    moved[3, 1], moved[3, 2:] = 500.0, 0.0
    adata.layers[keys.ATTRIBUTION] = moved.tocsr()
    with pytest.raises(InputError, match=r"'cell3'.* do not add up"):
        joined(Attributed.from_adata(adata, n_genes=N_GENES), 10)


def test_a_row_without_values_is_fine():
    assert expected(make())[5].sum() == 0
    assert joined(Attributed.from_adata(make(), n_genes=N_GENES), 3)[5].sum() == 0


def test_negative_values_recorded_as_absolute_are_refused():
    adata = make(sign="signed")
    adata.uns[keys.ATTRIBUTION] = RECORD.to_dict()
    with pytest.raises(InputError, match="hold negative attributions though they are recorded as absolute"):
        joined(Attributed.from_adata(adata, n_genes=N_GENES), 10)


def test_rows_that_are_not_scaled_need_not_add_up():
    adata = make()
    adata.layers[keys.ATTRIBUTION] = adata.layers[keys.ATTRIBUTION] * np.float32(0.3)
    with pytest.raises(InputError, match="do not add up to 1000"):
        joined(Attributed.from_adata(adata, n_genes=N_GENES), 10)
    adata.uns[keys.ATTRIBUTION]["scale"] = 0.0
    np.testing.assert_allclose(joined(Attributed.from_adata(adata, n_genes=N_GENES), 10), expected(adata), rtol=1e-6)


def test_record_round_trips():
    assert AttributionRecord.from_dict(RECORD.to_dict()) == RECORD
    assert AttributionRecord.from_dict(json.loads(json.dumps(RECORD.to_dict()))) == RECORD
    numpy_values = {**RECORD.to_dict(), "n_steps": np.int64(50), "scale": np.float64(1000), "model": np.str_("tiny")}
    back = AttributionRecord.from_dict({**numpy_values, "later addition": 1})
    assert back == RECORD
    assert {name: type(value) for name, value in back.to_dict().items()} == {
        name: type(value) for name, value in RECORD.to_dict().items()
    }


def test_differences_name_what_makes_runs_incompatible():
    assert RECORD.differences(RECORD) == []
    for name, value in RECORD.to_dict().items():
        other = {"sign": "signed", "input_space": "log1p"}.get(name, value * 2)
        changed = AttributionRecord(**{**RECORD.to_dict(), name: other})
        assert RECORD.differences(changed) == ([] if name in ("model", "version", "input_space") else [name])


def test_damaged_records_are_refused():
    values = RECORD.to_dict()
    del values["method"], values["sign"]
    with pytest.raises(MissingMetadata, match="lacks method, sign; it has: model, fingerprint"):
        AttributionRecord.from_dict(values)
    with pytest.raises(MissingMetadata, match=r"damaged: .*many"):
        AttributionRecord.from_dict({**RECORD.to_dict(), "n_steps": "many"})
    with pytest.raises(InputError, match="sign must be one of absolute, signed, not 'both'"):
        AttributionRecord.from_dict({**RECORD.to_dict(), "sign": "both"})
    for scale in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="scale must be 0"):
            AttributionRecord.from_dict({**RECORD.to_dict(), "scale": scale})
