"""Figure of the top genes of each group of cells: attribution beside expression."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata
from insignia.report import style

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.data import InputSpace

__all__ = ["top_genes_figure"]

_LARGEST_DOT: Final = 70.0
_KEYS_WIDTH, _KEYS_HEIGHT = 1.55, 2.8


@dataclass(frozen=True, eq=False)
class _Panel:
    """Mean of each gene in each group and fraction of cells with any, (genes, groups) each."""

    title: str
    unit: str
    colours: str
    means: np.ndarray
    fractions: np.ndarray


def top_genes_figure(
    adata: "AnnData",
    groupby: str,
    *,
    key: str = keys.RANK_GENES,
    n_genes: int = 6,
    layer: str | None = None,
    input_space: "InputSpace | None" = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw the top genes of each group of cells: mean attribution beside mean expression.

    One row a gene, in the order of the groups whose top genes they are (a gene of several groups stands with the
    first), and one column a group. Colour is the mean over all cells of the group: attribution in units of the row sum
    of 1,000, on a square-root scale, and expression as log1p CP10k. The area of a dot is the fraction of cells in which
    the value is not 0.

    Parameters
    ----------
    adata
        Attributed cells with ranked genes.
    groupby
        The `obs` column that genes were ranked by.
    key
        Entry of `uns` that `rank_genes` wrote.
    n_genes
        Genes of each group.
    layer, input_space
        Where expression is, and whether it is ``"counts"`` or ``"log1p"``. `None` reads `adata.X` and looks.
    figure
        An empty figure to draw in, which is resized; `None` makes one.

    Raises
    ------
    MissingMetadata
        Genes were not ranked, or ranked by another column.
    InputSpaceError
        The values are neither counts nor log1p.
    """
    ranked = _ranked(adata, groupby, key)
    tops = _top_genes(ranked, n_genes)
    groups = list(tops)
    genes = [gene for own in tops.values() for gene in own]
    panels = _panels(adata, groupby, ranked["params"]["layer"], genes, groups, layer, input_space)
    names = [style.wrapped(group, 34, lines=1) for group in groups]
    width = 0.6 + 0.075 * max(map(len, genes)) + 2 * max(1.05, 0.26 * len(groups)) + _KEYS_WIDTH
    height = max(_KEYS_HEIGHT, 0.6 + 0.07 * max(map(len, names)) + 0.172 * len(genes))
    if figure is None:
        figure = style.new_figure(width, height)
    figure.set_size_inches(width, height)
    figure.set_layout_engine("constrained", rect=(0, 0, 1 - _KEYS_WIDTH / width, 1))
    edges = np.cumsum([len(own) for own in tops.values()])[:-1].tolist()
    axes = figure.subplots(1, 2, sharey=True)
    for ax, panel in zip(axes, panels, strict=True):
        _draw_panel(ax, panel, edges)
        ax.set_xticks(range(len(groups)), names, rotation=90)
    axes[0].set_yticks(range(len(genes)), [style.plain(gene) for gene in genes])
    axes[0].set_ylim(len(genes) - 0.4, -0.6)
    for ax in axes:
        style.use_fonts(ax)
    _draw_keys(figure, panels)
    return figure


def _ranked(adata: "AnnData", groupby: str, key: str) -> Any:
    if key not in adata.uns:
        raise MissingMetadata(
            f"adata.uns has no entry {key!r} (entries: {list(adata.uns)[:10]}). "
            f"Run ins.tl.rank_genes(adata, {groupby!r}) first."
        )
    ranked = adata.uns[key]
    by = str(ranked["params"]["groupby"])
    if by != groupby:
        raise MissingMetadata(
            f"The genes in adata.uns[{key!r}] were ranked by {by!r}, and {groupby!r} was asked for. "
            f"Run ins.tl.rank_genes(adata, {groupby!r}), or ask for {by!r}."
        )
    return ranked


def _top_genes(ranked: Any, n_genes: int) -> dict[str, list[str]]:
    """Genes of each group, each gene once, with the first group that it belongs to."""
    if n_genes < 1:
        raise InputError(f"n_genes is how many genes to show for each group, at least 1; found {n_genes}.")
    seen: set[str] = set()
    tops: dict[str, list[str]] = {}
    for group in ranked["names"].dtype.names:
        names = [str(name) for name in ranked["names"][group][:n_genes]]
        scores = ranked["scores"][group][:n_genes]
        own = [name for name, score in zip(names, scores, strict=True) if score > 0 and name not in seen]
        tops[str(group)] = own
        seen.update(own)
    if not seen:
        raise InputError("No gene has a higher attribution in one group than in the others; there is nothing to draw.")
    return tops


def _panels(
    adata: "AnnData",
    groupby: str,
    attributions: str,
    genes: list[str],
    groups: list[str],
    layer: str | None,
    input_space: "InputSpace | None",
) -> list[_Panel]:
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
    texts = [
        ("Attribution", "mean, of 1,000 per cell", "YlOrRd"),
        ("Expression", "mean log1p CP10k", "YlGnBu"),
    ]
    return [_Panel(*text, means.T, present.T) for text, (means, present) in zip(texts, parts, strict=True)]


def _colours(panel: _Panel) -> Any:
    """Map from a mean to a colour, from palest at 0; attributions, which are skewed, on a square-root scale."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, PowerNorm

    top = float(max(panel.means.max(), 1e-6))
    norm = PowerNorm(0.5, 0, top) if panel.title == "Attribution" else Normalize(0, top)
    return ScalarMappable(norm, colormaps[panel.colours])


def _draw_panel(ax: "Axes", panel: _Panel, edges: list[int]) -> None:
    colours = _colours(panel)
    y, x = np.indices(panel.means.shape)
    ax.scatter(
        x.ravel(),
        y.ravel(),
        s=_LARGEST_DOT * panel.fractions.ravel(),
        c=colours.to_rgba(panel.means.ravel()),
        edgecolor="#9a9a9a",
        linewidth=0.35,
        zorder=3,
    )
    for edge in edges:
        ax.axhline(edge - 0.5, color="#d5d5d5", linewidth=0.7, zorder=1)
    ax.set_xlim(-0.6, panel.means.shape[1] - 0.4)
    style.open_frame(ax, keep=("left", "bottom", "right", "top"))
    for spine in ax.spines.values():
        spine.set_linewidth(0.6)
    ax.tick_params(length=0)
    ax.set_title(panel.title, fontsize=style.TITLE, fontweight="bold", color=style.INK)


def _draw_keys(figure: "Figure", panels: list[_Panel]) -> None:
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
    figure.legend(
        [
            Line2D([], [], marker="o", linewidth=0, color="#b0b0b0", markersize=np.sqrt(_LARGEST_DOT * size))
            for size in sizes
        ],
        [style.percent(size) for size in sizes],
        title="Cells with any",
        title_fontsize=style.SMALL,
        fontsize=style.SMALL,
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(left, 1 - 1.75 / height),
        alignment="left",
        borderaxespad=0,
        borderpad=0,
    )
