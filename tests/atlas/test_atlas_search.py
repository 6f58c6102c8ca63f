"""Search against plain numpy over dense matrices, whatever way the cells came in."""

import warnings

import numpy as np
import pytest
from benchmarks.attack.atlas_cells import GENES, N_GENES, RECORD, assert_scores, cells, dense_scores, make_atlas, scaled
from scipy import sparse

from insignia.atlas import Atlas
from insignia.core import keys
from insignia.core.errors import CoverageWarning, GeneMatchError, InputError, OrganismMismatch, SignatureError
from insignia.data import write_h5ad
from insignia.genes import Signature

WEIGHTS = {f"GENE{g}": w for g, w in zip([3, 17, 5, 30, 39, 8], [1.0, -0.5, 2.0, 1.0, 0.25, 1.0], strict=True)}


@pytest.fixture
def studies():
    return [
        cells("S1", 30),
        cells("S2", 25, genes=np.arange(N_GENES)[::-1]),
        cells("S3", 20, genes=[0, 3, 5, 8, 17, 22, 30]),
        cells("S4", 10, genes=[1, 2, 39, 3, 5]),
        cells("S5", 5, genes=[1, 2, 39]),
    ]


@pytest.mark.parametrize("agg", ["mean", "sum", "weighted_mean"])
def test_search_equals_dense_numpy(tmp_path, studies, agg):
    atlas = make_atlas(tmp_path / "a", studies)
    with pytest.warns(CoverageWarning, match="S5 \\(measured 1 of 6 genes\\)"):
        result = atlas.search(WEIGHTS, agg=agg)
    assert result.scores.dtype == np.float32
    assert_scores(result.scores, studies, WEIGHTS, agg=agg)
    assert np.isnan(result.scores).sum() == 5
    assert (result.obs["study"].astype(str) + result.obs["barcode"]).is_unique


def test_coverage_is_told_for_every_study(tmp_path, studies):
    atlas = make_atlas(tmp_path / "a", studies[:2], studies[2:])
    with pytest.warns(CoverageWarning):
        result = atlas.search(WEIGHTS)
    table = result.coverage.set_index("study")
    assert table["genes"].to_dict() == {"S1": 6, "S2": 6, "S3": 5, "S4": 3, "S5": 1}
    assert table["cells"].to_dict() == {"S1": 30, "S2": 25, "S3": 20, "S4": 10, "S5": 5}
    assert table["scored"].to_dict() == {"S1": True, "S2": True, "S3": True, "S4": True, "S5": False}
    np.testing.assert_allclose(result.cell_coverage, np.repeat([1, 1, 5 / 6, 0.5, 1 / 6], [30, 25, 20, 10, 5]))


def test_min_coverage_moves_the_line(tmp_path, studies):
    atlas = make_atlas(tmp_path / "a", studies)
    loose = atlas.search(WEIGHTS, min_coverage=0.1)
    assert_scores(loose.scores, studies, WEIGHTS, min_coverage=0.1)
    with pytest.warns(CoverageWarning, match="3 of 5 studies"):
        strict = atlas.search(WEIGHTS, min_coverage=0.9)
    assert np.isnan(strict.scores).sum() == 35


def test_a_study_that_measured_none_is_never_scored(tmp_path):
    atlas = make_atlas(tmp_path / "a", [cells("S1", 4), cells("S2", 4, genes=[1, 2])])
    with pytest.warns(CoverageWarning, match="S2 \\(measured 0 of 1 genes\\)"):
        assert np.isnan(atlas.search(["GENE3"], min_coverage=0).scores[4:]).all()


def test_studies_may_come_in_any_order_parts_and_calls(tmp_path, studies):
    reference = make_atlas(tmp_path / "reference", studies[:4]).search(WEIGHTS)
    mixed = [studies[1][:10], studies[0][15:], studies[3], studies[1][10:], studies[2], studies[0][:15]]
    others = [
        make_atlas(tmp_path / "parts", mixed),
        make_atlas(tmp_path / "calls", *studies[:4]),
        make_atlas(tmp_path / "small", studies[:4], max_cells_per_segment=7),
    ]
    want = reference.obs.assign(score=reference.scores).set_index(["study", "barcode"]).sort_index()
    for atlas in others:
        found = atlas.search(WEIGHTS)
        got = found.obs.assign(score=found.scores).set_index(["study", "barcode"]).sort_index()
        assert got.index.equals(want.index)
        np.testing.assert_array_equal(got["score"], want["score"])
        assert found.coverage.set_index("study")["cells"].to_dict() == {"S1": 30, "S2": 25, "S3": 20, "S4": 10}
        assert len(found.coverage) == 4
        assert got["cell_type"].astype(str).equals(want["cell_type"].astype(str))


def test_dense_sparse_backed_and_files_are_one(tmp_path, studies):
    adata = studies[0]
    want = make_atlas(tmp_path / "sparse", adata).search(WEIGHTS).scores
    solid = adata.copy()
    solid.layers[keys.ATTRIBUTION] = adata.layers[keys.ATTRIBUTION].toarray()
    csc = adata.copy()
    csc.layers[keys.ATTRIBUTION] = sparse.csc_matrix(adata.layers[keys.ATTRIBUTION])
    (tmp_path / "parts").mkdir()
    for number, part in enumerate((adata[:11], adata[11:])):
        write_h5ad(part.copy(), tmp_path / "parts" / f"part-{number}.h5ad")
    for number, source in enumerate((solid, csc, tmp_path / "parts", [*sorted((tmp_path / "parts").iterdir())])):
        got = make_atlas(tmp_path / f"other-{number}", source).search(WEIGHTS).scores
        np.testing.assert_array_equal(got, want)


def test_parts_of_one_study_may_have_measured_other_genes(tmp_path):
    parts = [cells("S1", 12, genes=[3, 17, 5, 30]), cells("S1", 9, seed=1, genes=[3, 8, 5])]
    parts[1].obs_names = [f"other-{i}" for i in range(9)]
    result = make_atlas(tmp_path / "a", parts).search(WEIGHTS)
    assert_scores(result.scores, parts, WEIGHTS)
    assert result.coverage["study"].tolist() == ["S1", "S1"]
    assert result.coverage["cells"].tolist() == [12, 9]
    assert result.coverage["coverage"].tolist() == [4 / 6, 3 / 6]


def test_cells_without_values_count_also_at_the_end(tmp_path):
    values = np.zeros((9, N_GENES), dtype=np.float32)
    values[2, [3, 5]] = [400, 600]
    atlas = make_atlas(tmp_path / "a", cells("S1", 9, values=values), cells("S2", 4, values=values[3:7]))
    result = atlas.search(["GENE3", "GENE20"])
    assert result.scores.tolist() == [0, 0, 200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert atlas.info()["values"] == 2
    assert len(result.obs) == 13


def test_zeros_that_a_matrix_holds_are_not_stored(tmp_path):
    adata = cells("S1", 6)
    matrix = adata.layers[keys.ATTRIBUTION]
    full = sparse.csr_matrix((matrix.toarray().ravel(), np.tile(np.arange(N_GENES), 6), np.arange(7) * N_GENES))
    assert full.nnz == 6 * N_GENES > matrix.nnz
    adata.layers[keys.ATTRIBUTION] = full
    atlas = make_atlas(tmp_path / "a", adata)
    assert atlas.info()["values"] == matrix.nnz
    assert_scores(atlas.search(WEIGHTS).scores, [adata], WEIGHTS)


def test_one_cell(tmp_path):
    adata = cells("S1", 1, density=1.0)
    result = make_atlas(tmp_path / "a", adata).search(WEIGHTS)
    assert_scores(result.scores, [adata], WEIGHTS)


def test_more_cells_than_a_block_holds(tmp_path):
    rng = np.random.default_rng(0)
    n = 3 * 65_536 + 17
    rows = np.sort(rng.choice(n, 900, replace=False))
    rows[[0, -1]] = 65_535, n - 1
    rows = np.unique(rows)
    matrix = sparse.csr_matrix(
        (np.full(rows.size, 1000, np.float32), (rows, rng.integers(0, 6, rows.size))), shape=(n, N_GENES)
    )
    adata = cells("S1", n, values=matrix)
    atlas = make_atlas(tmp_path / "a", adata)
    expected = matrix[:, [0, 4]].sum(axis=1).A1 / 2
    np.testing.assert_array_equal(atlas.search(["GENE0", "GENE4"]).scores, expected)
    hit = np.flatnonzero(expected)
    some = [hit[np.searchsorted(hit, block * 65_536)] for block in range(3)] + [hit[-1]]
    names = ", ".join(f"'S1-{row}'" for row in some)
    chosen = atlas.search(["GENE0", "GENE4"], where=f"barcode IN ({names})")
    assert chosen.scores.tolist() == [500] * 4
    found, _, _ = atlas.gene_matrix(["GENE4", "GENE0"])
    assert abs(found - matrix[:, [4, 0]]).sum() == 0


@pytest.mark.parametrize("threads", ["1", "4"])
def test_threads_change_nothing(tmp_path, studies, threads, monkeypatch):
    atlas = make_atlas(tmp_path / "a", studies[:4], max_cells_per_segment=9)
    monkeypatch.setenv("INSIGNIA_THREADS", "2")
    want = atlas.search(WEIGHTS).scores
    monkeypatch.setenv("INSIGNIA_THREADS", threads)
    np.testing.assert_array_equal(atlas.search(WEIGHTS).scores, want)


def test_the_order_of_the_genes_changes_nothing(tmp_path):
    atlas = make_atlas(tmp_path / "a", cells("S1", 300, density=0.9))
    weights = {f"GENE{gene}": 0.1 + gene / 7 for gene in np.random.default_rng(0).permutation(N_GENES)}
    turned = dict(reversed(weights.items()))
    np.testing.assert_array_equal(atlas.search(weights).scores, atlas.search(turned).scores)


def test_signed_attributions_keep_their_sign(tmp_path):
    record = type(RECORD)(**{**RECORD.to_dict(), "sign": "signed"})
    values = scaled(np.random.default_rng(1).normal(size=(20, N_GENES)))
    adata = cells("S1", 20, values=values, record=record)
    atlas = Atlas.create(tmp_path / "a", genes=GENES, record=record)
    atlas.add(adata)
    assert_scores(atlas.search(WEIGHTS).scores, [adata], WEIGHTS)


def test_float16_keeps_the_top_tenth(tmp_path):
    adata = cells("S1", 30_000, density=0.6)
    weights = {f"GENE{g}": 1.0 for g in range(20)}
    result = make_atlas(tmp_path / "a", adata).search(weights)
    exact = dense_scores([adata], weights)
    ours, theirs = result.scores > np.percentile(result.scores, 90), exact > np.percentile(exact, 90)
    # less than 0.05 % of the cells; a pair that lies at the cut within the rounding may trade places
    assert (ours != theirs).sum() < 0.0005 * len(result)
    np.testing.assert_allclose(result.scores, exact, rtol=1e-3)


def test_a_study_whose_weights_cancel_is_left_out_by_name(tmp_path):
    signed = {"GENE1": 1.0, "GENE2": -1.0, "GENE3": 1.0}
    atlas = make_atlas(tmp_path / "a", [cells("S1", 5), cells("S2", 5, genes=[1, 2])])
    with pytest.warns(CoverageWarning, match="S2 \\(the weights of the measured genes add up to 0\\)"):
        result = atlas.search(signed, agg="weighted_mean")
    assert np.isfinite(result.scores[:5]).all()
    assert np.isnan(result.scores[5:]).all()


def test_refusals(tmp_path, studies):
    atlas = make_atlas(tmp_path / "a", studies[:4])
    with pytest.raises(SignatureError, match="no genes"):
        atlas.search([])
    with pytest.raises(SignatureError, match="add up to 0"):
        atlas.search({"GENE1": 1.0, "GENE2": -1.0}, agg="weighted_mean")
    with pytest.raises(SignatureError, match="agg must be one of"):
        atlas.search(["GENE1"], agg="median")
    with pytest.raises(GeneMatchError, match="None of the 2 genes"):
        atlas.search(["FOO1", "FOO2"])
    with pytest.raises(GeneMatchError, match=r"No study can be scored.*S1 \(measured 1 of 3 genes\)"):
        atlas.search(["GENE1", "FOO1", "FOO2"])
    with pytest.raises(OrganismMismatch):
        atlas.search(Signature("mouse", ("Cd79a", "Ms4a1"), organism="mouse"))
    with pytest.raises(InputError, match="within 0 and 1; found 50"):
        atlas.search(WEIGHTS, min_coverage=50)


def test_an_empty_atlas_answers(tmp_path):
    atlas = make_atlas(tmp_path / "a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = atlas.search(WEIGHTS)
    assert len(result) == 0
    assert len(result.obs) == 0
    assert len(atlas.obs()) == 0


def test_gene_matrix_tells_zero_from_not_measured(tmp_path, studies):
    atlas = make_atlas(tmp_path / "a", *studies[:4])
    matrix, obs, match = atlas.gene_matrix(["GENE39", "FOO", "GENE3"], where="study IN ('S1', 'S3')")
    assert matrix.shape == (50, 2)
    assert match.missing == ("FOO",)
    assert obs["study"].astype(str).tolist() == ["S1"] * 30 + ["S3"] * 20
    exact = studies[0].layers[keys.ATTRIBUTION].toarray()[:, [39, 3]]
    np.testing.assert_allclose(matrix.toarray()[:30], exact, rtol=1e-3)
    assert np.isnan(matrix.toarray()[30:, 0]).all()
    np.testing.assert_allclose(matrix.toarray()[30:, 1], studies[2].layers[keys.ATTRIBUTION].toarray()[:, 1], rtol=1e-3)
    with pytest.raises(GeneMatchError, match="None of the 1 genes"):
        atlas.gene_matrix(["FOO"])
