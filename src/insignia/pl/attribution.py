"""Figures of attributed cells."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from insignia.core import keys
from insignia.pl.drawing import axes_of, new_figure

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.atlas import Contributions
    from insignia.data import InputSpace
    from insignia.genes import Signature

__all__ = ["attribution_dots", "compare_scores", "completeness", "top_genes"]


def attribution_dots(
    things: "AnnData | Contributions",
    genes: "str | Signature | Sequence[str] | None" = None,
    groupby: str = keys.CELL_TYPE,
    *,
    key: str = keys.ATTRIBUTION,
    top: int | None = 30,
    layer: str | None = None,
    input_space: "InputSpace | None" = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Figure | None":
    """Draw the attribution of genes in groups of cells beside their expression, as dots.

    Parameters
    ----------
    things, genes, groupby, key, top, layer, input_space
        As for `insignia.report.attribution_dots_figure`.
    show, save
        As for `samples`.

    Returns
    -------
    The figure, unless `show`.

    Raises
    ------
    MissingMetadata
        The cells have no such column, or were not attributed.
    GeneMatchError
        None of the genes is there.
    """
    from insignia.report import attribution_dots_figure

    return new_figure(
        attribution_dots_figure,
        things,
        genes,
        groupby,
        key=key,
        top=top,
        layer=layer,
        input_space=input_space,
        show=show,
        save=save,
    )


def compare_scores(
    adata: "AnnData", key: str, *, show: bool = False, save: str | Path | None = None
) -> "Figure | None":
    """Draw how several scores of one signature agree, and how well each tells marked cells from the rest.

    Parameters
    ----------
    adata, key
        As for `insignia.report.compare_scores_figure`.
    show, save
        As for `samples`.

    Returns
    -------
    The figure, unless `show`.

    Raises
    ------
    MissingMetadata
        The scores were not compared.
    """
    from insignia.report import compare_scores_figure

    return new_figure(compare_scores_figure, adata, key, show=show, save=save)


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

    return axes_of(completeness_figure, adata, ax=ax, show=show, save=save, key=key)


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

    return new_figure(
        top_genes_figure,
        adata,
        groupby,
        key=key,
        n_genes=n_genes,
        layer=layer,
        input_space=input_space,
        show=show,
        save=save,
    )
