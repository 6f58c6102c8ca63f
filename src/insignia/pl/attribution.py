"""Figures of attributed cells."""

from pathlib import Path
from typing import TYPE_CHECKING

from insignia.core import keys
from insignia.pl.drawing import axes_of, new_figure

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.data import InputSpace

__all__ = ["completeness", "top_genes"]


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
