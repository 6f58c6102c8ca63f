"""Figure of predicted against measured effects of perturbations, gene by gene."""

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from insignia.core.errors import InputError, MissingMetadata
from insignia.report import style
from insignia.report.label_places import name_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["effects_figure"]

_NEEDED: Final = ("condition", "method", "gene", "measured", "predicted")
_PANEL: Final = 2.35


def effects_figure(
    effects: pd.DataFrame,
    *,
    methods: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    columns: int = 3,
    n_genes: int = 6,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw the predicted change of every gene against the measured one, one panel a condition.

    The first method is drawn in colour, a second one in grey behind it. On the diagonal a prediction is right; the
    genes that changed most, or by their ``score`` most surely, are named.

    Parameters
    ----------
    effects
        One row a condition, method and gene, with ``measured`` and ``predicted``, as in the `effects` of a view of
        predictions.
    methods
        One or two methods; `None` takes the first two of the table.
    conditions
        Conditions to draw; `None` takes all.
    columns
        Panels in a row.
    n_genes
        Genes to name in each panel.
    figure
        An empty figure to draw in, which is resized; `None` makes one.

    Raises
    ------
    MissingMetadata
        A column is missing.
    InputError
        There is nothing to draw, or a method or condition is not in the table.
    """
    table, shown, kept = _checked(effects, methods, conditions)
    n_columns = min(columns, len(kept))
    n_rows = ceil(len(kept) / n_columns)
    width, height = max(0.35 + _PANEL * n_columns, 3.4), 0.75 + (_PANEL + 0.3) * n_rows
    if figure is None:
        figure = style.new_figure(width, height)
    else:
        figure.set_size_inches(width, height)
        figure.set_layout_engine("constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax, condition in zip(axes, kept, strict=False):
        _draw(ax, table[table["condition"] == condition], shown)
        _title(ax, table[table["condition"] == condition], condition, shown)
    for ax in axes[len(kept) :]:
        ax.set_axis_off()
    _keys(figure, shown)
    figure.supxlabel("measured change of mean log expression", fontsize=style.TEXT)
    figure.supylabel("predicted change", fontsize=style.TEXT)
    # names need to know where the axes are
    figure.draw_without_rendering()
    for ax, condition in zip(axes, kept, strict=False):
        _name(ax, table[table["condition"] == condition], shown[0], n_genes)
        style.use_fonts(ax)
    return figure


def _checked(
    effects: pd.DataFrame, methods: Sequence[str] | None, conditions: Sequence[str] | None
) -> tuple[pd.DataFrame, list[str], list[str]]:
    missing = [name for name in _NEEDED if name not in effects]
    if missing:
        raise MissingMetadata(
            f"The table has no column {missing[0]!r}; it needs {', '.join(_NEEDED)} and holds: "
            f"{', '.join(map(str, effects.columns))}."
        )
    table = effects[np.isfinite(effects["predicted"]) & np.isfinite(effects["measured"])]
    if not len(table):
        raise InputError("The table has no predicted effect to draw.")
    there = {"method": list(dict.fromkeys(table["method"])), "condition": list(dict.fromkeys(table["condition"]))}
    for what, wanted in (("method", methods), ("condition", conditions)):
        if absent := [name for name in wanted or () if name not in there[what]]:
            raise InputError(f"There is no {what} {absent[0]!r} with effects; there are {', '.join(there[what])}.")
    shown = list(methods or there["method"][:2])
    if len(shown) > 2:
        raise InputError(f"One or two methods can be told apart in a panel, found {len(shown)}.")
    return table, shown, list(conditions or there["condition"])


def _of(part: pd.DataFrame, method: str) -> pd.DataFrame:
    own = part[part["method"] == method]
    return own.groupby("gene", sort=False, observed=True)[
        [name for name in ("measured", "predicted", "score") if name in own]
    ].mean()


def _draw(ax: "Axes", part: pd.DataFrame, methods: Sequence[str]) -> None:
    own = part[part["method"].isin(methods)]
    values = own[["measured", "predicted"]].to_numpy()
    reach = 1.08 * float(np.abs(values).max()) if len(values) else 1.0
    reach = reach or 1.0
    ax.plot([-reach, reach], [-reach, reach], color=style.MUTED, linewidth=0.8, zorder=1)
    ax.axhline(0, color=style.PALE, linewidth=0.8, zorder=0)
    ax.axvline(0, color=style.PALE, linewidth=0.8, zorder=0)
    looks = (("o", style.DISTINCT[0], 0.75, 3, 11), ("s", "#a8a8a8", 0.6, 2, 8))
    for method, (marker, colour, alpha, order, size) in zip(methods, looks, strict=False):
        genes = _of(part, method)
        ax.scatter(
            genes["measured"],
            genes["predicted"],
            s=size,
            marker=marker,
            color=colour,
            alpha=alpha,
            linewidth=0,
            zorder=order,
        )
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.set_box_aspect(1)
    style.open_frame(ax)
    ax.locator_params(nbins=5)


def _title(ax: "Axes", part: pd.DataFrame, condition: str, methods: Sequence[str]) -> None:
    stratum = f" ({part['stratum'].iloc[0]})" if "stratum" in part and len(part) else ""
    name = style.wrapped(f"{condition}{stratum}", 34, lines=1)
    ax.set_title(name, loc="left", fontsize=style.SMALL + 0.5, fontweight="bold", pad=15)
    words = ", ".join(f"{style.wrapped(method, 18, lines=1)} {_agreement(_of(part, method))}" for method in methods)
    ax.annotate(
        style.wrapped(words, 44, lines=1), (0, 1), xycoords="axes fraction", xytext=(0, 4), textcoords="offset points",
        fontsize=style.SMALL - 1, color=style.MUTED, annotation_clip=False,
    )  # fmt: skip


def _agreement(genes: pd.DataFrame) -> str:
    if not len(genes):
        return "no answer"
    if min(np.ptp(genes["predicted"]), np.ptp(genes["measured"])) < 1e-9:
        return "no change"
    return f"r = {float(np.corrcoef(genes['measured'], genes['predicted'])[0, 1]):.2f}"


def _keys(figure: "Figure", methods: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    looks = (("o", style.DISTINCT[0]), ("s", "#a8a8a8"))
    handles = [
        Line2D([], [], marker=marker, color="none", markerfacecolor=colour, markeredgewidth=0, markersize=5)
        for _, (marker, colour) in zip(methods, looks, strict=False)
    ]
    names = [style.wrapped(name, 40, lines=1) for name in methods]
    figure.legend(
        handles, names, loc="outside upper left", ncols=2, frameon=False, fontsize=style.SMALL, handletextpad=0.2
    )


def _name(ax: "Axes", part: pd.DataFrame, method: str, n_genes: int) -> None:
    genes = _of(part, method)
    if not len(genes) or not n_genes:
        return
    by = genes["measured"].abs() if "score" not in genes else genes["score"].abs() * genes["measured"].abs()
    top = genes.loc[by.sort_values(ascending=False, kind="stable").index[:n_genes]]
    rest = genes.drop(index=top.index)[["measured", "predicted"]].to_numpy()
    points, names = top[["measured", "predicted"]].to_numpy(), list(map(str, top.index))
    name_points(ax, points, names, avoid=rest)
