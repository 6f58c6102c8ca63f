"""Plots: figures of what the tools found, drawn like those of scanpy."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insignia.core import keys

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.atlas import SampleTable
    from insignia.data import InputSpace, SectionStack

__all__ = ["completeness", "gene_maps", "samples", "scoreboard", "stack", "stack_3d", "strata", "top_genes"]


def samples(
    table: "SampleTable",
    *,
    by: str = keys.DISEASE,
    top: int | None = 12,
    min_samples: int = 3,
    ax: "Axes | None" = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Axes | None":
    """Draw the fraction of hits in every sample, one row for each group, the highest mean on top.

    Parameters
    ----------
    table, by, top, min_samples
        As for `insignia.report.samples_figure`.
    ax
        Axes to draw on; `None` makes a figure.
    show
        Show the figure and return nothing.
    save
        Also write it to this path; the ending tells the format.

    Returns
    -------
    The axes, unless `show`.

    Raises
    ------
    InputError
        The table is empty, or `by` is not one of its groups.
    """
    from insignia.report import samples_figure

    return _axes(samples_figure, table, ax=ax, show=show, save=save, by=by, top=top, min_samples=min_samples)


def strata(
    table: "SampleTable",
    *,
    by: str = keys.DISEASE,
    top: int | None = 20,
    min_samples: int = 3,
    ax: "Axes | None" = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Axes | None":
    """Draw the mean fraction of hits of every group in every stratum, e.g. of every disease in every cell type.

    Parameters
    ----------
    table, by, top, min_samples
        As for `insignia.report.strata_figure`.
    ax, show, save
        As for `samples`.

    Returns
    -------
    The axes, unless `show`.

    Raises
    ------
    InputError
        The table has no strata, or is empty.
    """
    from insignia.report import strata_figure

    return _axes(strata_figure, table, ax=ax, show=show, save=save, by=by, top=top, min_samples=min_samples)


def completeness(
    adata: "AnnData",
    *,
    key: str = keys.ATTRIBUTION,
    ax: "Axes | None" = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Axes | None":
    """Draw how far the attributions of each cell miss the change of the score that they explain.

    Parameters
    ----------
    adata
        Attributed cells.
    key
        Name of the attribution layer.
    ax, show, save
        As for `samples`.

    Returns
    -------
    The axes, unless `show`.

    Raises
    ------
    MissingMetadata
        The cells have no completeness gap.
    """
    from insignia.report import completeness_figure

    return _axes(completeness_figure, adata, ax=ax, show=show, save=save, key=key)


def top_genes(
    adata: "AnnData",
    groupby: str,
    *,
    key: str = keys.RANK_GENES,
    n_genes: int = 6,
    layer: str | None = None,
    input_space: "InputSpace | None" = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Figure | None":
    """Draw the top genes of each group of cells: mean attribution beside mean expression.

    Parameters
    ----------
    adata, groupby, key, n_genes, layer, input_space
        As for `insignia.report.top_genes_figure`.
    show, save
        As for `samples`.

    Returns
    -------
    The figure, unless `show`.

    Raises
    ------
    MissingMetadata
        Genes were not ranked, or ranked by another column.
    """
    from insignia.report import top_genes_figure

    def draw(figure: "Figure") -> "Figure":
        return top_genes_figure(
            adata, groupby, key=key, n_genes=n_genes, layer=layer, input_space=input_space, figure=figure
        )

    return _finish(_on_new_figure(draw), show=show, save=save)


def stack(
    stack: "SectionStack",
    *,
    columns: int = 5,
    with_spots: bool = True,
    show: bool = False,
    save: str | Path | None = None,
) -> "Figure | None":
    """Draw serial sections in the common frame, and their outlines before and after registration.

    Parameters
    ----------
    stack, columns, with_spots
        As for `insignia.report.stack_figure`.
    show, save
        As for `samples`.

    Returns
    -------
    The figure, unless `show`.
    """
    from insignia.report import stack_figure

    def draw(figure: "Figure") -> "Figure":
        return stack_figure(stack, columns=columns, with_spots=with_spots, figure=figure)

    return _finish(_on_new_figure(draw), show=show, save=save)


def gene_maps(
    imputed: "AnnData",
    genes: Sequence[str],
    *,
    measured: "SectionStack | None" = None,
    sections: Sequence[str] | None = None,
    gene_symbols: str | None = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Figure | None":
    """Draw genes over serial sections: measured beside imputed, with the uncertainty.

    Parameters
    ----------
    imputed, genes, measured, sections, gene_symbols
        As for `insignia.report.gene_maps_figure`.
    show, save
        As for `samples`.

    Returns
    -------
    The figure, unless `show`.

    Raises
    ------
    GeneMatchError
        A gene was not imputed.
    """
    from insignia.report import gene_maps_figure

    def draw(figure: "Figure") -> "Figure":
        return gene_maps_figure(
            imputed, genes, measured=measured, sections=sections, gene_symbols=gene_symbols, figure=figure
        )

    return _finish(_on_new_figure(draw), show=show, save=save)


def stack_3d(
    adata: "AnnData",
    value: str,
    *,
    layer: str | None = None,
    ax: "Axes | None" = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Axes | None":
    """Draw a gene or a score through all sections of a stack, seen from the side.

    Parameters
    ----------
    adata, value, layer
        As for `insignia.report.stack_3d_figure`.
    ax, show, save
        As for `samples`.

    Returns
    -------
    The axes, unless `show`.

    Raises
    ------
    GeneMatchError
        Neither a gene nor a column is called `value`.
    """
    from insignia.report import stack_3d_figure

    return _axes(stack_3d_figure, adata, ax=ax, show=show, save=save, value=value, layer=layer)


def scoreboard(
    sections: "pd.DataFrame",
    *,
    metrics: Sequence[str] = ("pcc_mean", "skill"),
    show: bool = False,
    save: str | Path | None = None,
) -> "Figure | None":
    """Draw imputers beside their baselines, controls and what knows the truth.

    Parameters
    ----------
    sections, metrics
        As for `insignia.report.scoreboard_figure`.
    show, save
        As for `samples`.

    Returns
    -------
    The figure, unless `show`.

    Raises
    ------
    MissingMetadata
        A column is missing.
    """
    from insignia.report import scoreboard_figure

    def draw(figure: "Figure") -> "Figure":
        return scoreboard_figure(sections, metrics=metrics, figure=figure)

    return _finish(_on_new_figure(draw), show=show, save=save)


def _axes(
    draw: Callable[..., "Figure"],
    thing: Any,
    *,
    ax: "Axes | None",
    show: bool,
    save: str | Path | None,
    **options: Any,
) -> "Axes | None":
    if ax is None:
        figure = _on_new_figure(lambda figure: draw(thing, figure=figure, **options))
    else:
        figure = draw(thing, ax=ax, **options)
    return None if _finish(figure, show=show, save=save) is None else ax or figure.axes[0]


def _on_new_figure(draw: Callable[["Figure"], "Figure"]) -> "Figure":
    """Draw on a figure of pyplot, which notebooks show; a failure leaves none open."""
    from matplotlib import pyplot

    figure = pyplot.figure(layout="constrained", facecolor="white")
    try:
        return draw(figure)
    except BaseException:
        pyplot.close(figure)
        raise


def _finish(figure: "Figure", *, show: bool, save: str | Path | None) -> "Figure | None":
    from insignia.report import save_figure

    if save is not None:
        save_figure(figure, save)
    if not show:
        return figure
    from matplotlib import pyplot

    pyplot.show()
    return None
