"""Figures of atlas searches: hits by sample, and over cell types or other strata."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.report import style
from insignia.report.sample_groups import SampleGroups

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.atlas import Comparison, SampleTable

__all__ = ["samples_figure"]

_FEW_FOR_BOX: Final = 3
_BOX: Final = "#d9e4ee"
_BAND: Final = "#f6e7c8"
_MEAN: Final[dict[str, Any]] = {
    "marker": "d",
    "markersize": 6,
    "color": style.INK,
    "markeredgecolor": "white",
    "linewidth": 0,
}
_REST: Final = "#b5b5b5"


def samples_figure(
    table: "SampleTable",
    *,
    by: str = keys.DISEASE,
    top: int | None = 12,
    min_samples: int = 3,
    comparison: "Comparison | None" = None,
    ax: "Axes | None" = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw the fraction of hits in every sample, one row for each group, the highest mean on top.

    Groups stand in the order of `SampleTable.summary`: those with fewer than `min_samples` samples come last, greyed.
    Boxes span the quartiles with a line at the median, and a diamond marks the mean. Colours and shapes are studies;
    beyond ten, the most frequent nine have their own and the others are grey. The dashed line is the fraction of hits
    over all scored cells of the search.

    Parameters
    ----------
    table
        Hits per sample, or per donor after `SampleTable.pool_donors`.
    by
        Column that forms groups: ``"disease"``, ``"tissue"``, ``"study"``, ...
    top
        How many groups to show; `None` shows all.
    min_samples
        Groups with fewer samples are marked.
    comparison
        What `SampleTable.compare` found: a band spans the quartiles of the reference, and each group has its q.
    ax, figure
        Where to draw: axes, or an empty figure, which is resized. Neither makes a new figure.

    Raises
    ------
    InputError
        The table is empty, `by` is not one of its groups, or the comparison is of other groups.
    """
    groups = SampleGroups.of(table, by, top, min_samples, comparison)
    pitch = 0.23 + 0.135 * max(name.count("\n") + 1 for name in groups.names)
    n_entries = 5 + min(len(style.DISTINCT), len({study for rows in groups.members for study in rows[keys.STUDY]}))
    height = max(1.9 + pitch * len(groups.members), 0.9 + 0.165 * n_entries)
    ax = style.canvas(ax, figure, width=7.4 if comparison is None else 7.9, height=height)
    limit = _limit(groups.members)
    _draw_bands(ax, groups)
    _draw_boxes(ax, groups)
    entries = _draw_points(ax, groups, limit)
    _label_rows(ax, groups)
    _label_axes(ax, groups, limit)
    _draw_legend(ax, entries, groups)
    style.use_fonts(ax)
    return style.figure_of(ax)


def _fractions(samples: pd.DataFrame) -> np.ndarray:
    values: np.ndarray = samples["fraction"].to_numpy(dtype=np.float64)
    finite: np.ndarray = values[np.isfinite(values)]
    return finite


def _limit(members: list[pd.DataFrame]) -> float:
    """Right end of the axis: a round number above all fractions."""
    largest = max((values.max() for values in map(_fractions, members) if values.size), default=0.0)
    return next(end for end in (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if largest <= 0.97 * end or end == 1.0)


def _draw_bands(ax: "Axes", groups: SampleGroups) -> None:
    from matplotlib.patches import Rectangle

    for row, band in enumerate(groups.reference_bands()):
        if band is not None:
            place = (band[0], row - 0.5)
            ax.add_patch(Rectangle(place, band[1] - band[0], 1.0, facecolor=_BAND, linewidth=0, zorder=0.5))


def _draw_boxes(ax: "Axes", groups: SampleGroups) -> None:
    for row, (samples, enough) in enumerate(zip(groups.members, groups.summary["enough"], strict=True)):
        values = _fractions(samples)
        if not enough:
            ax.axhspan(row - 0.5, row + 0.5, color=style.PALE, zorder=0, linewidth=0)
        if not values.size:
            continue
        if enough and values.size >= _FEW_FOR_BOX:
            low, middle, high = np.percentile(values, [25, 50, 75])
            ax.barh(row, high - low, left=low, height=0.62, color=_BOX, edgecolor=style.MUTED, linewidth=0.7)
            ax.vlines(middle, row - 0.31, row + 0.31, color=style.INK, linewidth=1.4, zorder=2.5)
            # on the edge of the box, where it hides no point
            ax.plot(values.mean(), row + 0.31, zorder=5, **_MEAN)


def _draw_points(ax: "Axes", groups: SampleGroups, limit: float) -> list[tuple[str, str, str]]:
    """Draw one point for each sample; return name, colour and marker of each legend entry."""
    places = []
    for row, samples in enumerate(groups.members):
        seen = samples[np.isfinite(samples["fraction"].to_numpy(dtype=np.float64))]
        offsets = style.swarm(seen["fraction"].to_numpy(dtype=np.float64), span=limit)
        places.append(pd.DataFrame({"x": seen["fraction"], "y": row + offsets, "study": seen[keys.STUDY]}))
    points = pd.concat(places, ignore_index=True)
    frequent = points["study"].value_counts().sort_index().sort_values(ascending=False, kind="stable").index.tolist()
    named = frequent if len(frequent) <= len(style.DISTINCT) else frequent[: len(style.DISTINCT) - 1]
    size = 26 if len(points) < 150 else 14 if len(points) < 600 else 7
    rest = points[~points["study"].isin(named)]
    entries = []
    if len(rest):
        ax.scatter(rest["x"], rest["y"], s=size, color=_REST, edgecolor="white", linewidth=0.4, zorder=3)
    for study, colour, marker in zip(named, style.DISTINCT, style.MARKERS, strict=False):
        here = points[points["study"] == study]
        area = size * style.AREAS.get(marker, 1.0)
        ax.scatter(
            here["x"], here["y"], s=area, color=colour, marker=marker, edgecolor="white", linewidth=0.4, zorder=4
        )
        entries.append((str(study), colour, marker))
    if len(rest):
        entries.append((f"{len(frequent) - len(named)} other studies", _REST, "o"))
    return entries


def _label_rows(ax: "Axes", groups: SampleGroups) -> None:
    """Write the name of each group at its row, and below it, smaller, how many samples it has."""
    ax.set_yticks(range(len(groups.members)), [""] * len(groups.members))
    ax.set_ylim(len(groups.members) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    for row, (name, size, enough) in enumerate(zip(groups.names, groups.sizes, groups.summary["enough"], strict=True)):
        style.row_label(ax, row, name, size, color=style.INK if enough else style.MUTED)


def _label_axes(ax: "Axes", groups: SampleGroups, limit: float) -> None:
    from matplotlib.ticker import PercentFormatter

    about = groups.table.about
    style.open_frame(ax, keep=("bottom",))
    ax.set_xlim(-0.012 * limit, 1.012 * limit)
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if limit > 0.05 else 1, symbol=" %"))
    ax.grid(axis="x", color="#e3e3e3", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set_xlabel(f"Hits among the scored cells of a {groups.unit}", fontsize=style.TEXT, color=style.INK)
    scored = about["cells"] - about["unscored"]
    if scored:
        ax.axvline(about["hits"] / scored, color=style.INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=2)
    shown = len(groups.members)
    which = f"{shown} of {groups.n_all} groups by {groups.by}" if shown < groups.n_all else f"by {groups.by}"
    ax.set_title(
        style.wrapped(f"{about['signature']}: hits per {groups.unit}, {which}", 80),
        loc="left",
        fontsize=style.TITLE,
        fontweight="bold",
        color=style.INK,
        pad=8 + 10.5 * (called(about).count("\n") + 1),
    )
    style.note_above(ax, called(about))


def called(about: Mapping[str, Any], width: int = 100) -> str:
    """Say how hits were called: rule, cut-off, and the cells it was taken from."""
    settings = ", ".join(f"{name} = {value:g}" for name, value in about["params"].items())
    rule = f"{about['rule']} ({settings})" if settings else about["rule"]
    return style.wrapped(f"Hit: score above {about['cutoff']}, rule {rule}, taken from {about['reference']}", width)


def _draw_legend(ax: "Axes", entries: list[tuple[str, str, str]], groups: SampleGroups) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    sizes = [5.5 * style.AREAS.get(marker, 1.0) ** 0.5 for _, _, marker in entries]
    studies = [
        Line2D([], [], color=colour, marker=marker, linewidth=0, markersize=size, markeredgecolor="white")
        for (_, colour, marker), size in zip(entries, sizes, strict=True)
    ]
    shapes = [
        Patch(facecolor=_BOX, edgecolor=style.MUTED, linewidth=0.7),
        Line2D([], [], color=style.INK, linewidth=1.4),
        Line2D([], [], **_MEAN),
        Line2D([], [], color=style.INK, linewidth=0.9, linestyle=(0, (4, 3))),
    ]
    about = groups.table.about
    scored = about["cells"] - about["unscored"]
    overall = style.percent(about["hits"] / scored) if scored else "no value"
    names = ["quartiles", "median", "mean (ranks the rows)", f"all scored cells ({overall})"]
    if groups.comparison is not None and any(groups.reference_bands()):
        shapes.append(Patch(facecolor=_BAND))
        names.append(style.wrapped(f"quartiles of {groups.comparison.reference}", 30, lines=1))
    names += [style.wrapped(name, 26, lines=1) for name, _, _ in entries]
    legend = ax.legend(
        [*shapes, *studies],
        ["."] * len(names),
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        fontsize=style.SMALL,
        frameon=False,
        borderaxespad=0,
        labelspacing=0.45,
        handlelength=1.6,
    )
    # set afterwards, as a legend drops names that begin with "_"
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
