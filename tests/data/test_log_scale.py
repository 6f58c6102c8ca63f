"""To what total counts were scaled is told from their logs, and so is a logarithm taken twice."""

import numpy as np
import pytest
from scipy import sparse

from insignia.data.log_scale import log_scale, was_logged_twice


@pytest.fixture
def counts():
    return np.random.default_rng(0).poisson(1.0, (40, 60)).astype(float)


def scaled(counts, total):
    return counts / counts.sum(axis=1, keepdims=True) * total


@pytest.mark.parametrize("total", [1.0, 812.0, 1e4, 1e6])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_the_total_is_found(counts, total, form):
    logs = np.log1p(scaled(counts, total)).astype(np.float32)
    logs[3] = 0
    assert log_scale(form(logs)) == pytest.approx(total, rel=1e-4)
    assert not was_logged_twice(form(logs))


def test_no_total_is_claimed_where_genes_were_left_out(counts):
    assert np.isnan(log_scale(np.log1p(scaled(counts, 1e4))[:, :20]))
    assert np.isnan(log_scale(np.log1p(counts)))
    assert np.isnan(log_scale(np.zeros((5, 3))))


@pytest.mark.parametrize("total", [500.0, 1e4, 1e6])
def test_two_logarithms_are_noticed(counts, total):
    once = np.log1p(scaled(counts, total))
    assert was_logged_twice(np.log1p(once).astype(np.float32))
    assert not was_logged_twice(np.log1p(once)[:9])
    assert not was_logged_twice(np.log1p(once)[:, :20])
    assert not was_logged_twice(once)
    assert not was_logged_twice(counts)
