"""Figures of an atlas: samples, groups and strata."""

from pathlib import Path
from typing import TYPE_CHECKING

from insignia.core import keys
from insignia.pl.drawing import axes_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from insignia.atlas import Comparison, SampleTable

__all__ = ["forest", "samples", "strata"]


def forest(
    comparison: "Comparison",
    *,
    top: int | None = 15,
    ax: "Axes | None" = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Axes | None":
    """Draw how much more often donors of each group are hit than those of the reference.

    Parameters
    ----------
    comparison, top
        As for `insignia.report.forest_figure`.
    ax, show, save
        As for `samples`.

    Returns
    -------
    The axes, unless `show`.

    Raises
    ------
    InputError
        There is nothing to draw.
    """
    from insignia.report import forest_figure

    return axes_of(forest_figure, comparison, ax=ax, show=show, save=save, top=top)


def samples(
    table: "SampleTable",
    *,
    by: str = keys.DISEASE,
    top: int | None = 12,
    min_samples: int = 3,
    comparison: "Comparison | None" = None,
    ax: "Axes | None" = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Axes | None":
    """Draw the fraction of hits in every sample, one row for each group, the highest mean on top.

    Parameters
    ----------
    table, by, top, min_samples, comparison
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
        The table is empty, `by` is not one of its groups, or the comparison is of other groups.
    """
    from insignia.report import samples_figure

    return axes_of(
        samples_figure,
        table,
        ax=ax,
        show=show,
        save=save,
        by=by,
        top=top,
        min_samples=min_samples,
        comparison=comparison,
    )


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

    return axes_of(strata_figure, table, ax=ax, show=show, save=save, by=by, top=top, min_samples=min_samples)
