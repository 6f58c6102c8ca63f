"""Figure of perturbations ranked by the signature that they move."""

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from insignia.core.errors import InputError
from insignia.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.perturb import SignatureRanking

__all__ = ["ranking_figure"]

_LEARNED, _UNSEEN, _BASELINE = style.INK, "#0072B2", "#a6a6a6"
_MARKS: Final = ("|", "x", "+", "^", "v", "D", "1", "2")
"""One a baseline, none of which is taken for a prediction or a measurement."""
_NAME_LETTERS: Final = 30
_LEGEND_COLUMNS: Final = 4


def ranking_figure(
    ranking: "SignatureRanking",
    *,
    top: int = 15,
    context: str | None = None,
    ax: "Axes | None" = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw the predicted change of a signature for the first perturbations of a ranking.

    Squares are predictions, blue where the model never saw the perturbation, with the interval where there is one, else
    the disagreement of the fits; rings are measured changes; what the baselines predict is grey, each with a mark of
    its own.

    Parameters
    ----------
    ranking
        What `insignia.perturb.rank` gave.
    top
        How many rows to show.
    context
        Which context; `None` takes the first.
    ax, figure
        Where to draw: axes, or an empty figure, which is resized. Neither makes a new figure.

    Raises
    ------
    InputError
        There is no row to draw, or no such context.
    """
    contexts = list(dict.fromkeys(ranking.table["context"]))
    where = contexts[0] if context is None and contexts else context
    rows = ranking.table[ranking.table["context"] == where].head(top)
    if top < 1 or not len(rows):
        raise InputError(f"There is nothing to draw of context {where!r}; the ranking has {', '.join(contexts)}.")
    ax = style.canvas(ax, figure, width=7.0, height=1.9 + 0.32 * len(rows) + 0.06 * len(ranking.baselines))
    ax.axvline(0, color=style.MUTED, linewidth=0.9)
    for place, row in enumerate(rows.to_dict("records")):
        _draw_row(ax, place, row, ranking.baselines)
    _label(ax, ranking, rows, str(where), several=len(contexts) > 1)
    style.use_fonts(ax)
    return style.figure_of(ax)


def _draw_row(ax: "Axes", place: int, row: dict[Any, Any], baselines: Sequence[str]) -> None:
    change, sd = float(row["change"]), float(row["sd"])
    low, high = float(row["low"]), float(row["high"])
    if not np.isfinite(low) and np.isfinite(sd):
        low, high = change - sd, change + sd
    colour = _LEARNED if row["learned"] else _UNSEEN
    if np.isfinite(low):
        ax.plot([low, high], [place, place], color=colour, linewidth=1.4, solid_capstyle="butt", alpha=0.7)
    for name, mark in zip(baselines, cycle(_MARKS), strict=False):
        ax.plot(row[name], place, mark, color=_BASELINE, zorder=1, **_size(mark))
    ax.plot(change, place, "s", color=colour, markersize=5.5)
    ax.plot(row["measured"], place, "o", markersize=8, markerfacecolor="none", markeredgecolor="#D55E00", zorder=3)


def _size(mark: str) -> dict[str, Any]:
    return {"markersize": 10 if mark == "|" else 7, "markeredgewidth": 2}


def _label(ax: "Axes", ranking: "SignatureRanking", rows: pd.DataFrame, where: str, *, several: bool) -> None:
    from matplotlib.lines import Line2D

    style.open_frame(ax, keep=("bottom",))
    fallback = ["" if status == "ok" else f" ({status})" for status in rows["status"]]
    names = [style.wrapped(name, _NAME_LETTERS, lines=1) for name in rows["condition"]]
    ax.set_yticks(range(len(rows)), [name + note for name, note in zip(names, fallback, strict=True)])
    ax.tick_params(axis="y", length=0, labelsize=style.TEXT)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(axis="x", color="#e3e3e3", linewidth=0.6)
    ax.set_axisbelow(True)
    held = ", less that of control genes" if ranking.n_controls else ""
    said = style.wrapped(f"Change of {ranking.signature}, mean log expression{held}", 80)
    ax.set_xlabel(said, fontsize=style.TEXT)
    way = "towards" if ranking.direction == "towards" else "away from"
    total = int((ranking.table["context"] == where).sum())
    title = f"{len(rows)} of {total} perturbations, most {way} {ranking.signature} first"
    ax.set_title(
        style.wrapped(title + (f", {where}" if several else ""), 70),
        loc="left",
        fontsize=style.TITLE,
        fontweight="bold",
        color=style.INK,
    )
    shown = [("s", _UNSEEN, "predicted, never seen")] if not rows["learned"].all() else []
    shown += [("s", _LEARNED, "predicted, learned from")] if rows["learned"].any() else []
    handles = [Line2D([], [], marker=mark, color=colour, linestyle="", label=text) for mark, colour, text in shown]
    if rows["measured"].notna().any():
        handles.append(
            Line2D([], [], marker="o", markerfacecolor="none", color="#D55E00", linestyle="", label="measured")
        )
    handles += [
        Line2D(
            [], [], marker=mark, color=_BASELINE, linestyle="", label=style.wrapped(name, 24, lines=1), **_size(mark)
        )
        for name, mark in zip(ranking.baselines, cycle(_MARKS), strict=False)
    ]
    ax.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        borderaxespad=5.0 + 1.6 * said.count("\n"),
        ncols=_LEGEND_COLUMNS,
        frameon=False,
        fontsize=style.SMALL,
        handletextpad=0.2,
        columnspacing=1.2,
    )
