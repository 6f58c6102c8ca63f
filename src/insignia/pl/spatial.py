"""Figures of serial sections, and of how well they were imputed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from insignia.pl.drawing import axes_of, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.data import SectionStack

__all__ = ["gene_maps", "scoreboard", "stack", "stack_3d"]


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

    return new_figure(stack_figure, stack, columns=columns, with_spots=with_spots, show=show, save=save)


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
        A gene was not imputed, nor is it a signature that was scored.
    """
    from insignia.report import gene_maps_figure

    return new_figure(
        gene_maps_figure,
        imputed,
        genes,
        measured=measured,
        sections=sections,
        gene_symbols=gene_symbols,
        show=show,
        save=save,
    )


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

    return axes_of(stack_3d_figure, adata, ax=ax, show=show, save=save, value=value, layer=layer)


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

    return new_figure(scoreboard_figure, sections, metrics=metrics, show=show, save=save)
