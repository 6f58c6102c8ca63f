"""What all plots share: a figure of pyplot, or given axes, shown and saved."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["axes_of", "new_figure"]


def axes_of(
    draw: Callable[..., "Figure"],
    thing: Any,
    *,
    ax: "Axes | None",
    show: bool,
    save: str | Path | None,
    **options: Any,
) -> "Axes | None":
    """Draw on some axes, or on those of a new figure; return them, unless the figure is shown."""
    if ax is None:
        figure = new_figure(draw, thing, show=show, save=save, **options)
        return None if figure is None else figure.axes[0]
    return None if _finish(draw(thing, ax=ax, **options), show=show, save=save) is None else ax


def new_figure(
    draw: Callable[..., "Figure"], *things: Any, show: bool, save: str | Path | None, **options: Any
) -> "Figure | None":
    """Draw on a figure of pyplot, which notebooks show; a failure leaves none open."""
    from matplotlib import pyplot

    figure = pyplot.figure(layout="constrained", facecolor="white")
    try:
        drawn = draw(*things, figure=figure, **options)
    except BaseException:
        pyplot.close(figure)
        raise
    return _finish(drawn, show=show, save=save)


def _finish(figure: "Figure", *, show: bool, save: str | Path | None) -> "Figure | None":
    from insignia.report import save_figure

    if save is not None:
        save_figure(figure, save)
    if not show:
        return figure
    from matplotlib import pyplot

    pyplot.show()
    return None
