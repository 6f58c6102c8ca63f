"""Counts and log1p are told apart; everything else is refused with its reason."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from insignia.core.errors import InputSpaceError
from insignia.data.input_space import LOG1P_MAX, check_space, detect_space

FORMATS = [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.coo_matrix]


@pytest.fixture
def counts():
    return np.random.default_rng(0).poisson(0.7, (30, 20))


def log1p(counts, total=1e4):
    return np.log1p(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * total)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", [np.int32, np.uint16, np.int64, np.float32, np.float64])
def test_counts_of_every_kind(counts, form, dtype):
    assert detect_space(form(counts.astype(dtype))) == "counts"
    check_space(form(counts.astype(dtype)), "counts")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log1p_of_every_kind(counts, form, dtype):
    values = form(log1p(counts).astype(dtype))
    assert detect_space(values) == "log1p"
    check_space(values, "log1p")


def test_a_cell_with_one_gene_reaches_the_bound_of_log1p():
    values = np.array([[0.0, LOG1P_MAX], [1.5, 2.5]], dtype=np.float32)
    assert detect_space(values) == "log1p"
    with pytest.raises(InputSpaceError, match=r"neither counts .* nor log1p .*max 9\.22"):
        detect_space(values + np.float32(0.01))


@pytest.mark.parametrize("empty", [np.zeros((3, 2)), sparse.csr_matrix((3, 2)), np.zeros((0, 2))])
def test_nothing_expressed_is_counts(empty):
    assert detect_space(empty) == "counts"
    check_space(empty, "log1p", declared=False)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
@pytest.mark.parametrize("form", FORMATS)
def test_negative_values_look_scaled(form, dtype):
    matrix = np.array([[1, 0, 2], [3, -2, 1]], dtype=dtype)
    names = (pd.Index(["cellA", "cellB"]), pd.Index(["G1", "G2", "G3"]))
    with pytest.raises(InputSpaceError, match=r"min -2, e\.g\. cell 'cellB' gene 'G2'\): scaled or centred"):
        detect_space(form(matrix), names=names)
    with pytest.raises(InputSpaceError, match="scaled or centred"):
        check_space(form(matrix), "log1p")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(form, bad):
    matrix = np.ones((4, 3), dtype=np.float32)
    matrix[2, 1] = bad
    names = (pd.Index(list("abcd")), pd.Index(["G1", "G2", "G3"]))
    with pytest.raises(InputSpaceError, match=r"1 values that are NaN or infinite, e\.g\. cell 'c' gene 'G2'"):
        detect_space(form(matrix), names=names)
    with pytest.raises(InputSpaceError, match=r"layer 'x' holds .* cell 2 gene 1\. Fix"):
        check_space(form(matrix), "counts", what="layer 'x'")


def test_only_the_first_culprits_are_named():
    with pytest.raises(InputSpaceError, match=r"cell 0 gene 2\. Fix"):
        detect_space(np.full((9, 9), np.nan))


def test_finite_values_whose_sum_overflows_are_not_called_infinite():
    check_space(np.full((10, 10), 3e38, dtype=np.float32), "log1p")


@pytest.mark.parametrize("total", [1e5, 1e6])
def test_other_totals_are_accepted_only_when_declared(counts, total):
    values = np.vstack([log1p(counts, total), [np.log1p(total)] + [0] * 19])
    with pytest.raises(InputSpaceError, match="TPM, CPM, log2"):
        detect_space(values)
    with pytest.raises(InputSpaceError, match="TPM, CPM, log2"):
        check_space(values, "log1p", declared=False)
    check_space(values, "log1p")


def test_declared_counts_must_be_whole(counts):
    with pytest.raises(
        InputSpaceError, match=r"holds non-integers \(max .*\) but is taken as counts: already log-norm"
    ):
        check_space(log1p(counts), "counts")


def test_unknown_space_and_text_are_refused(counts):
    with pytest.raises(InputSpaceError, match="must be 'counts' or 'log1p', not 'tpm'"):
        check_space(counts, "tpm")
    with pytest.raises(InputSpaceError, match="must hold numbers and holds object"):
        detect_space(np.array([["a", "b"]], dtype=object))


def test_counts_that_are_declared_logs_are_refused(counts):
    high = np.vstack([counts, np.full(counts.shape[1], 10)]).astype(np.float32)
    with pytest.raises(
        InputSpaceError, match=r"up to 1\d,? and is taken as log1p: these look like counts\. Pass input_"
    ):
        check_space(high, "log1p")
    check_space(np.vstack([log1p(high, 1e5), [np.log1p(1e5)] + [0] * 19]), "log1p")
