import warnings

import numpy as np
import pytest
from scipy import sparse

from insignia.core.errors import CoverageWarning, GeneMatchError, InputSpaceError
from insignia.genes import GeneAlignment, GeneVocabulary, Renames

MODEL = GeneVocabulary.from_names(["A", "B", "C", "RIPOR2", "E"])


def align(names, model=MODEL, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CoverageWarning)
        return GeneAlignment(GeneVocabulary.from_names(names), model, **options)


def counts(cells, genes, seed=0):
    return np.random.default_rng(seed).poisson(0.8, (cells, genes)).astype(np.float32)


def obvious(matrix, names, space):
    """Gene by gene, in loops."""
    model = {"A": 0, "B": 1, "C": 2, "RIPOR2": 3, "FAM65B": 3, "E": 4}
    amounts = np.zeros((len(matrix), 5))
    for column, name in enumerate(names):
        if name in model:
            amounts[:, model[name]] += np.expm1(matrix[:, column]) if space == "log1p" else matrix[:, column]
    return np.log1p(amounts) if space == "log1p" else amounts


@pytest.mark.parametrize("space", ["counts", "log1p"])
@pytest.mark.parametrize(
    "names",
    [["A", "B", "C", "RIPOR2", "E"], ["X", "E", "FAM65B", "A"], ["C", "A", "Y", "A", "RIPOR2", "FAM65B", "A", "E"]],
    ids=["same", "reordered", "repeated"],
)
def test_apply_equals_the_loop(names, space):
    matrix = counts(20, len(names))
    matrix = np.log1p(matrix) if space == "log1p" else matrix
    found = align(names).apply(sparse.csr_matrix(matrix), space)
    np.testing.assert_allclose(found.toarray(), obvious(matrix, names, space), rtol=1e-6)
    np.testing.assert_array_equal(align(names).apply(matrix, space).toarray(), found.toarray())
    assert found.dtype == np.float32
    assert found.shape == (20, 5)
    fresh = sparse.csr_matrix((found.data, found.indices, found.indptr), found.shape)
    assert fresh.has_canonical_format
    assert found.data.all()


def test_apply_leaves_its_input_alone_and_drops_explicit_zeros():
    matrix = sparse.csr_matrix((np.array([0.0, 2.0, 3.0]), np.array([1, 0, 0]), np.array([0, 2, 3])), (2, 2))
    before = (matrix.data.copy(), matrix.indices.copy())
    found = align(["B", "A"]).apply(matrix, "counts")
    assert found.nnz == 2
    np.testing.assert_array_equal(found.toarray()[:, :2], [[0, 2], [0, 3]])
    np.testing.assert_array_equal(matrix.data, before[0])
    np.testing.assert_array_equal(matrix.indices, before[1])


def test_entries_stored_twice_are_added():
    matrix = sparse.csr_matrix((np.array([2.0, 3.0]), np.array([0, 0]), np.array([0, 2])), (1, 1))
    found = align(["B"]).apply(matrix, "counts")
    assert found.toarray().tolist() == [[0, 5, 0, 0, 0]]
    assert found.nnz == 1
    assert matrix.nnz == 2


def test_integers_and_no_cells_work():
    assert align(["B", "B"]).apply(sparse.csr_matrix(np.ones((2, 2), dtype=np.int64)), "counts")[1, 1] == 2
    for names in (["B", "A"], ["B", "B"]):
        empty = sparse.csr_matrix((0, 2), dtype=np.float32)
        assert align(names).apply(empty, "log1p").shape == (0, 5)
        assert align(names).back(sparse.csr_matrix((0, 5)), empty, "log1p").shape == (0, 2)
        nothing = sparse.csr_matrix((3, 2), dtype=np.float32)
        assert align(names).apply(nothing, "log1p").nnz == 0
        assert align(names).back(sparse.csr_matrix((3, 5)), nothing, "log1p").nnz == 0


def test_measured_and_index_and_report():
    made = align(["X", "E", "FAM65B", "A", "A"])
    assert made.index.tolist() == [-1, 4, 3, 0, 0]
    assert made.index.dtype == np.int32
    assert made.measured.tolist() == [True, False, False, True, True]
    assert made.match.query == ("A", "B", "C", "RIPOR2", "E")
    assert made.match.index.tolist() == [3, -1, -1, 2, 1]
    assert made.match.renamed == {"RIPOR2": "FAM65B"}
    assert made.match.missing == ("B", "C")
    assert made.match.coverage == made.measured.mean()
    assert align(["FAM65B", "RIPOR2"]).match.renamed == {}


@pytest.mark.parametrize("space", ["counts", "log1p"])
def test_back_keeps_the_sum_and_shares_by_counts(space):
    names = ["C", "A", "Y", "A", "RIPOR2", "FAM65B", "A", "E", "B"]
    made, matrix = align(names), counts(30, len(names), seed=1)
    data = np.log1p(matrix) if space == "log1p" else matrix
    values = sparse.random(30, 5, density=0.7, format="csr", random_state=2) * 10
    found = made.back(values, sparse.csr_matrix(data), space).toarray()
    np.testing.assert_allclose(found.sum(axis=1), np.asarray(values.sum(axis=1)).ravel(), rtol=1e-5)
    genes = [1, 3, 6]
    total = matrix[:, genes].sum(axis=1, keepdims=True)
    share = np.where(total > 0, matrix[:, genes] / np.maximum(total, 1), 1 / 3)
    np.testing.assert_allclose(found[:, genes], values.toarray()[:, [0]] * share, rtol=1e-5)
    np.testing.assert_array_equal(found[:, 0], values.toarray()[:, 2].astype(np.float32))
    assert not found[:, 2].any()


def test_back_undoes_apply_where_no_gene_is_shared():
    names = ["E", "A", "RIPOR2", "C", "B"]
    matrix = sparse.csr_matrix(counts(10, 5))
    made = align(names)
    back = made.back(made.apply(matrix, "counts"), matrix, "counts")
    np.testing.assert_array_equal(back.toarray(), matrix.toarray())
    assert back.has_sorted_indices


def test_few_genes_warn_and_too_few_are_refused():
    data = GeneVocabulary.from_names(["A", "X", "Y"])
    with pytest.warns(CoverageWarning, match=r"few of the model's genes: 1 of 5 by name, 4 missing"):
        GeneAlignment(data, MODEL)
    with pytest.raises(GeneMatchError, match=r"1 of 5 model genes found in var_names \(20.0%\), and 30.0% are needed"):
        GeneAlignment(data, MODEL, min_overlap=0.3)
    with pytest.raises(
        GeneMatchError, match=r"0 of 5 model genes found.*The data has X, Y, 2-Sep.*dates, e.g. '2-Sep'"
    ):
        GeneAlignment(GeneVocabulary.from_names(["X", "Y", "2-Sep"]), MODEL, min_overlap=0)


def test_the_refusal_says_which_kind_of_name_is_needed():
    ids = GeneVocabulary.from_names(["ENSG00000105369", "ENSG00000156738"])
    with pytest.raises(GeneMatchError, match=r"look like Ensembl IDs \('ENSG00000105369'\).*gene_symbols="):
        GeneAlignment(ids, MODEL)
    with pytest.raises(GeneMatchError, match=r"look like symbols \('A'\).*gene_ids="):
        GeneAlignment(MODEL, ids)
    with pytest.raises(GeneMatchError, match="0 of 5 model genes found"):
        GeneAlignment(GeneVocabulary.from_names([]), MODEL)
    table = Renames({}, {"ENSG00000105369": "A", "ENSG00000156738": "B"})
    assert align(ids.ids, renames=table).measured.tolist() == [True, True, False, False, False]


def test_wrong_shapes_and_spaces_are_refused():
    made = align(["A", "B", "C"])
    with pytest.raises(GeneMatchError, match="matrix has 2 genes, and 3 were aligned"):
        made.apply(np.ones((1, 2)), "counts")
    with pytest.raises(InputSpaceError, match="'counts' or 'log1p', not 'tpm'"):
        made.apply(np.ones((1, 3)), "tpm")
    with pytest.raises(GeneMatchError, match="do not belong together: 2 and 1 cells"):
        made.back(np.ones((2, 5)), np.ones((1, 3)), "counts")


def test_a_model_over_expressed_genes_is_measured_by_what_it_knows_of_them():
    """A vocabulary of tens of thousands is never measured as a whole, and need not be."""
    model = GeneVocabulary.from_names([f"M{i}" for i in range(1000)])
    data = GeneVocabulary.from_names([*(f"M{i}" for i in range(10)), *(f"X{i}" for i in range(90))])
    common, rare = np.arange(100) < 12, np.arange(100) >= 4
    alignment = GeneAlignment(data, model, expressed=common)
    assert alignment.measured.sum() == 10
    with pytest.warns(
        CoverageWarning, match=r"The model knows 6 of 96 genes that the cells express \(6.2%\), not e.g. X0"
    ):
        GeneAlignment(data, model, expressed=rare)
    with pytest.raises(GeneMatchError, match=r"knows 6 of 96 .* and 10.0% are needed"):
        GeneAlignment(data, model, expressed=rare, min_overlap=0.1)
    with pytest.raises(GeneMatchError, match="10 of 1,000 model genes"):
        GeneAlignment(data, model)
    with pytest.raises(GeneMatchError, match="10 of 1,000 model genes"):
        GeneAlignment(data, model, expressed=np.zeros(100, dtype=bool))
