"""Figure of imputers beside their baselines, controls and oracles."""

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

__all__ = ["scoreboard_figure"]

_ROLES: Final[Mapping[str, tuple[str, str, str]]] = {
    "imputer": ("Imputers", style.DISTINCT[0], "o"),
    "baseline": ("Baselines", style.DISTINCT[1], "s"),
    "control": ("Controls", "#8a8a8a", "v"),
    "oracle": ("Know the truth", style.DISTINCT[2], "D"),
}
_TITLES: Final = {
    "pcc_mean": "Correlation per gene",
    "pcc_median": "Correlation per gene, median",
    "pcc_above_0.2": "Genes with correlation > 0.2",
    "skill": "Skill over the known mean",
    "mse": "Squared error",
    "mae": "Absolute error",
    "width": "Width of intervals",
    "per_spot_pcc": "Correlation per spot",
    "per_spot_pcc_of_mean": "Correlation per spot of the mean",
    "coverage": "Coverage of intervals",
    "variance_ratio": "Variance, predicted / measured",
}
_LOWER_IS_BETTER: Final = ("mae", "mse", "width")
_NEEDED: Final = ("role", "method", "sample", "section")


def scoreboard_figure(
    sections: pd.DataFrame,
    *,
    metrics: Sequence[str] = ("pcc_mean", "skill"),
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw how well every method did: small marks are sections or samples, the large one is their mean.

    One row a method, best on top within imputers, baselines, controls and what knows the truth; one column a figure.
    Values are averaged over seeds, and with several samples over the sections of each, so that a mark is one sample.
    Lines span a standard deviation to either side. Dashed: the best baseline.

    Parameters
    ----------
    sections
        One row a method, sample, section and seed, with the columns ``role``, ``method``, ``sample`` and ``section``,
        as in the `sections` of an evaluation.
    metrics
        Columns to draw.
    figure
        An empty figure to draw in, which is resized; `None` makes one.

    Raises
    ------
    MissingMetadata
        A column is missing.
    InputError
        There is nothing to draw.
    """
    _check(sections, metrics)
    units = _units(sections, metrics)
    rows = _rows(units, metrics[0])
    names = {method: style.wrapped(method, 30, lines=2) for _, method in rows}
    label = 0.3 + 0.068 * max(len(line) for name in names.values() for line in name.split("\n"))
    width = label + 2.35 * len(metrics) + 0.2
    figure = _sized(figure, width, 1.05 + 0.3 * (len(rows) + 0.6 * len({role for role, _ in rows})) + 0.35)
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    places = _places(rows)
    for ax, metric in zip(axes, metrics, strict=True):
        _draw(ax, units, rows, places, metric)
    _label(axes, rows, places, names)
    for ax, metric in zip(axes, metrics, strict=True):
        ax.set_title(_TITLES.get(metric, metric), loc="left", fontsize=style.TITLE, fontweight="bold", pad=6)
    note = f"small marks: {_unit(sections)}s; large: their mean; lines: \u00b1 1 sd; dashed: best baseline"
    figure.supxlabel(style.wrapped(note, int(15 * width)), fontsize=style.SMALL, color=style.MUTED, x=0.01, ha="left")
    for ax in axes:
        style.use_fonts(ax)
    return figure


def _check(sections: pd.DataFrame, metrics: Sequence[str]) -> None:
    missing = [name for name in (*_NEEDED, *metrics) if name not in sections]
    if missing:
        raise MissingMetadata(
            f"The table has no column {missing[0]!r}; it needs {', '.join((*_NEEDED, *metrics))} and holds: "
            f"{', '.join(map(str, sections.columns))}."
        )
    if unknown := sorted(set(sections["role"]) - set(_ROLES)):
        raise InputError(f"A role is one of {', '.join(_ROLES)}; found {unknown[0]!r}.")
    if "per_spot_pcc" in metrics and "per_spot_pcc_of_mean" not in metrics:
        raise InputError(
            "The per-spot correlation is dominated by differences between genes, which a mean profile has as well. "
            "Draw 'per_spot_pcc_of_mean' beside it."
        )
    if not len(sections) or not len(metrics):
        raise InputError("The table has no rows to draw, or no metric was named.")


def _unit(sections: pd.DataFrame) -> str:
    return "sample" if sections["sample"].nunique() > 1 else "section"


def _units(sections: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Average to one row a method and section, or a method and sample if there are several."""
    method = ["role", "method"]
    place = [*method, "sample", *(["known"] if "known" in sections else []), "section"]
    # seeds first, then sections, then the choices of what is known, so that each counts the same
    table = sections.groupby(place, sort=False, observed=True)[list(metrics)].mean()
    if _unit(sections) == "sample" and "known" in sections:
        table = table.groupby([*method, "sample", "known"], sort=False).mean()
    return table.groupby([*method, _unit(sections)], sort=False).mean()


def _rows(units: pd.DataFrame, metric: str) -> list[tuple[str, str]]:
    """(role, method), the roles in order, and the highest mean first within each."""
    means = units[metric].groupby(["role", "method"], sort=False).mean()
    if metric in _LOWER_IS_BETTER:
        means = -means
    ranked = means.sort_values(ascending=False, kind="stable", na_position="last").index
    return [(role, method) for known in _ROLES for role, method in ranked if role == known]


def _places(rows: list[tuple[str, str]]) -> np.ndarray:
    """Heights of the rows, with room between the roles."""
    steps = [0.0] + [1.6 if now[0] != before[0] else 1.0 for before, now in pairwise(rows)]
    return np.cumsum(steps)


def _sized(figure: "Figure | None", width: float, height: float) -> "Figure":
    if figure is None:
        return style.new_figure(width, height)
    figure.set_size_inches(width, height)
    figure.set_layout_engine("constrained")
    return figure


def _draw(ax: "Axes", units: pd.DataFrame, rows: list[tuple[str, str]], places: np.ndarray, metric: str) -> None:
    spread = float(np.nanmax(units[metric]) - np.nanmin(units[metric])) if units[metric].notna().any() else 1.0
    for y, (role, method) in zip(places, rows, strict=True):
        _, colour, marker = _ROLES[role]
        values = _values(units, role, method, metric)
        if not values.size:
            ax.annotate(
                "no value",
                (0, y),
                xycoords=ax.get_yaxis_transform(),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=style.SMALL - 0.5,
                color=style.MUTED,
            )
            continue
        if values.size > 1:
            reach = float(values.std(ddof=1))
            ax.plot([values.mean() - reach, values.mean() + reach], [y, y], color=colour, linewidth=1.4, zorder=2)
        offsets = style.swarm(values, span=spread, width=0.28)
        ax.scatter(values, y + offsets, s=9, marker=marker, color=colour, alpha=0.45, linewidth=0, zorder=3)
        area = 46 * style.AREAS.get(marker, 1.0)
        ax.scatter(
            values.mean(), y, s=area, marker=marker, facecolor=colour, edgecolor="white", linewidth=0.7, zorder=4
        )
    found = [_values(units, *row, metric) for row in rows if row[0] == "baseline"]
    baselines = [float(values.mean()) for values in found if values.size]
    if baselines:
        best = min(baselines) if metric in _LOWER_IS_BETTER else max(baselines)
        ax.axvline(best, color=_ROLES["baseline"][1], linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    if metric in ("pcc_mean", "pcc_median", "skill"):
        ax.axvline(0, color=style.MUTED, linewidth=0.8, zorder=1)


def _values(units: pd.DataFrame, role: str, method: str, metric: str) -> np.ndarray:
    """Find the values of one method that are numbers."""
    is_own = (units.index.get_level_values("role") == role) & (units.index.get_level_values("method") == method)
    values: np.ndarray = units.loc[is_own, metric].to_numpy(dtype=np.float64)
    finite: np.ndarray = values[np.isfinite(values)]
    return finite


def _label(axes: Sequence["Axes"], rows: list[tuple[str, str]], places: np.ndarray, names: Mapping[str, str]) -> None:
    from matplotlib.ticker import MaxNLocator

    for ax in axes:
        style.open_frame(ax, keep=("bottom",))
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        ax.grid(axis="x", color=style.PALE, linewidth=0.8, zorder=0)
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0, labelsize=style.TEXT)
    axes[0].set_yticks(places, [names[method] for _, method in rows])
    axes[0].set_ylim(places[-1] + 0.6, -1.0)
    for tick, (role, _) in zip(axes[0].get_yticklabels(), rows, strict=True):
        tick.set_color(style.MUTED if role == "control" else style.INK)
    for place, (role, _), before in zip(places, rows, [("", ""), *rows], strict=False):
        if role != before[0]:
            axes[0].annotate(
                _ROLES[role][0],
                (0, place - 0.72),
                xycoords=axes[0].get_yaxis_transform(),
                xytext=(-3.5, 0),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=style.SMALL,
                fontweight="bold",
                color=_ROLES[role][1],
                annotation_clip=False,
            )
