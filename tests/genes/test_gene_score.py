import numpy as np
import pytest
from scipy import sparse

from insignia.core.errors import GeneMatchError, SignatureError
from insignia.genes import GeneVocabulary, match_genes, normaliser, score

GENES = [f"G{i}" for i in range(12)]
VOCABULARY = GeneVocabulary.from_names(GENES)
QUERY = ["G7", "absent", "G1", "G4"]
WEIGHTS = np.array([2.0, 9.0, -1.0, 0.5], dtype=np.float32)


def values(cells=40, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.gamma(1.0, 2.0, (cells, 12)) * (rng.random((cells, 12)) < 0.4)).astype(np.float32)


def obvious(matrix, agg):
    terms = [(2.0, 7), (-1.0, 1), (0.5, 4)]
    total = [sum(w * float(row[g]) for w, g in terms) for row in matrix]
    divisor = {"mean": 3.5, "sum": 1.0, "weighted_mean": 1.5}[agg]
    return np.array(total) / divisor


@pytest.mark.parametrize("agg", ["mean", "sum", "weighted_mean"])
@pytest.mark.parametrize(
    "form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix, sparse.csr_array, sparse.lil_matrix]
)
def test_score_equals_the_loop_in_every_format(form, agg):
    matrix = values()
    found = score(form(matrix), match_genes(QUERY, VOCABULARY), WEIGHTS, agg=agg)
    assert found.dtype == np.float32
    assert found.shape == (40,)
    np.testing.assert_allclose(found, obvious(matrix, agg), rtol=1e-5, atol=1e-6)


def test_score_follows_the_cells_and_ignores_the_order_of_genes():
    matrix, match, order = values(), match_genes(QUERY, VOCABULARY), np.random.default_rng(1).permutation(40)
    whole = score(matrix, match, WEIGHTS)
    np.testing.assert_array_equal(score(matrix[order], match, WEIGHTS), whole[order])
    turned = score(matrix, match_genes(QUERY[::-1], VOCABULARY), WEIGHTS[::-1])
    np.testing.assert_allclose(turned, whole, rtol=1e-5, atol=1e-6)


def test_an_absent_gene_changes_nothing():
    matrix = values()
    with_absent = score(matrix, match_genes(QUERY, VOCABULARY), WEIGHTS)
    without = score(matrix, match_genes(["G7", "G1", "G4"], VOCABULARY), WEIGHTS[[0, 2, 3]])
    np.testing.assert_array_equal(with_absent, without)


def test_nan_in_other_genes_does_not_reach_the_score():
    matrix = values()
    matrix[:, 0] = np.nan
    for form in (np.asarray, sparse.csr_matrix):
        assert np.isfinite(score(form(matrix), match_genes(QUERY, VOCABULARY), WEIGHTS)).all()


def test_empty_cells_and_no_cells():
    match = match_genes(QUERY, VOCABULARY)
    assert score(sparse.csr_matrix((3, 12)), match, WEIGHTS).tolist() == [0, 0, 0]
    assert score(sparse.csr_matrix((0, 12)), match, WEIGHTS).shape == (0,)


def auroc(high, low):
    return np.mean((high[:, None] > low[None, :]) + 0.5 * (high[:, None] == low[None, :]))


def test_a_planted_program_is_found_and_a_shuffled_one_is_not():
    rng = np.random.default_rng(3)
    matrix = rng.poisson(1.0, (400, 12)).astype(np.float32)
    matrix[:200, [2, 5, 9]] += 2
    planted = score(matrix, match_genes(["G2", "G5", "G9"], VOCABULARY), np.ones(3))
    assert auroc(planted[:200], planted[200:]) > 0.95
    other = score(matrix, match_genes(["G0", "G6", "G11"], VOCABULARY), np.ones(3))
    assert auroc(other[:200], other[200:]) == pytest.approx(0.5, abs=0.1)


def test_normaliser():
    weights = np.array([1.0, -2.0, 0.5])
    assert normaliser(weights, "mean") == 3.5
    assert normaliser(weights, "sum") == 1.0
    assert normaliser(weights, "weighted_mean") == -0.5


def test_refusals():
    match = match_genes(QUERY, VOCABULARY)
    with pytest.raises(SignatureError, match=r"add up to 0.*Use agg='mean'"):
        score(values(), match_genes(["G1", "G2"], VOCABULARY), np.array([1.0, -1.0]), agg="weighted_mean")
    with pytest.raises(SignatureError, match="have weight 0"):
        score(values(), match, np.array([0.0, 1.0, 0.0, 0.0]))
    with pytest.raises(SignatureError, match="agg must be one of mean, sum, weighted_mean, not 'max'"):
        score(values(), match, WEIGHTS, agg="max")
    with pytest.raises(SignatureError, match="4 genes were matched and 3 weights given"):
        score(values(), match, WEIGHTS[:3])
    with pytest.raises(GeneMatchError, match="None of the 1 genes was found: 0 of 1 by name, 1 missing: X"):
        score(values(), match_genes(["X"], VOCABULARY), np.ones(1))
    with pytest.raises(GeneMatchError, match="The matrix has 5 genes, and one was matched at position 7"):
        score(values()[:, :5], match, WEIGHTS)
