"""Logs of another total than models read are named before they are used."""

import numpy as np
import pytest
from tests.attribution.conftest import make_cells, scimilarity_look_alike

from insignia import pp, tl
from insignia.core.errors import InputSpaceError, InputSpaceWarning


def logged(total, n_cells=20):
    cells = make_cells(n_cells)
    counts = cells.X.toarray().astype(float)
    cells.X = np.log1p(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * total).astype(np.float32)
    return cells


@pytest.fixture(scope="module")
def model():
    return scimilarity_look_alike()


@pytest.mark.parametrize("total", [1.0, 2000.0, 9000.0])
def test_another_total_is_named_with_the_way_to_ten_thousand(model, total):
    cells = logged(total)
    with pytest.warns(InputSpaceWarning, match=f"scaled to {total:,.0f}, and .* reads those scaled to 10,000") as found:
        pp.check(cells, model)
    factor = float(str(found[0].message).split("np.expm1(adata.X) * ")[1].split(")")[0])
    cells.X = np.log1p(np.expm1(cells.X) * factor)
    np.testing.assert_allclose(cells.X, logged(1e4).X, rtol=2e-3)
    assert pp.check(cells, model).input_space == "log1p"


def test_attribution_warns_too(model):
    with pytest.warns(InputSpaceWarning, match="scaled to 2,000"):
        tl.attribute(logged(2000.0), model, show_progress=False, copy=True)


def test_the_right_total_few_cells_and_fewer_genes_pass(model):
    pp.check(logged(1e4), model)
    pp.check(logged(2000.0, 8), model)
    pp.check(logged(2000.0)[:, :40].copy(), model, min_overlap=0)


def test_a_logarithm_taken_twice_is_refused(model):
    cells = logged(1e4)
    cells.X = np.log1p(cells.X)
    with pytest.raises(InputSpaceError, match=r"logarithms taken twice.*adata\.X = np\.expm1\(adata\.X\)"):
        pp.check(cells, model)
