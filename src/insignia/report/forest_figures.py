"""Forest plot of a comparison: how much more often donors of each group are hit than those of the reference."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from insignia.core.errors import InputError
from insignia.report import style
from insignia.report.style import count, p_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.atlas import Comparison

__all__ = ["forest_figure"]

_NAME_LETTERS: Final = 34
_SIGNIFICANT, _OTHER, _UNTESTED = "#0072B2", style.INK, "#a6a6a6"


def forest_figure(
    comparison: "Comparison", *, top: int | None = 15, ax: "Axes | None" = None, figure: "Figure | None" = None
) -> "Figure":
    """Draw the shift of each group against the reference, with its interval, q-value and size.

    Groups come in the order of the table, the most significant first. Those with q at or below the level are blue, and
    those that cannot be tested grey, with the reason in place of a q-value.

    Parameters
    ----------
    comparison
        What `SampleTable.compare` gave.
    top
        How many rows to show; `None` shows all.
    ax, figure
        Where to draw: axes, or an empty figure, which is resized. Neither makes a new figure.

    Raises
    ------
    InputError
        There is no row to draw.
    """
    if top is not None and top < 1:
        raise InputError(f"top is how many rows to show, at least 1; found {top}.")
    rows = comparison.table.head(top or len(comparison.table))
    if not len(rows):
        raise InputError(f"There is no group but {comparison.reference!r}, so there is nothing to draw.")
    pitch = 0.16 + 0.135 * max(_name(row).count("\n") + 1 for row in rows.to_dict("records"))
    ax = style.canvas(ax, figure, width=7.4, height=1.7 + pitch * len(rows))
    limits = _limits(rows)
    ax.axvline(0, color=style.MUTED, linewidth=0.9)
    for place, row in enumerate(rows.to_dict("records")):
        _draw_row(ax, place, row, comparison.alpha)
    _label(ax, comparison, rows, limits)
    style.use_fonts(ax)
    return style.figure_of(ax)


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    ends = rows[["low", "high", "shift"]].to_numpy(dtype=np.float64)
    low, high = min(0.0, np.nanmin(ends, initial=0.0)), max(0.0, np.nanmax(ends, initial=0.0))
    margin = 0.06 * (high - low) or 0.05
    return float(low - margin), float(high + margin)


def _draw_row(ax: "Axes", place: int, row: dict[Any, Any], alpha: float) -> None:
    called = row["testable"] and row["q"] <= alpha
    colour = _SIGNIFICANT if called else _OTHER if row["testable"] else _UNTESTED
    if np.isfinite(row["shift"]):
        ax.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
        ax.plot(row["shift"], place, "s", color=colour, markersize=5 + min(4.0, row["donors"] / 8))
    else:
        ax.text(0, place, " no study has both groups", fontsize=style.SMALL, color=style.MUTED, va="center")
    size = f"{count(row['donors'], 'donor')}, {count(row['studies'], 'study')}"
    if row["studies_with_both"] < row["studies"]:
        size += f" ({row['studies_with_both']} with both)"
    ink = style.INK if row["testable"] else style.MUTED
    style.row_label(ax, place, _name(row), size, color=ink)
    ax.annotate(
        _verdict(row),
        (1, place),
        xycoords=ax.get_yaxis_transform(),
        xytext=(6, 0),
        textcoords="offset points",
        fontsize=style.SMALL,
        fontweight="bold" if called else "normal",
        color=colour if row["testable"] else style.MUTED,
        va="center",
        annotation_clip=False,
    )


def _verdict(row: dict[Any, Any]) -> str:
    if row["testable"]:
        return f"q = {p_value(row['q'])}"
    if row["mean_fraction"] == row["reference_fraction"] == 0:
        return "no hits to compare"
    return f"not testable (p ≥ {p_value(row['smallest_p'])})"


def _name(row: dict[Any, Any]) -> str:
    names = row["group"] if row["stratum"] == "all" else f"{row['group']} · {row['stratum']}"
    return style.wrapped(names, _NAME_LETTERS)


def _label(ax: "Axes", comparison: "Comparison", rows: pd.DataFrame, limits: tuple[float, float]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    style.open_frame(ax, keep=("bottom",))
    ax.set_yticks(range(len(rows)), [""] * len(rows))
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(*limits)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _points(x)))
    ax.grid(axis="x", color="#e3e3e3", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel("Difference in the share of hits, percentage points, within studies", fontsize=style.TEXT)
    which = "" if len(rows) == len(comparison.table) else f", {len(rows)} of {len(comparison.table)} rows"
    ax.set_title(
        style.wrapped(f"{comparison.by} against {comparison.reference}, by donor{which}", 80),
        loc="left",
        fontsize=style.TITLE,
        fontweight="bold",
        color=style.INK,
    )


def _points(share: float) -> str:
    return f"{100 * share:+.3g}".replace("-", "\N{MINUS SIGN}") if abs(share) > 1e-12 else "0"
