"""Figure of predictors of perturbations beside their baselines, controls and the ceiling, stratum by stratum."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from insignia.core.errors import InputError, MissingMetadata
from insignia.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["prediction_scores_figure"]

_ROLES: Final[Mapping[str, tuple[str, str, str]]] = {
    "method": ("Methods", style.DISTINCT[0], "o"),
    "baseline": ("Baselines", style.DISTINCT[1], "s"),
    "control": ("Controls", "#8a8a8a", "v"),
    "ceiling": ("Another measurement", style.DISTINCT[2], "D"),
}
_TITLES: Final = {
    "l2": "Distance of means",
    "l2_top1000": "Distance of means, top 1,000",
    "mse": "Squared error",
    "pearson_delta": "Correlation of effects",
    "pearson_from_mean": "Correlation beyond the mean",
    "edistance": "Energy distance of cells",
    "wasserstein_effect": "Wasserstein along the effect",
    "pds_l1": "Told apart from others",
    "weighted_r2": "Weighted R\u00b2",
    "mmd": "MMD of cells",
}
_LOWER_IS_BETTER: Final = (
    "l2", "l2_top1000", "mse", "wmse", "edistance", "edistance_sq", "mmd", "wasserstein_effect", "responders_off",
)  # fmt: skip


def prediction_scores_figure(
    summary: pd.DataFrame,
    *,
    metrics: Sequence[str] = ("l2", "pearson_from_mean", "edistance"),
    strata: Sequence[str] | None = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw every method with its interval: one block a stratum, one column a figure, the best on top within its role.

    Parameters
    ----------
    summary
        Indexed by (stratum, role, method), with each figure, its ``_low`` and ``_high``, as in the summary of a
        scoreboard.
    metrics
        Figures to draw.
    strata
        Strata to draw, in this order; `None` takes all.
    figure
        An empty figure to draw in, which is resized; `None` makes one.

    Raises
    ------
    MissingMetadata
        A column is missing.
    InputError
        There is nothing to draw, or a role or stratum is unknown.
    """
    table, kept = _checked(summary, metrics, strata)
    table = _joined_silent(table, metrics)
    blocks = {stratum: _rows(table[table["stratum"] == stratum], metrics[0]) for stratum in kept}
    names = [_name(name) for rows in blocks.values() for _, name in rows]
    label = 0.3 + 0.064 * max(len(line) for name in [*names, *kept] for line in name.split("\n"))
    heights = [_places(rows)[-1] + 2.6 for rows in blocks.values()]
    width, height = label + 2.1 * len(metrics) + 0.2, 1.0 + 0.17 * sum(heights) + 0.1 * len(kept)
    if figure is None:
        figure = style.new_figure(width, height)
    else:
        figure.set_size_inches(width, height)
        figure.set_layout_engine("constrained")
    axes = figure.subplots(len(kept), len(metrics), squeeze=False, sharex="col", sharey="row", height_ratios=heights)
    for line, (stratum, rows) in zip(axes, blocks.items(), strict=True):
        part = table[table["stratum"] == stratum].set_index(["role", "method"])
        for ax, metric in zip(line, metrics, strict=True):
            _draw(ax, part, rows, metric)
        _label(line[0], rows, stratum, int(part["n"].max()) if "n" in part else None)
    for ax, metric in zip(axes[0], metrics, strict=True):
        better = "lower is better" if metric in _LOWER_IS_BETTER else "higher is better"
        title = style.wrapped(_TITLES.get(metric, metric.replace("_", " ")), 24, lines=2)
        ax.set_title(title, loc="left", fontsize=style.TEXT, fontweight="bold", pad=16)
        ax.annotate(
            better, (0, 1), xycoords="axes fraction", xytext=(0, 5), textcoords="offset points",
            fontsize=style.SMALL - 0.5, color=style.MUTED, annotation_clip=False,
        )  # fmt: skip
    note = "lines: intervals of 95 % over conditions; dashed: best baseline; shaded: another measurement of the same"
    figure.supxlabel(style.wrapped(note, int(15 * width)), fontsize=style.SMALL, color=style.MUTED, x=0.01, ha="left")
    for ax in axes.ravel():
        style.use_fonts(ax)
    return figure


def _checked(
    summary: pd.DataFrame, metrics: Sequence[str], strata: Sequence[str] | None
) -> tuple[pd.DataFrame, list[str]]:
    table = summary.reset_index()
    wanted = ("stratum", "role", "method", *metrics)
    if missing := [name for name in wanted if name not in table]:
        raise MissingMetadata(
            f"The table has no column {missing[0]!r}; it needs {', '.join(wanted)} and holds: "
            f"{', '.join(map(str, summary.reset_index().columns))}."
        )
    if unknown := sorted(set(table["role"]) - set(_ROLES)):
        raise InputError(f"A role is one of {', '.join(_ROLES)}; found {unknown[0]!r}.")
    there = list(dict.fromkeys(table["stratum"]))
    if absent := [name for name in strata or () if name not in there]:
        raise InputError(f"There is no stratum {absent[0]!r}; there are {', '.join(map(str, there))}.")
    if not there or not metrics:
        raise InputError("The table has no rows to draw, or no figure was named.")
    return table, list(strata or there)


def _joined_silent(table: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Put those of a role that have no answer in a stratum into one row."""
    silent = table[list(metrics)].isna().all(axis=1)
    keys = ["stratum", "role"]
    joined = table[silent].groupby(keys, sort=False, observed=True)["method"].agg(", ".join).reset_index()
    return pd.concat([table[~silent], joined.assign(**({"n": 0} if "n" in table else {}))], ignore_index=True)


def _rows(part: pd.DataFrame, metric: str) -> list[tuple[str, str]]:
    """(role, method), the roles in order and the best first within each; those without an answer last."""
    signed = part[metric] * (1 if metric in _LOWER_IS_BETTER else -1)
    ranked = part.assign(_by=signed).sort_values("_by", kind="stable", na_position="last")
    return [
        (role, name)
        for known in _ROLES
        for role, name in zip(ranked["role"], ranked["method"], strict=True)
        if role == known
    ]


def _places(rows: Sequence[tuple[str, str]]) -> np.ndarray:
    """Heights of the rows, with room for the name of each role above its first, and for names of two lines."""
    tall = [0.35 * _name(name).count("\n") for _, name in rows]
    steps = [2.1 + tall[0]]
    for (before, now), room in zip(pairwise(rows), pairwise(tall), strict=True):
        steps.append((2.0 if now[0] != before[0] else 1.0) + sum(room))
    return np.cumsum(steps)


def _name(name: str) -> str:
    return style.wrapped(name.replace("_", " "), 30, lines=2)


def _draw(ax: "Axes", part: pd.DataFrame, rows: Sequence[tuple[str, str]], metric: str) -> None:
    for y, (role, name) in zip(_places(rows), rows, strict=True):
        _, colour, marker = _ROLES[role]
        value, low, high = (float(part[c].get((role, name), np.nan)) if c in part else np.nan for c in _columns(metric))
        if np.isnan(value):
            ax.annotate(
                "no value", (0, y), xycoords=ax.get_yaxis_transform(), xytext=(4, 0), textcoords="offset points",
                va="center", fontsize=style.SMALL - 1, color=style.MUTED, zorder=5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
            continue
        if np.isfinite(low):
            ax.plot([low, high], [y, y], color=colour, linewidth=1.5, alpha=0.75, solid_capstyle="butt", zorder=3)
        area = 30 * style.AREAS.get(marker, 1.0)
        ax.scatter(value, y, s=area, marker=marker, facecolor=colour, edgecolor="white", linewidth=0.6, zorder=4)
    _guides(ax, part, rows, metric)
    style.open_frame(ax, keep=("bottom",))
    ax.grid(axis="x", color=style.PALE, linewidth=0.8, zorder=0)
    ax.set_axisbelow(True)
    ax.locator_params(axis="x", nbins=5)
    ax.tick_params(axis="x", labelsize=style.SMALL, labelbottom=True)
    ax.tick_params(axis="y", length=0, labelsize=style.SMALL + 0.5)


def _columns(metric: str) -> tuple[str, str, str]:
    return metric, f"{metric}_low", f"{metric}_high"


def _guides(ax: "Axes", part: pd.DataFrame, rows: Sequence[tuple[str, str]], metric: str) -> None:
    """Shade what another measurement reaches, and dash the best baseline that answers as much as any."""
    ceilings = [row for row in rows if row[0] == "ceiling"]
    if ceilings and f"{metric}_low" in part:
        low, high = (float(part[c].get(ceilings[0], np.nan)) for c in _columns(metric)[1:])
        if np.isfinite(low):
            ax.axvspan(low, high, color=_ROLES["ceiling"][1], alpha=0.12, linewidth=0, zorder=0)
    answers = part["n"] if "n" in part else pd.Series(1, index=part.index)
    values = [float(part[metric][row]) for row in rows if row[0] == "baseline" and answers[row] == answers.max()]
    finite = [value for value in values if np.isfinite(value)]
    if finite:
        best = min(finite) if metric in _LOWER_IS_BETTER else max(finite)
        ax.axvline(best, color=_ROLES["baseline"][1], linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)


def _label(ax: "Axes", rows: Sequence[tuple[str, str]], stratum: str, n: int | None) -> None:
    places = _places(rows)
    ax.set_yticks(places, [_name(name) for _, name in rows])
    ax.set_ylim(places[-1] + 0.7, 0.0)
    title = f"{stratum}" + (f", {style.count(n, 'condition')}" if n is not None else "")
    heads = [(0.15, title, style.INK, style.TEXT)]
    for place, (role, _), before in zip(places, rows, [("", ""), *rows], strict=False):
        if role != before[0]:
            heads.append((place - 0.95, _ROLES[role][0], _ROLES[role][1], style.SMALL))
    for place, words, colour, size in heads:
        ax.annotate(
            style.plain(words), (0, place), xycoords=ax.get_yaxis_transform(), xytext=(-3.5, 0),
            textcoords="offset points", ha="right", va="center", fontsize=size, fontweight="bold", color=colour,
            annotation_clip=False,
        )  # fmt: skip
