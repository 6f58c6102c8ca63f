"""Figure of one signature scored in several ways: how the scores agree, and how well each tells marked cells."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from insignia.core.errors import MissingMetadata
from insignia.report import style

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["compare_scores_figure"]

_CELL_INCHES: Final = 0.42
_SPREAD: Final = 0.26
_SHUFFLED: Final = "#b5b5b5"


def compare_scores_figure(adata: "AnnData", key: str, *, figure: "Figure | None" = None) -> "Figure":
    """Draw the rank correlations of several scores of a signature and, with labels, their AUROC in every donor.

    Methods stand in the order of their mean AUROC, or of their mean correlation with the others. In the right panel
    each dot is a donor, the diamond their mean, and grey dots are the same with shuffled labels; the line is chance.

    Parameters
    ----------
    adata
        Cells that `insignia.tl.compare_scores` scored.
    key
        Entry of `uns` that it wrote.
    figure
        An empty figure to draw on, which is resized; `None` makes a new one.

    Raises
    ------
    MissingMetadata
        The entry is absent, or was not written by `compare_scores`.
    """
    facts = _facts(adata, key)
    table, said = facts.get("auroc"), ""
    methods = _ordered(facts["spearman"], table)
    side = _CELL_INCHES * len(methods)
    widths = [max(side, 2.1), *([2.6] if table is not None else [])]
    width, height = sum(widths) + 1.9, side + 1.75
    figure = style.new_figure(width, height) if figure is None else figure
    figure.set_size_inches(width, height)
    axes = figure.subplots(1, len(widths), squeeze=False, sharey=True, gridspec_kw={"width_ratios": widths})[0]
    _draw_correlations(axes[0], facts["spearman"].loc[methods, methods].to_numpy(dtype=np.float64), methods)
    if table is not None:
        said = style.wrapped(f"{', '.join(facts['positive'])} against the rest", 44)
        _draw_aurocs(axes[1], table, methods)
        style.note_above(axes[1], said)
    axes[0].set_title(
        style.wrapped(f"{facts['signature']}: {style.count(len(methods), 'score')}", int(9.5 * sum(widths))),
        loc="left",
        fontsize=style.TITLE,
        fontweight="bold",
        color=style.INK,
        pad=8 + 11 * (1 if table is None else said.count("\n") + 1),
    )
    style.note_above(axes[0], "Spearman's correlation over cells")
    for ax in axes:
        style.use_fonts(ax)
    return figure


def _facts(adata: "AnnData", key: str) -> dict[str, Any]:
    facts: Any = adata.uns.get(key)
    if not isinstance(facts, dict) or not {"spearman", "signature"} <= set(facts):
        raise MissingMetadata(
            f"adata.uns has no scores side by side under {key!r}; it has {list(adata.uns)[:10]}. "
            "Run ins.tl.compare_scores(adata, signature) first."
        )
    return facts


def _ordered(correlations: pd.DataFrame, table: pd.DataFrame | None) -> list[str]:
    """Methods, the best first."""
    worth = correlations.mean() if table is None else table.groupby("method")["auroc"].mean()
    return [str(name) for name in worth.sort_values(ascending=False, kind="stable").index]


def _draw_correlations(ax: "Axes", values: np.ndarray, methods: list[str]) -> None:
    from insignia.genes.scorers import scorers

    ax.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        said = (
            f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}") if np.isfinite(value) else "–"
        )
        ink = "white" if abs(value) > 0.65 else style.INK
        ax.text(column, row, said, ha="center", va="center", fontsize=style.SMALL, color=ink)
    labels = [scorers[name].label if name in scorers else name for name in methods]
    places = range(len(methods))
    ax.set_xticks(places, labels, rotation=90)
    ax.set_yticks(places, labels)
    ax.tick_params(length=0, labelsize=style.SMALL + 0.5, labelcolor=style.INK)
    for spine in ax.spines.values():
        spine.set_visible(False)
    for edge in range(len(methods) - 1):
        ax.axhline(edge + 0.5, color="white", linewidth=1)
        ax.axvline(edge + 0.5, color="white", linewidth=1)


def _draw_aurocs(ax: "Axes", table: pd.DataFrame, methods: list[str]) -> None:
    known = table.dropna(subset="auroc")
    low = min(0.4, float(known[["auroc", "shuffled"]].to_numpy().min()) - 0.03)
    for row, name in enumerate(methods):
        here = known[known["method"] == name]
        steps = np.linspace(-1, 1, len(here)) if len(here) > 1 else np.zeros(len(here))
        ax.scatter(here["shuffled"], row + 0.5 * _SPREAD * steps, s=11, color=_SHUFFLED, zorder=2)
        ax.scatter(here["auroc"], row + _SPREAD * steps, s=15, color=style.DISTINCT[0], alpha=0.75, zorder=3)
        mean = here["auroc"].mean()
        ax.plot(mean, row, "d", color=style.INK, markersize=6, markeredgecolor="white", zorder=4)
        ax.annotate(
            f"{mean:.2f}",
            (1, row),
            xycoords=ax.get_yaxis_transform(),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=style.SMALL,
            color=style.INK,
            annotation_clip=False,
        )
    ax.axvline(0.5, color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    ax.set_xlim(low, 1.02)
    style.open_frame(ax, keep=("bottom",))
    ax.tick_params(axis="y", length=0, labelleft=False)
    ax.grid(axis="x", color="#e3e3e3", linewidth=0.6)
    ax.set_axisbelow(True)
    donors = known["donor"].nunique()
    within = f"AUROC within {style.count(donors, 'donor')}" if donors > 1 else "AUROC"
    ax.set_xlabel(f"{within}; grey: shuffled", fontsize=style.TEXT)
