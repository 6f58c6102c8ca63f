"""The figure of several scores of one signature shows what `compare_scores` wrote, and all of it can be read."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from tests.report.readable import assert_readable
from tests.report.sample_tables import attributed_cells, compared_cells, texts

from insignia.core.errors import MissingMetadata
from insignia.genes.scorers import scorers
from insignia.report import compare_scores_figure


def written(n_methods, donors, *, labelled=True, positive=("B cell",), signature="MS1"):
    """What `compare_scores` writes, with chosen sizes."""
    rng = np.random.default_rng(n_methods)
    names = [*scorers, *(f"my_method_{i}" for i in range(20))][:n_methods]
    values = rng.uniform(-1, 1, (n_methods, n_methods))
    adata = attributed_cells()
    facts = {"signature": signature, "spearman": pd.DataFrame((values + values.T) / 2, names, names)}
    if labelled:
        rows = [
            (name, f"d{i}", 50, 20, rng.uniform(0.5, 1), rng.uniform(0.4, 0.6)) for name in names for i in range(donors)
        ]
        columns = ["method", "donor", "cells", "positives", "auroc", "shuffled"]
        facts |= {"positive": list(positive), "auroc": pd.DataFrame(rows, columns=columns)}
    adata.uns["s"] = facts
    return adata


def test_methods_stand_by_their_mean_auroc_and_every_donor_is_a_dot():
    adata = compared_cells(donors=3)
    left, right = compare_scores_figure(adata, "s").axes
    table = adata.uns["s"]["auroc"]
    means = table.groupby("method")["auroc"].mean().sort_values(ascending=False, kind="stable")
    assert [label.get_text() for label in left.get_yticklabels()] == [scorers[name].label for name in means.index]
    dots = [cloud.get_offsets() for cloud in right.collections if isinstance(cloud, PathCollection)]
    found = np.sort(np.vstack(dots[1::2])[:, 0])
    np.testing.assert_allclose(found, np.sort(table["auroc"]))
    np.testing.assert_allclose(np.sort(np.vstack(dots[::2])[:, 0]), np.sort(table["shuffled"]))
    diamonds = {round(line.get_ydata()[0]): line.get_xdata()[0] for line in right.lines if line.get_marker() == "d"}
    np.testing.assert_allclose([diamonds[row] for row in range(4)], means)


def test_the_correlations_are_written_in_the_fields():
    adata = written(3, 0, labelled=False)
    (ax,) = compare_scores_figure(adata, "s").axes
    values = adata.uns["s"]["spearman"]
    order = values.mean().sort_values(ascending=False).index
    expected = [f"{value:.2f}".replace("-", "\N{MINUS SIGN}") for value in values.loc[order, order].to_numpy().ravel()]
    assert [text.get_text() for text in ax.texts][:9] == expected


@pytest.mark.parametrize("n_methods", [1, 2, 8, 20])
@pytest.mark.parametrize("labelled", [True, False])
def test_everything_can_be_read(n_methods, labelled):
    long = ("high interferon-stimulated classical monocyte of the second day",) * 2
    signature = "HALLMARK_INTERFERON_ALPHA_RESPONSE_OF_EVERYTHING"
    adata = written(n_methods, 12, labelled=labelled, positive=long, signature=signature)
    figure = compare_scores_figure(adata, "s")
    assert isinstance(figure, Figure)
    assert_readable(figure)


def test_the_note_says_who_was_told_from_whom():
    said = " ".join(texts(compare_scores_figure(compared_cells(), "s")))
    assert "B cell against the rest" in said
    assert "within 3 donors" in said
    assert "shuffled" in said


def test_cells_that_were_not_compared_are_refused():
    with pytest.raises(MissingMetadata, match=r"Run ins\.tl\.compare_scores"):
        compare_scores_figure(attributed_cells(), "MS1")
