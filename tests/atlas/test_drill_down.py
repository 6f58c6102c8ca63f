"""From a search to cells and their genes: what is listed is what dense arrays hold."""

import numpy as np
import pandas as pd
import pytest
from benchmarks.attack.atlas_cells import N_GENES, cells, dense, make_atlas
from scipy.stats import spearmanr

from insignia.atlas import cell_kernels
from insignia.atlas.drill_down import top_genes
from insignia.core.errors import AtlasDamaged, InputError, MissingMetadata

WEIGHTS = {"GENE3": 1.0, "GENE5": -2.0, "GENE8": 0.5}


@pytest.fixture
def studies():
    return [cells("S1", 40), cells("S2", 30, seed=4, genes=[8, 5, 3, 20, 21]), cells("S3", 25, seed=5)]


@pytest.fixture(params=["fast", "compact"])
def atlas(tmp_path, studies, request):
    return make_atlas(tmp_path / "a", studies, max_cells_per_segment=33, encoding=request.param)


def values_of(studies):
    return np.concatenate([dense(adata)[0] for adata in studies])


def stored(atlas):
    """All values as the atlas holds them, (cells, genes)."""
    return np.nan_to_num(atlas.gene_matrix([f"GENE{g}" for g in range(N_GENES)])[0].toarray())


@pytest.mark.parametrize("where", [None, "study <> 'S2' AND barcode <> 'S1-7'"])
def test_top_cells_are_the_highest_with_their_own_genes(atlas, studies, where):
    result = atlas.search(WEIGHTS, where=where)
    table = result.top_cells(12, n_genes=3)
    order = np.argsort(-result.scores, kind="stable")[:12]
    np.testing.assert_array_equal(table["score"], result.scores[order])
    rows = order if result.rows is None else result.rows[order]
    np.testing.assert_array_equal(table["row"], rows)
    everything = atlas.obs()
    assert table["barcode"].tolist() == everything["barcode"].iloc[rows].tolist()
    assert table["cell_type"].tolist() == everything["cell_type"].iloc[rows].tolist()
    truth = stored(atlas)[rows]
    for text, cell in zip(table["top_genes"], truth, strict=True):
        named = [one.split(" ") for one in text.split(", ")]
        best = np.argsort(-cell, kind="stable")[: min(3, (cell > 0).sum())]
        assert [gene for gene, _ in named] == [f"GENE{g}" for g in best]
        np.testing.assert_allclose([float(value) for _, value in named], cell[best], rtol=5e-3)


def test_no_sample_fills_the_list(atlas):
    result = atlas.search(WEIGHTS)
    table = result.top_cells(50, per_sample=2)
    assert table.groupby(["study", "sample"], observed=True).size().tolist() == [2] * 9
    best = result.obs.assign(score=result.scores).sort_values("score", ascending=False, kind="stable")
    expected = best.groupby(["study", "sample"], observed=True).head(2)["barcode"].tolist()
    assert table["barcode"].tolist() == expected
    assert "top_genes" not in table


def test_cells_of_a_sample(atlas):
    result = atlas.search(WEIGHTS, where="barcode <> 'S1-0'")
    table = result.cells_of("S1", "s0")
    obs = result.obs
    here = ((obs["study"] == "S1") & (obs["sample"] == "s0")).to_numpy()
    assert set(table["barcode"]) == set(obs["barcode"][here])
    assert (np.diff(table["score"]) <= 0).all()
    assert table["top_genes"].str.split(", ").map(len).max() == 10
    assert result.cells_of("S1", "s0", n_genes=0).shape[1] == table.shape[1] - 1
    with pytest.raises(InputError, match=r"No cell of sample 's9' of study 'S1' was .* the samples \['s0"):
        result.cells_of("S1", "s9")
    with pytest.raises(InputError, match=r"There are the studies \['S1', 'S2', 'S3'\]"):
        result.cells_of("S9", "s0")
    with pytest.raises(InputError, match="At least one cell is asked for; n is 0"):
        result.top_cells(0)


def test_genes_of_cells_in_any_order_and_many_at_a_time(atlas, studies, monkeypatch):
    from insignia.atlas import drill_down

    result = atlas.search(WEIGHTS)
    places = np.random.default_rng(0).permutation(95)[:60]
    whole = top_genes(result, places, N_GENES)
    truth = stored(atlas)
    found = np.zeros_like(truth)
    found[whole["cell"], whole["gene"].str.removeprefix("GENE").astype(int)] = whole["attribution"]
    expected = np.zeros_like(truth)
    expected[places] = truth[places]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert set(whole.loc[whole["in_signature"], "gene"]) == set(WEIGHTS)
    monkeypatch.setattr(drill_down, "_CELLS", 7)
    monkeypatch.setattr(drill_down, "_GENES", 11)
    again = top_genes(result, places, N_GENES)
    keyed = ["cell", "gene"]
    pd.testing.assert_frame_equal(
        again.sort_values(keyed, ignore_index=True), whole.sort_values(keyed, ignore_index=True)
    )
    assert len(top_genes(result, np.array([], dtype=int), 3)) == 0


def test_signed_and_weighted_signatures_rank_as_dense_numpy_does(atlas, studies):
    values = values_of(studies)
    score = (values[:, 3] - 2 * values[:, 5] + 0.5 * values[:, 8]) / 3.5
    result = atlas.search(WEIGHTS)
    np.testing.assert_allclose(result.scores, score, rtol=3e-2, atol=0.5)
    assert result.top_cells(1)["row"][0] == np.argmax(score)
    lowest = np.argmin(score)
    assert result.scores[lowest] == result.scores.min() < 0


def test_a_damaged_segment_is_told(atlas, monkeypatch):
    monkeypatch.setattr(cell_kernels, "pick_cells", lambda *_: False)
    with pytest.raises(AtlasDamaged, match="points outside the segment"):
        atlas.search(WEIGHTS).cells_of("S1", "s0")


def test_the_loop_reads_nothing_outside():
    import numba

    offsets = np.array([[0, 5]])
    run = np.arange(3, dtype=np.uint16)
    table = np.zeros(65_536, dtype=np.float32)
    one = np.zeros(1, dtype=np.int64)
    out = np.zeros((1, 1), dtype=np.float32)
    assert numba.__version__
    assert not cell_kernels.pick_cells(offsets, run, run, table, one, one + 9, np.zeros(3, dtype=np.int64), out)
    short = np.array([[0, 3]])
    assert not cell_kernels.pick_cells(short, run, run, table, one, one + 9, np.zeros(2, dtype=np.int64), out)
    assert cell_kernels.pick_cells(short, run, run, table, one, one + 9, np.zeros(3, dtype=np.int64), out)


def test_depth_dependence_is_spearman_within_groups(tmp_path):
    rng = np.random.default_rng(0)
    depth = rng.permutation(90).astype(float)
    depth[:5] = np.nan
    adata = cells("S1", 90, n_genes=depth, total_counts=rng.random(90))
    atlas = make_atlas(tmp_path / "a", adata, extra=["n_genes", "total_counts"])
    result = atlas.search(WEIGHTS)
    table = result.depth_dependence()
    assert set(table["column"]) == {"n_genes", "total_counts"}
    for row in table[table["column"] == "n_genes"].itertuples():
        here = (result.obs["cell_type"] == row.group).to_numpy() & ~np.isnan(depth)
        assert row.cells == here.sum()
        assert row.spearman == pytest.approx(spearmanr(result.scores[here], depth[here]).statistic)
    alone = result.depth_dependence(["total_counts"], within=[])
    assert alone[["group", "cells"]].to_numpy().tolist() == [["all", 90]]
    with pytest.raises(MissingMetadata, match="no column 'umis'"):
        result.depth_dependence(["umis"])
    with pytest.raises(MissingMetadata, match="no column 'n_genes or n_counts'"):
        make_atlas(tmp_path / "b", cells("S1", 30)).search(WEIGHTS).depth_dependence()
