"""Figures of screens: what stands out among many signatures, and what each gene adds."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from insignia.pl.drawing import axes_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from insignia.atlas import Contributions, ScreenComparison

__all__ = ["contributions", "volcano"]


def contributions(
    found: "Contributions",
    group: str | None = None,
    *,
    reference: str | None = None,
    top: int = 20,
    ax: "Axes | None" = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Axes | None":
    """Draw how much each gene adds to the mean score of a group, beside a reference.

    Parameters
    ----------
    found, group, reference, top
        As for `insignia.report.contributions_figure`.
    ax, show, save
        As for `samples`.

    Returns
    -------
    The axes, unless `show`.

    Raises
    ------
    InputError
        There is no such group.
    """
    from insignia.report import contributions_figure

    return axes_of(contributions_figure, found, ax=ax, show=show, save=save, group=group, reference=reference, top=top)


def volcano(
    comparison: "ScreenComparison",
    *,
    effect: str = "effect",
    group: str | None = None,
    stratum: str | None = None,
    n_labels: int = 12,
    highlight: Iterable[str] = (),
    title: str | None = None,
    ax: "Axes | None" = None,
    show: bool = False,
    save: str | Path | None = None,
) -> "Axes | None":
    """Draw the difference of every signature from the reference against its q-value.

    Parameters
    ----------
    comparison, effect, group, stratum, n_labels, highlight, title
        As for `insignia.report.volcano_figure`.
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
    from insignia.report import volcano_figure

    return axes_of(
        volcano_figure,
        comparison,
        ax=ax,
        show=show,
        save=save,
        effect=effect,
        group=group,
        stratum=stratum,
        n_labels=n_labels,
        highlight=highlight,
        title=title,
    )
