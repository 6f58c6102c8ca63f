"""Figures of attributed cells."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.report.sample_tables import attributed_cells, overlapping, render, texts

from insignia.core import keys
from insignia.core.errors import InputError, InputSpaceError, MissingMetadata
from insignia.report import completeness_figure, top_genes_figure


def labels(ticks):
    return [tick.get_text() for tick in ticks]


@pytest.mark.parametrize("space", ["counts", "log1p"])
def test_top_genes_show_means_and_fractions_of_both(space):
    adata = attributed_cells(space=space)
    figure = render(top_genes_figure(adata, keys.CELL_TYPE, n_genes=3))
    attribution, expression = figure.axes[:2]
    # groups are in the order of the ranking, genes in that of the groups
    assert labels(attribution.get_xticklabels()) == ["B cell", "T cell", "monocyte"]
    assert labels(attribution.get_yticklabels()) == [f"G{g}-{i}" for g in (0, 2, 1) for i in range(3)]
    counts = attributed_cells().X.toarray()
    logged = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    scores = adata.layers[keys.ATTRIBUTION].toarray()
    columns = adata.var_names.get_indexer(labels(attribution.get_yticklabels()))
    for ax, bar, values in zip((attribution, expression), figure.axes[2:], (scores, logged), strict=True):
        here = [(adata.obs[keys.CELL_TYPE] == group).to_numpy() for group in ("B cell", "T cell", "monocyte")]
        means = np.array([values[rows].mean(axis=0)[columns] for rows in here]).T
        colours = ax.collections[0].get_facecolor()[:, :3].sum(axis=1).reshape(means.shape)
        # darker is more: the order of brightness is the order of the means
        assert colours[0, 0] < colours[2, 0] < colours[0, 1]
        assert means[0, 0] > means[2, 0] > means[0, 1]
        # the colour bar ends at the largest mean
        assert bar.get_xlim() == pytest.approx((0, means.max()), rel=1e-5)
        x, y = ax.collections[0].get_offsets().T
        np.testing.assert_array_equal(x.reshape(means.shape)[0], [0, 1, 2])
        np.testing.assert_array_equal(y.reshape(means.shape)[:, 0], np.arange(9))


def test_area_of_a_dot_is_the_fraction_of_cells():
    adata = attributed_cells(("a", "b"), own=2)
    scores = adata.layers[keys.ATTRIBUTION].toarray()
    scores[:6, 0] = 0
    scores[:9, 1] = 0
    adata.layers[keys.ATTRIBUTION] = type(adata.X)(scores)
    attribution, expression = top_genes_figure(adata, keys.CELL_TYPE, n_genes=2).axes[:2]
    sizes = attribution.collections[0].get_sizes().reshape(4, 2)
    np.testing.assert_allclose(sizes[:2, 0] / sizes.max(), [0.5, 0.25])
    assert len(np.unique(expression.collections[0].get_sizes())) == 1


def test_a_gene_of_two_groups_stands_once_with_the_first():
    adata = attributed_cells(("a", "b", "c"), own=3)
    ranked = adata.uns[keys.RANK_GENES]
    ranked["names"]["b"][0] = ranked["names"]["a"][0]
    ax = top_genes_figure(adata, keys.CELL_TYPE, n_genes=2).axes[0]
    assert labels(ax.get_yticklabels()) == ["G0-0", "G0-1", "G1-1", "G2-0", "G2-1"]


@pytest.mark.parametrize(("n_groups", "n_genes"), [(2, 1), (2, 6), (20, 1), (9, 6)])
def test_labels_do_not_overlap(n_groups, n_genes):
    names = [f"CD{i}-positive, alpha-beta memory T cell of the blood" for i in range(n_groups)]
    figure = render(top_genes_figure(attributed_cells(names, cells=4), keys.CELL_TYPE, n_genes=n_genes))
    attribution, expression = figure.axes[:2]
    ticks = [*attribution.get_yticklabels(), *attribution.get_xticklabels(), *expression.get_xticklabels()]
    assert len(ticks) == n_groups * n_genes + 2 * n_groups
    others = [figure.axes[0].title, figure.axes[1].title]
    bars = figure.axes[2:]
    assert len(bars) == 2
    (legend,) = figure.legends
    boxes = [thing.get_window_extent() for thing in [*ticks, *others, legend]] + [bar.get_tightbbox() for bar in bars]
    assert not overlapping(boxes)
    # the size of the legend does not reach below the figure
    assert min(box.y0 for box in boxes) >= -1


def test_it_draws_in_a_figure_that_is_given():
    figure = Figure()
    assert top_genes_figure(attributed_cells(), keys.CELL_TYPE, figure=figure) is figure


def test_top_genes_refusals():
    adata = attributed_cells(ranked=False)
    with pytest.raises(MissingMetadata, match=r"no entry 'rank_genes_attribution'.*ins.tl.rank_genes"):
        top_genes_figure(adata, keys.CELL_TYPE)
    adata = attributed_cells()
    adata.obs["other"] = adata.obs[keys.CELL_TYPE]
    with pytest.raises(MissingMetadata, match="ranked by 'cell_type', and 'other' was asked for"):
        top_genes_figure(adata, "other")
    with pytest.raises(InputError, match="at least 1; found 0"):
        top_genes_figure(adata, keys.CELL_TYPE, n_genes=0)
    adata.X = -adata.X
    with pytest.raises(InputSpaceError):
        top_genes_figure(adata, keys.CELL_TYPE)


def test_completeness_counts_all_cells_and_says_how_many_are_within():
    adata = attributed_cells()
    gaps = np.full(adata.n_obs, 0.001)
    gaps[:9] = 0.2
    gaps[9:11] = np.nan
    gaps[11] = 0
    adata.obs[keys.gap()] = gaps
    figure = render(completeness_figure(adata))
    (ax,) = figure.axes
    assert sum(bar.get_height() for bar in ax.patches) == adata.n_obs - 2
    assert ax.lines[0].get_xdata()[0] == 0.05
    below = sum(bar.get_height() for bar in ax.patches if bar.get_x() < 0.05)
    assert below == adata.n_obs - 11
    said = " ".join(texts(figure)).replace("\u00a0", " ")
    assert "median gap 0.10 %, 74 % of cells within 5 %" in said
    assert "34 cells; 2 more have no gap" in said


@pytest.mark.parametrize("gap", [0.0, 1e-12, 0.05, 3.0])
def test_completeness_of_equal_gaps(gap):
    adata = attributed_cells()
    adata.obs[keys.gap()] = gap
    (ax,) = render(completeness_figure(adata)).axes
    assert sum(bar.get_height() for bar in ax.patches) == adata.n_obs


def test_completeness_refusals():
    adata = attributed_cells()
    with pytest.raises(MissingMetadata, match=r"no column 'mine_gap'.*key_added='mine'"):
        completeness_figure(adata, key="mine")
    adata.obs[keys.gap()] = np.nan
    with pytest.raises(InputError, match="None of the 36 cells"):
        completeness_figure(adata)
