"""The panel of genes and its normalisation."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from insignia.core.errors import DuplicateNames, GeneMatchError, InputError, InputSpaceError, MissingMetadata
from insignia.spatial.panel import choose_panel, normalise, panel_counts


def spots(counts, names):
    # names may repeat, ids may not
    ids = names if len(set(names)) == len(names) else [f"id{i}" for i in range(len(names))]
    return AnnData(np.asarray(counts, dtype=np.float32), var=pd.DataFrame({"symbol": list(names)}, index=list(ids)))


def test_the_panel_is_the_top_of_the_means_of_section_means():
    first = spots([[9, 1, 0, 5]], "abcd")
    second = spots([[5, 1, 0], [5, 1, 2], [5, 1, 4]], "bac")
    panel = choose_panel([first, second], 2)
    # a: (9 + 1) / 2, b: (1 + 5) / 2, c: (0 + 2) / 2; d is not in both
    assert panel.genes == ("a", "b")
    np.testing.assert_allclose(panel.mean_count, [5, 3])
    assert panel.source == "top by mean count"


def test_equal_means_are_put_in_the_order_of_names_whatever_the_columns():
    assert choose_panel([spots([[2, 2, 2]], "cab")], 2).genes == ("a", "b")


def test_sparse_and_dense_agree():
    dense = spots(np.random.default_rng(0).poisson(3, (20, 8)), "abcdefgh")
    thin = AnnData(sparse.csr_matrix(dense.X), var=dense.var)
    assert choose_panel([thin], 5).genes == choose_panel([dense], 5).genes
    panel = choose_panel([dense], 5)
    np.testing.assert_array_equal(panel_counts(thin, panel), panel_counts(dense, panel))


def test_a_given_list_keeps_its_order_and_is_found_in_any_order_of_columns():
    panel = choose_panel([spots([[1, 2, 3]], "abc")], ["c", "a"])
    assert panel.genes == ("c", "a")
    np.testing.assert_array_equal(panel_counts(spots([[7, 8, 9]], "bca"), panel), [[8, 9]])


def test_the_normalisation_is_its_formula():
    counts = np.array([[0, 3], [9, 0]])
    np.testing.assert_allclose(normalise(counts), np.log([[1 / 5, 4 / 5], [10 / 11, 1 / 11]]), rtol=1e-6)


def test_repeated_genes_are_passed_over_and_told():
    panel = choose_panel([spots([[9, 8, 1, 2]], "aabc")], 2, gene_symbols="symbol")
    assert panel.genes == ("c", "b")
    assert panel.ambiguous == ("a",)


def test_names_can_come_from_a_column():
    one = spots([[1, 2]], "xy")
    one.var_names = ["ENSG1", "ENSG2"]
    panel = choose_panel([one], 2, gene_symbols="symbol")
    assert panel.genes == ("y", "x")
    np.testing.assert_array_equal(panel_counts(one, panel), [[2, 1]])
    with pytest.raises(MissingMetadata, match="no var column 'name'"):
        choose_panel([one], 2, gene_symbols="name")


@pytest.mark.parametrize(
    ("sections", "genes", "error", "text"),
    [
        ([], 5, InputError, "none was given"),
        ([([[1]], "a"), ([[1]], "b")], 5, GeneMatchError, "share no gene"),
        ([([[1, 2]], "ab")], ["a", "z"], GeneMatchError, r"not measured.*\['z'\]"),
        ([([[1, 2]], "ab")], ["a", "a"], DuplicateNames, "more than once"),
        ([([[1, 2, 3]], "aab")], ["a", "b"], DuplicateNames, r"more than once, e.g. \['a'\]"),
        ([([[1, 2]], "ab")], 1, InputError, "at least 2 genes"),
        ([([[0.5, 2]], "ab")], 2, InputSpaceError, "non-integers"),
    ],
)
def test_what_cannot_be_a_panel_is_refused(sections, genes, error, text):
    with pytest.raises(error, match=text):
        choose_panel([spots(*section) for section in sections], genes, gene_symbols="symbol")
