"""Volcano plot of a screen: how large each difference is against how sure."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from insignia.core.errors import InputError
from insignia.report import style
from insignia.report.label_places import name_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.atlas import ScreenComparison

__all__ = ["volcano_figure"]

_EFFECTS: Final = {
    "effect": "Difference (standard deviations of donors)",
    "shift": "Difference of mean scores",
    "cliffs_delta": "Cliff's delta",
}
_REST: Final = "#b9b9b9"
_RING: Final = "#D55E00"
_NAME_LETTERS: Final = 32
_MOST_GROUPS: Final = 6


def volcano_figure(
    comparison: "ScreenComparison",
    *,
    effect: str = "effect",
    group: str | None = None,
    stratum: str | None = None,
    n_labels: int = 12,
    highlight: Iterable[str] = (),
    title: str | None = None,
    ax: "Axes | None" = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw every signature's difference from the reference against its q-value.

    Above the dashed line q is at or below the level; these points have the colour and the shape of their group, all
    others are grey. The leading ones are named, where there is room. Rows that cannot be tested have no q and are
    counted below the title.

    Parameters
    ----------
    comparison
        What `Screen.compare` gave.
    effect
        What the horizontal axis shows: ``"effect"``, ``"shift"`` or ``"cliffs_delta"``.
    group, stratum
        Draw the rows of one group or stratum only.
    n_labels
        How many points to name at most.
    highlight
        Signatures, or genes, to ring and to name among the leading ones, called or not.
    title
        `None` says how many signatures are compared with what.
    ax, figure
        Where to draw: axes, or an empty figure, which is resized. Neither makes a new figure.

    Raises
    ------
    InputError
        There is nothing to draw, or `effect`, `group`, `stratum` or something to highlight is not in the table.
    """
    rows, n_untested = _rows(comparison, effect, group, stratum)
    rows = rows.assign(ringed=rows["signature"].isin(_there(comparison, highlight)))
    own = ax is None
    ax = style.canvas(ax, figure, width=6.6, height=4.9)
    figure = style.figure_of(ax)
    entries = _draw(ax, rows, comparison.alpha)
    _frame(ax, rows, comparison, effect)
    heading = (
        f"{style.count(rows['signature'].nunique(), 'signature')} by {comparison.by}, against {comparison.reference}"
    )
    _title(ax, rows, comparison.alpha, n_untested, title or heading)
    if entries:
        _legend(ax, entries, beside=own)
    style.use_fonts(ax)
    # names need to know where the axes are
    figure.draw_without_rendering()
    _name(ax, rows, n_labels)
    return figure


def _rows(
    comparison: "ScreenComparison", effect: str, group: str | None, stratum: str | None
) -> tuple[pd.DataFrame, int]:
    if effect not in _EFFECTS:
        raise InputError(f"effect is one of {', '.join(_EFFECTS)}; found {effect!r}.")
    table = comparison.table
    for column, wanted in (("group", group), ("stratum", stratum)):
        if wanted is not None and wanted not in set(table[column]):
            there = ", ".join(sorted(table[column].unique())[:12])
            raise InputError(f"There is no {column} {wanted!r} in the comparison; there are {there}.")
        table = table if wanted is None else table[table[column] == wanted]
    known = table["q"].notna() & np.isfinite(table[effect])
    if not known.any():
        raise InputError("No row of the comparison could be tested, so there is nothing to draw.")
    rows = table[known].reset_index(drop=True)
    # q is shared by neighbours in rank: among equal ones the larger effect leads
    height = -np.log10(np.maximum(rows["q"].to_numpy(), 1e-300))
    rows = rows.assign(x=rows[effect], y=height, called=rows["q"] <= comparison.alpha)
    order = np.lexsort((-rows["x"].abs(), rows["q"]))
    return rows.iloc[order].reset_index(drop=True), int((~known).sum())


def _there(comparison: "ScreenComparison", highlight: Iterable[str]) -> list[str]:
    """Give what to highlight, refusing what was not compared."""
    wanted = [highlight] if isinstance(highlight, str) else list(highlight)
    if absent := sorted(set(wanted) - set(comparison.table["signature"])):
        raise InputError(f"{', '.join(absent[:5])} cannot be highlighted: not in the comparison.")
    return wanted


def _draw(ax: "Axes", rows: pd.DataFrame, alpha: float) -> list[tuple[str, str, str]]:
    """Draw the points; return name, colour and marker of each group with a called one."""
    n = len(rows)
    size = 26 if n < 200 else 18 if n < 2_000 else 11
    ringed = rows[rows["ringed"]]
    if len(ringed):
        ax.scatter(ringed["x"], ringed["y"], s=2 * size, facecolor="none", edgecolor=_RING, linewidth=1.1, zorder=4)
    rest = rows[~rows["called"]]
    ax.scatter(rest["x"], rest["y"], s=0.7 * size, color=_REST, linewidth=0, alpha=0.7, zorder=2, rasterized=n > 5_000)
    called = rows[rows["called"]]
    frequent = called["group"].value_counts().sort_index().sort_values(ascending=False, kind="stable").index.tolist()
    shown = frequent if len(frequent) <= _MOST_GROUPS else frequent[: _MOST_GROUPS - 1]
    looks = [(name, style.DISTINCT[k], style.MARKERS[k], called["group"] == name) for k, name in enumerate(shown)]
    if len(shown) < len(frequent):
        others = f"{len(frequent) - len(shown)} other groups"
        looks.append((others, style.INK, "h", ~called["group"].isin(shown)))
    for _, colour, marker, here in looks:
        area = size * style.AREAS.get(marker, 1.0)
        ax.scatter(
            called.loc[here, "x"], called.loc[here, "y"], s=area, color=colour, marker=marker, edgecolor="white",
            linewidth=0.4, zorder=3, rasterized=n > 5_000,
        )  # fmt: skip
    ax.axhline(-np.log10(alpha), color=style.MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    ax.axvline(0, color=style.MUTED, linewidth=0.8, zorder=1)
    return [(str(name), colour, marker) for name, colour, marker, _ in looks]


def _frame(ax: "Axes", rows: pd.DataFrame, comparison: "ScreenComparison", effect: str) -> None:
    reach = 1.15 * float(rows["x"].abs().max()) or 1.0
    top = max(float(rows["y"].max()), -np.log10(comparison.alpha))
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-0.03 * top, 1.14 * top)
    style.open_frame(ax)
    ax.set_xlabel(_EFFECTS[effect], fontsize=style.TEXT, color=style.INK)
    ax.set_ylabel("\N{MINUS SIGN}log₁₀ q", fontsize=style.TEXT, color=style.INK)
    ax.annotate(
        f"q = {comparison.alpha:g}",
        (1, -np.log10(comparison.alpha)),
        xycoords=ax.get_yaxis_transform(),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=style.SMALL,
        color=style.MUTED,
    )


def _title(ax: "Axes", rows: pd.DataFrame, alpha: float, n_untested: int, title: str) -> None:
    called = int(rows["called"].sum())
    said = f"{called:,} of {style.count(len(rows), 'comparison')} at q ≤ {alpha:g}, donors as units"
    if rows["ringed"].any():
        said += f"; {int(rows['ringed'].sum()):,} ringed"
    if n_untested:
        said += f"; {n_untested:,} not testable"
    # small axes break their lines earlier
    points = 72 * ax.get_position().width * style.figure_of(ax).get_size_inches()[0]
    said = style.wrapped(said, max(24, int(points / 3.9)))
    ax.set_title(
        style.wrapped(title, max(16, int(points / 6.2))),
        loc="left",
        fontsize=style.TITLE,
        fontweight="bold",
        color=style.INK,
        pad=8 + 10 * (said.count("\n") + 1),
    )
    ax.annotate(
        said, (0, 1), xycoords="axes fraction", xytext=(0, 5), textcoords="offset points", fontsize=style.SMALL,
        color=style.MUTED, annotation_clip=False,
    )  # fmt: skip


def _legend(ax: "Axes", entries: list[tuple[str, str, str]], *, beside: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker=marker, linewidth=0, color=colour, markeredgecolor="white", markersize=6)
        for _, colour, marker in entries
    ]
    names = [style.wrapped(name, 30, lines=2) for name, *_ in entries]
    where: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if beside else {"loc": "lower right"}
    ax.legend(
        handles, names, fontsize=style.SMALL, frameon=False, borderaxespad=0, handletextpad=0.2, alignment="left",
        **where,
    )  # fmt: skip


def _name(ax: "Axes", rows: pd.DataFrame, n_labels: int) -> None:
    leading = rows[rows["called"] | rows["ringed"]].head(max(0, n_labels))
    if not len(leading):
        return
    strata = rows["stratum"].nunique() > 1
    names = [
        f"{_short(name)} · {_short(layer)}" if strata else _short(name)
        for name, layer in zip(leading["signature"], leading["stratum"], strict=True)
    ]
    others = rows.drop(index=leading.index)[["x", "y"]].to_numpy()
    name_points(ax, leading[["x", "y"]].to_numpy(), names, avoid=others)


def _short(name: str) -> str:
    """Cut a name short, also one without blanks, as those of gene sets are."""
    return name if len(name) <= _NAME_LETTERS else f"{name[: _NAME_LETTERS - 1]}…"
