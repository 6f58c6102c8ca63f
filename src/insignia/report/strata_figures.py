"""Heat map of hits over groups and strata, e.g. disease x cell type."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from insignia.core import keys
from insignia.core.errors import InputError
from insignia.report import style
from insignia.report.atlas_figures import called

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.atlas import SampleTable

__all__ = ["strata_figure"]


def strata_figure(
    table: "SampleTable",
    *,
    by: str = keys.DISEASE,
    top: int | None = 20,
    min_samples: int = 3,
    ax: "Axes | None" = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw the mean fraction of hits of every group in every stratum, with the number of samples in each field.

    Rows are groups, the one with the highest field on top, and columns are strata in alphabetical order. Fields with
    fewer than `min_samples` samples are hatched and do not rank; those without samples are blank.

    Parameters
    ----------
    table
        Hits per sample and stratum, from ``hits.by_sample("cell_type")``.
    by
        Column that forms groups: ``"disease"``, ``"tissue"``, ...
    top
        How many groups to show; `None` shows all.
    min_samples
        Fields with fewer samples are marked.
    ax, figure
        Where to draw: axes, or an empty figure, which is resized. Neither makes a new figure.

    Raises
    ------
    InputError
        The table has no strata, or is empty.
    """
    if table.stratum is None:
        raise InputError("This table has no strata; make it with hits.by_sample('cell_type'), or draw samples_figure.")
    if not len(table.table):
        raise InputError("The table has no samples to draw; see table.excluded for the reasons.")
    summary = table.summary(by, min_samples=min_samples)
    ranking = summary.assign(rank=summary["mean_fraction"].where(summary["enough"], -1.0)).groupby(by)["rank"].max()
    # by name first, then a stable sort: equal groups stay in alphabetical order
    rows = ranking.sort_index().sort_values(ascending=False, kind="stable").index[:top]
    columns = sorted(summary["stratum"].unique())
    fields = summary.set_index([by, "stratum"])
    names = [style.wrapped(name, 34) for name in rows]
    lines = max(2, *(name.count("\n") + 1 for name in names))
    height = 1.5 + 0.05 * min(34, max(map(len, columns))) + len(rows) * (0.08 + 0.14 * lines)
    ax = style.canvas(ax, figure, width=3.6 + 0.62 * len(columns), height=height)
    limit = float(np.nanmax([0.01, *summary.loc[summary["enough"], "mean_fraction"]]))
    _draw_fields(ax, fields, list(rows), columns, limit)
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(rows)), names)
    ax.set_xticks(range(len(columns)), [style.wrapped(name, 34, lines=1) for name in columns], rotation=40)
    for tick in ax.get_xticklabels():
        tick.set(ha="left", va="bottom", rotation_mode="anchor")
    some = f" ({len(rows)} of {len(ranking)})" if len(rows) < len(ranking) else ""
    _label(ax, table, f"{by}{some} and {table.stratum.replace('_', ' ')}", min_samples)
    style.use_fonts(ax)
    return style.figure_of(ax)


def _draw_fields(ax: "Axes", fields: pd.DataFrame, rows: list[str], columns: list[str], limit: float) -> None:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle
    from matplotlib.ticker import PercentFormatter

    colours = ScalarMappable(Normalize(0, limit), colormaps["YlGnBu"])
    for y, group in enumerate(rows):
        for x, stratum in enumerate(columns):
            if (group, stratum) not in fields.index:
                continue
            field: Any = fields.loc[(group, stratum)]
            known = bool(np.isfinite(field["mean_fraction"]))
            face = colours.to_rgba(field["mean_fraction"]) if known and field["enough"] else (1.0, 1.0, 1.0, 1.0)
            hatch = None if field["enough"] else "////"
            ax.add_patch(
                Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=face, edgecolor="#cfcfcf", hatch=hatch, linewidth=0.8)
            )
            is_dark = 0.3 * face[0] + 0.59 * face[1] + 0.11 * face[2] < 0.5
            ax.text(
                x,
                y,
                f"{style.percent(field['mean_fraction'])}\n{field['samples']}",
                ha="center",
                va="center",
                fontsize=style.SMALL - 0.5,
                color="white" if is_dark else style.INK if field["enough"] else style.MUTED,
                bbox=None if field["enough"] else {"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    bar = style.figure_of(ax).colorbar(
        colours, ax=ax, shrink=min(1.0, 3 / len(rows)), aspect=14, pad=0.02, anchor=(0, 1)
    )
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if limit > 0.05 else 1, symbol=" %"))
    bar.ax.tick_params(labelsize=style.SMALL)
    bar.outline.set_visible(False)


def _label(ax: "Axes", table: "SampleTable", which: str, min_samples: int) -> None:
    about = table.about
    style.open_frame(ax, keep=())
    ax.tick_params(length=0, labelsize=style.TEXT)
    title = f"{about['signature']}: mean fraction of hits by {which}"
    note = f"Below each: samples; hatched: fewer than {min_samples}. {called(about, width=200)}"
    ax.set_title(style.wrapped(title, 60), loc="left", fontsize=style.TITLE, fontweight="bold", pad=10)
    ax.set_xlabel(
        style.wrapped(note, 26 + 10 * len(ax.get_xticks()), lines=5),
        fontsize=style.SMALL,
        color=style.MUTED,
        loc="left",
    )
