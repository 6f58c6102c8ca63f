"""Figure of perturbed cells as distributions: controls, what was measured, and what was predicted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from insignia.core.errors import InputError, MissingMetadata
from insignia.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["cells_figure"]

_NEEDED: Final = ("condition", "kind", "effect", "across")
_CONTROL, _MEASURED = "control", "measured"
_MOST_POINTS: Final = 150
_GRID: Final = 200


def cells_figure(
    cells: pd.DataFrame,
    *,
    conditions: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw how cells are spread: one row a condition, points on the left and densities along the effect on the right.

    The horizontal axis of both is the place of a cell along the measured effect, which is 0 for the mean control cell;
    cells that escaped the perturbation stay there. Up to 150 cells of each kind are drawn as points.

    Parameters
    ----------
    cells
        One row a cell: ``condition``, ``kind`` (control, measured, or the name of a method), ``effect`` and ``across``,
        as in the `cells` of a view of predictions.
    conditions
        Conditions to draw; `None` takes all.
    methods
        Up to three methods; `None` takes the first three of the table.
    figure
        An empty figure to draw in, which is resized; `None` makes one.

    Raises
    ------
    MissingMetadata
        A column is missing.
    InputError
        There is nothing to draw, or a condition or method is not in the table.
    """
    kept, kinds = _checked(cells, conditions, methods)
    height = 0.95 + 1.95 * len(kept)
    if figure is None:
        figure = style.new_figure(6.9, height)
    else:
        figure.set_size_inches(6.9, height)
        figure.set_layout_engine("constrained")
    axes = figure.subplots(len(kept), 2, squeeze=False, sharex="row", width_ratios=[1, 1.25])
    for row, condition in zip(axes, kept, strict=True):
        part = cells[cells["condition"] == condition]
        _points(row[0], part, kinds)
        _densities(row[1], part, kinds)
        row[0].set_title(
            style.wrapped(condition, 40, lines=1), loc="left", fontsize=style.TEXT, fontweight="bold", pad=5
        )
    axes[-1][0].set_xlabel("along the measured effect", fontsize=style.SMALL)
    axes[-1][1].set_xlabel("along the measured effect", fontsize=style.SMALL)
    _keys(figure, kinds)
    for ax in axes.ravel():
        style.use_fonts(ax)
    return figure


def _checked(
    cells: pd.DataFrame, conditions: Sequence[str] | None, methods: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    missing = [name for name in _NEEDED if name not in cells]
    if missing:
        raise MissingMetadata(
            f"The table has no column {missing[0]!r}; it needs {', '.join(_NEEDED)} and holds: "
            f"{', '.join(map(str, cells.columns))}."
        )
    there = list(dict.fromkeys(cells["condition"]))
    kinds = list(dict.fromkeys(cells["kind"]))
    if not there:
        raise InputError("The table has no cells to draw.")
    known = [kind for kind in kinds if kind not in (_CONTROL, _MEASURED)]
    for what, wanted, found in (("condition", conditions, there), ("method", methods, known)):
        if absent := [name for name in wanted or () if name not in found]:
            raise InputError(f"There is no {what} {absent[0]!r} with cells; there are {', '.join(found)}.")
    shown = list(known[:3] if methods is None else methods)
    if len(shown) > 3:
        raise InputError(f"Up to three methods can be told apart, found {len(shown)}.")
    return list(conditions or there), [*(kind for kind in (_CONTROL, _MEASURED) if kind in kinds), *shown]


def _look(kind: str, kinds: Sequence[str]) -> tuple[str, str, object, float]:
    """Colour, marker, dashes and width of a kind of cells."""
    if kind == _CONTROL:
        return "#9a9a9a", "v", (0, (1, 1.5)), 1.4
    if kind == _MEASURED:
        return style.INK, "o", "solid", 2.0
    place = [name for name in kinds if name not in (_CONTROL, _MEASURED)].index(kind)
    marks = (("s", "solid"), ("^", (0, (5, 2))), ("D", (0, (3, 1.5, 1, 1.5))))
    return style.DISTINCT[place], marks[place][0], marks[place][1], 1.8


def _points(ax: "Axes", part: pd.DataFrame, kinds: Sequence[str]) -> None:
    for kind in kinds:
        own = part[part["kind"] == kind]
        own = own.iloc[np.unique(np.linspace(0, len(own) - 1, min(len(own), _MOST_POINTS)).astype(int))]
        colour, marker, _, _ = _look(kind, kinds)
        ax.scatter(own["effect"], own["across"], s=9, marker=marker, color=colour, alpha=0.45, linewidth=0, zorder=2)
    style.open_frame(ax)
    ax.set_ylabel("beside it", fontsize=style.SMALL)
    ax.locator_params(nbins=5)


def _densities(ax: "Axes", part: pd.DataFrame, kinds: Sequence[str]) -> None:
    values = {kind: part.loc[part["kind"] == kind, "effect"].to_numpy(dtype=float) for kind in kinds}
    low, high = (float(f(np.concatenate(list(values.values())))) for f in (np.min, np.max))
    margin = 0.15 * (high - low) or 1.0
    grid = np.linspace(low - margin, high + margin, _GRID)
    for kind, found in values.items():
        if len(found) < 2:
            continue
        colour, _, dashes, width = _look(kind, kinds)
        density = _density(found, grid)
        ax.plot(grid, density, color=colour, linestyle=dashes, linewidth=width, zorder=3)
        if kind in (_CONTROL, _MEASURED):
            ax.fill_between(grid, density, color=colour, alpha=0.12, linewidth=0, zorder=1)
    style.open_frame(ax, keep=("bottom",))
    ax.set_yticks([])
    ax.set_ylim(bottom=0)
    ax.set_ylabel("density", fontsize=style.SMALL)
    ax.locator_params(axis="x", nbins=6)


def _density(values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Take a Gaussian kernel density with Silverman's width."""
    low, high = np.percentile(values, [25, 75])
    spread = min(float(values.std(ddof=1)), float(high - low) / 1.34) or float(values.std(ddof=1)) or 1e-3
    width = 0.9 * spread * len(values) ** -0.2
    kernel = np.exp(-0.5 * ((grid[:, None] - values[None, :]) / width) ** 2)
    density: np.ndarray = kernel.mean(axis=1) / (width * np.sqrt(2 * np.pi))
    return density


def _keys(figure: "Figure", kinds: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for kind in kinds:
        colour, marker, dashes, width = _look(kind, kinds)
        handles.append(
            Line2D([], [], color=colour, linestyle=dashes, linewidth=width, marker=marker, markersize=4)  # type: ignore[arg-type]
        )
    names = [style.wrapped(kind, 26, lines=1) for kind in kinds]
    figure.legend(
        handles, names, loc="outside upper left", ncols=min(4, len(kinds)), frameon=False, fontsize=style.SMALL,
        handlelength=2.6,
    )  # fmt: skip
