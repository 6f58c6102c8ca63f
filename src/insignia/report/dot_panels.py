"""Dots of genes by groups: colour is a mean, area the fraction of cells with any; panels stand side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from insignia.report import style

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.data import InputSpace

__all__ = ["DotPanel", "attribution_panel", "cell_panels", "draw_panels"]

_LARGEST_DOT: Final = 70.0
_KEYS_WIDTH, _KEYS_HEIGHT = 1.55, 2.8


@dataclass(frozen=True, eq=False)
class DotPanel:
    """Mean of each gene in each group and fraction of cells with any, (genes, groups) each; NaN where not measured."""

    title: str
    unit: str
    colours: str
    means: np.ndarray
    fractions: np.ndarray


def draw_panels(
    panels: Sequence[DotPanel],
    genes: Sequence[str],
    groups: Sequence[str],
    *,
    edges: Sequence[int] = (),
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw panels side by side, one row a gene and one column a group, with a line above each row of `edges`."""
    names = [style.wrapped(group, 44, lines=1) for group in groups]
    width = 0.6 + 0.075 * max(map(len, genes)) + len(panels) * max(1.05, 0.26 * len(groups)) + _KEYS_WIDTH
    height = max(_KEYS_HEIGHT, 0.6 + 0.07 * max(map(len, names)) + 0.172 * len(genes))
    if figure is None:
        figure = style.new_figure(width, height)
    figure.set_size_inches(width, height)
    figure.set_layout_engine("constrained", rect=(0, 0, 1 - _KEYS_WIDTH / width, 1))
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, panel in zip(axes, panels, strict=True):
        _draw_panel(ax, panel, edges)
        ax.set_xticks(range(len(groups)), names, rotation=90)
    axes[0].set_yticks(range(len(genes)), [style.plain(gene) for gene in genes])
    axes[0].set_ylim(len(genes) - 0.4, -0.6)
    for ax in axes:
        style.use_fonts(ax)
    _draw_keys(figure, panels)
    return figure


def cell_panels(
    adata: "AnnData",
    groupby: str,
    attributions: str,
    genes: list[str],
    groups: list[str],
    *,
    layer: str | None = None,
    input_space: "InputSpace | None" = None,
) -> list[DotPanel]:
    """Take mean attribution and mean expression of genes in groups of cells; see `top_genes_figure`."""
    from scipy.sparse import csr_matrix, diags

    from insignia.attribution import group_means
    from insignia.data import Expression

    columns = adata.var_names.get_indexer(genes)
    labels = adata.obs[groupby]
    scores = csr_matrix(adata.layers[attributions])[:, columns]
    expression = Expression.from_adata(adata, layer=layer, input_space=input_space)
    values = expression.block(0, expression.n_cells).matrix
    if expression.space == "counts":
        totals = np.asarray(values.sum(axis=1), dtype=np.float64).ravel()
        values = csr_matrix(diags(1e4 / np.maximum(totals, 1.0)) @ values).log1p()
    parts = [group_means(scores, labels, groups), group_means(csr_matrix(values[:, columns]), labels, groups)]
    (means, present), (expressed, detected) = parts
    return [
        attribution_panel(means.T, present.T),
        DotPanel("Expression", "mean log1p CP10k", "YlGnBu", expressed.T, detected.T),
    ]


def attribution_panel(means: np.ndarray, fractions: np.ndarray) -> DotPanel:
    """Make the panel of attributions, (genes, groups)."""
    return DotPanel("Attribution", "mean, of 1,000 per cell", "YlOrRd", means, fractions)


def _colours(panel: DotPanel) -> Any:
    """Map from a mean to a colour, from palest at 0; attributions, which are skewed, on a square-root scale."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, PowerNorm

    top = float(np.nanmax(panel.means, initial=1e-6))
    norm = PowerNorm(0.5, 0, top) if panel.title == "Attribution" else Normalize(0, top)
    return ScalarMappable(norm, colormaps[panel.colours])


def _draw_panel(ax: "Axes", panel: DotPanel, edges: Sequence[int]) -> None:
    known = ~np.isnan(panel.means)
    (y, x), (absent_y, absent_x) = np.nonzero(known), np.nonzero(~known)
    ax.scatter(
        x,
        y,
        s=_LARGEST_DOT * panel.fractions[known],
        c=_colours(panel).to_rgba(panel.means[known]),
        edgecolor="#9a9a9a",
        linewidth=0.35,
        zorder=3,
    )
    # a gene that no study of the group measured has no value, which is not a zero
    ax.scatter(absent_x, absent_y, s=9, marker="x", color="#b0b0b0", linewidth=0.6, zorder=3)
    for edge in edges:
        ax.axhline(edge - 0.5, color="#d5d5d5", linewidth=0.7, zorder=1)
    ax.set_xlim(-0.6, panel.means.shape[1] - 0.4)
    style.open_frame(ax, keep=("left", "bottom", "right", "top"))
    for spine in ax.spines.values():
        spine.set_linewidth(0.6)
    ax.tick_params(length=0)
    ax.set_title(panel.title, fontsize=style.TITLE, fontweight="bold", color=style.INK)


def _draw_keys(figure: "Figure", panels: Sequence[DotPanel]) -> None:
    """Colour bars and sizes of dots in the upper right corner, of the same size in every figure."""
    from matplotlib.lines import Line2D

    width, height = figure.get_size_inches()
    left = (width - _KEYS_WIDTH + 0.15) / width
    for place, panel in enumerate(panels):
        bar = figure.add_axes((left, 1 - (0.6 + 0.72 * place) / height, 1.15 / width, 0.11 / height))
        figure.colorbar(_colours(panel), cax=bar, orientation="horizontal")
        bar.set_title(f"{panel.title}\n{panel.unit}", fontsize=style.SMALL, color=style.INK, loc="left", pad=3)
        bar.tick_params(labelsize=style.SMALL - 0.5, length=2)
    sizes = [0.1, 0.5, 1.0]
    handles = [
        Line2D([], [], marker="o", linewidth=0, color="#b0b0b0", markersize=np.sqrt(_LARGEST_DOT * size))
        for size in sizes
    ]
    labels = [style.percent(size) for size in sizes]
    if any(np.isnan(panel.means).any() for panel in panels):
        handles.append(Line2D([], [], marker="x", linewidth=0, color="#b0b0b0", markersize=3))
        labels.append("not measured")
    figure.legend(
        handles,
        labels,
        title="Cells with any",
        title_fontsize=style.SMALL,
        fontsize=style.SMALL,
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(left, 1 - (0.31 + 0.72 * len(panels)) / height),
        alignment="left",
        borderaxespad=0,
        borderpad=0,
    )
