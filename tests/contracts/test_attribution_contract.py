"""What every method keeps for every family: T1 to T4, T13 and T16 of the acceptance tests."""

from copy import copy

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix, hstack
from scipy.stats import spearmanr

from insignia.attribution import PathOptions, find_target, methods
from insignia.core.errors import InsigniaError
from insignia.data import Expression
from insignia.genes import GeneVocabulary
from tests.contracts.cases import CASES, REFUSED, oracle, shifted

TAKEN = [case for case in CASES if (case.family, case.method) not in REFUSED]

# wide gaps of single cells are looked at where the gap is tested
pytestmark = pytest.mark.filterwarnings("ignore::insignia.core.errors.CompletenessWarning")


@pytest.fixture(params=TAKEN, ids=str)
def case(request):
    return request.param


@pytest.mark.parametrize("refused", [case for case in CASES if case not in TAKEN], ids=str)
def test_what_a_method_cannot_explain_is_refused_by_name(refused):
    with pytest.raises(InsigniaError, match=r"Use method='integrated_gradients'|Leave the baseline out"):
        refused.run()


def test_it_equals_plain_autograd_over_the_whole_network_in_float64(case):
    """T2 and T16: an independent computation, on rows of 1,000."""
    found, _, _ = case.run()
    expected = oracle(case)
    assert np.abs(expected[:-1]).sum(1).min() > 999
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert np.median(np.abs(found - expected).max(1)) < 2e-3


def test_the_whole_path_in_float64_equals_it_to_many_digits(case):
    found, _, runner = case.run(precision="float64")
    np.testing.assert_allclose(found, oracle(case), atol=1e-4)
    assert runner.facts["precision_cells"] == (np.abs(found).sum(1) > 0).sum()
    assert runner.facts["precision_error"] <= runner.facts["precision_error_worst"] < 1e-4


def test_attributions_add_up(case):
    """T1: below 1 % in the median at 50 steps, and at most half of that at 200 where it is not rounding already.

    From one cell to another the score changes less than from an empty one, so the same error is more of it: 5 %.
    """
    if not methods[case.method].is_complete:
        pytest.skip(f"{case.method} need not add up")
    coarse, fine = (np.nanmedian(case.run(n_steps=n)[1].gap) for n in (50, 200))
    assert coarse < (0.01 if case.baseline is None else 0.05)
    assert fine <= max(0.5 * coarse, 2e-5)


def test_genes_that_are_not_expressed_get_zero_and_rows_add_up_to_1000(case):
    """T3: with the zero baseline; an empty cell gives zeros, and no value is NaN."""
    found, block, _ = case.run()
    if case.baseline is None:
        assert (found[case.cells.X.toarray() == 0] == 0).all()
        assert block.total[-1] == 0
        assert np.isnan(block.gap[-1])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.abs(found[:-1]).sum(1), 1000, atol=1e-2)


def test_a_tiny_jitter_leaves_the_ranking(case):
    """T4: values that differ by 1e-6."""
    encoder, target = case.encoder, find_target(case.target).bind(case.encoder)
    inputs = case.inputs()
    profiles = Expression.from_adata(case.starts, input_space="counts")
    start = None if case.baseline is None else case.inputs(expression=profiles)
    first, second = (
        methods[case.method].explain(encoder, x, start, target=target, options=PathOptions()).attribution.toarray()
        for x in (inputs, shifted(inputs, np.random.default_rng(0)))
    )
    for row in range(11):
        # a gene of equal value in both does not move, and so has no rank that a jitter could leave
        moved = first[row] != 0
        assert spearmanr(first[row][moved], second[row][moved]).statistic > 0.999


def test_neither_order_nor_blocks_of_cells_matter(case):
    whole, _, _ = case.run()
    order = np.random.default_rng(0).permutation(12)
    mixed = Expression.from_adata(case.cells[order].copy(), input_space="counts")
    np.testing.assert_allclose(case.run(mixed)[0], whole[order], rtol=1e-3, atol=5e-3)
    few = Expression.from_adata(case.cells[[5]].copy(), input_space="counts")
    np.testing.assert_allclose(case.run(few)[0], whole[[5]], rtol=1e-3, atol=5e-3)
    np.testing.assert_array_equal(case.run()[0], whole)


def test_each_cell_may_start_from_a_baseline_of_its_own(case):
    if case.method != "integrated_gradients" or case.family == "geneformer":
        pytest.skip("one method is enough, and Geneformer takes no profile")
    starts = case.lookalike.cells(seed=8).X
    together, _, _ = case.run(baseline=starts, n_steps=10)
    for row in (0, 5):
        one = Expression.from_adata(case.cells[[row]].copy(), input_space="counts")
        np.testing.assert_allclose(case.run(one, baseline=starts[row], n_steps=10)[0], together[[row]], atol=0.02)


def test_genes_are_found_under_other_names_and_strangers_get_nothing(case):
    """T13: versions of Ensembl ids, an older symbol beside the known one, and names that are none."""
    whole, _, _ = case.run()
    cells = case.cells.copy()
    is_ensembl = str(cells.var_names[0]).startswith("ENSG")
    cells.var_names = [f"{name}.{i % 3 + 1}" if is_ensembl else name for i, name in enumerate(cells.var_names)]
    strangers = cells[:, :2].copy()
    strangers.var_names = ["None", "nan"]
    mixed = AnnData(pd.concat([cells.to_df(), strangers.to_df()], axis=1))
    expression = Expression.from_adata(mixed, input_space="counts", organism="human")
    baseline = None if case.baseline is None else hstack([case.baseline, csr_matrix((2, 2))], format="csr")
    found, _, _ = case.run(expression, baseline=baseline)
    np.testing.assert_allclose(found[:, :-2], whole, rtol=1e-3, atol=5e-3)
    assert (found[:, -2:] == 0).all()


def test_a_gene_is_found_under_its_older_symbol(case):
    """T13: FAM65B of the data is RIPOR2 of the model, whatever family and method."""
    if case.encoder.genes.ids is not None:
        pytest.skip("this look-alike knows Ensembl ids")
    names = case.encoder.genes.labels.tolist()
    place = names.index("GENE7")
    encoder = copy(case.encoder)
    encoder.genes = GeneVocabulary.from_names([*names[:place], "RIPOR2", *names[place + 1 :]], organism="human")
    cells = case.cells.copy()
    cells.var_names = ["FAM65B" if name == "GENE7" else name for name in cells.var_names]
    found, _, _ = case.run(Expression.from_adata(cells, input_space="counts", organism="human"), encoder=encoder)
    assert (found[:, cells.var_names.get_loc("FAM65B")] != 0).any()
    np.testing.assert_allclose(found, case.run()[0], rtol=1e-3, atol=5e-3)
