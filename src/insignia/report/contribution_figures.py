"""Figure of what each gene adds to a score: bars a gene, one group against another."""

from typing import TYPE_CHECKING

import numpy as np

from insignia.core.errors import InputError
from insignia.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.atlas import Contributions

__all__ = ["contributions_figure"]

_GROUP, _REFERENCE = style.DISTINCT[0], "#b9b9b9"


def contributions_figure(
    contributions: "Contributions",
    group: str | None = None,
    *,
    reference: str | None = None,
    top: int = 20,
    ax: "Axes | None" = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw how much each gene adds to the mean score of a group, beside a reference.

    Genes with the largest difference from the reference come first, or those with the largest contribution where there
    is no reference; a note adds up all others. With it, the bars of a colour add up to the score that the legend gives.

    Parameters
    ----------
    contributions
        What `SearchResult.contributions` gave.
    group, reference
        Labels of two groups; `None` takes the group with the highest score, and no reference.
    top
        How many genes to show, beside the row of all others.
    ax, figure
        Where to draw: axes, or an empty figure, which is resized. Neither makes a new figure.

    Raises
    ------
    InputError
        There is no such group, or `top` is below 1.
    """
    if top < 1:
        raise InputError(f"top is how many genes to show, at least 1; found {top}.")
    scores = contributions.groups["score"].to_numpy()
    group = contributions.labels[int(np.argmax(scores))] if group is None else group
    shown = [group] if reference is None else [group, reference]
    rows = [contributions.row(name) for name in shown]
    values = contributions.values[rows]
    leading = _leading(values, top)
    n_rows = len(leading) + (len(leading) < values.shape[1])
    ax = style.canvas(ax, figure, width=5.6, height=1.35 + 0.16 * len(rows) + 0.215 * n_rows)
    _draw(ax, values[:, leading])
    _label_rows(ax, [contributions.genes[k] for k in leading], n_rows)
    if n_rows > len(leading):
        _note_rest(ax, values.shape[1] - len(leading), values.sum(axis=1) - values[:, leading].sum(axis=1), n_rows)
    entries = [f"{style.wrapped(name, 56, lines=1)}: {scores[row]:.3g}" for name, row in zip(shown, rows, strict=True)]
    _label(ax, entries, contributions.signature.name)
    style.use_fonts(ax)
    return style.figure_of(ax)


def _leading(values: np.ndarray, top: int) -> list[int]:
    """Places of the genes to show, the first one leading."""
    leads = values[0] - values[1] if len(values) == 2 else values[0]
    order = np.argsort(-np.abs(leads), kind="stable")
    # one gene left over is shown by its name
    return [int(k) for k in order[: len(order) if len(order) <= top + 1 else top]]


def _draw(ax: "Axes", values: np.ndarray) -> None:
    places = np.arange(values.shape[1])
    if len(values) == 1:
        ax.barh(places, values[0], height=0.68, color=_GROUP, zorder=2)
        return
    ax.barh(places - 0.19, values[0], height=0.36, color=_GROUP, zorder=2)
    ax.barh(places + 0.19, values[1], height=0.36, color=_REFERENCE, zorder=2)


def _label_rows(ax: "Axes", genes: list[str], n_rows: int) -> None:
    ax.axvline(0, color=style.MUTED, linewidth=0.8, zorder=3)
    ax.set_yticks(range(len(genes)), [style.plain(gene) for gene in genes], fontstyle="italic")
    ax.set_ylim(n_rows - 0.4, -0.6)
    style.open_frame(ax, keep=("bottom",))
    ax.tick_params(axis="y", length=0)
    ax.margins(x=0.03)
    ax.grid(axis="x", color="#e3e3e3", linewidth=0.6)
    ax.set_axisbelow(True)


def _note_rest(ax: "Axes", n: int, sums: np.ndarray, n_rows: int) -> None:
    """Say what the genes that are not shown add up to; as a bar it would dwarf the others."""
    said = " against ".join(f"{value:.3g}" for value in sums)
    ax.annotate(
        f"and {n:,} other genes, together {said}",
        (0, n_rows - 0.9),
        xycoords=ax.get_yaxis_transform(),
        xytext=(3, 0),
        textcoords="offset points",
        fontsize=style.SMALL,
        color=style.MUTED,
        va="center",
    )


def _label(ax: "Axes", entries: list[str], name: str) -> None:
    from matplotlib.patches import Patch

    ax.set_xlabel("Contribution to the mean score", fontsize=style.TEXT)
    ax.set_title(
        style.wrapped(f"{name}: what each gene adds to the score", 52),
        loc="left",
        fontsize=style.TITLE,
        fontweight="bold",
        color=style.INK,
        pad=9 + 11.5 * len(entries),
    )
    handles = [Patch(color=colour) for colour, _ in zip((_GROUP, _REFERENCE), entries, strict=False)]
    ax.legend(
        handles, [f"mean score of {entry}" for entry in entries], fontsize=style.SMALL, frameon=False,
        loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0, borderpad=0.4, handlelength=1.1, labelspacing=0.25,
    )  # fmt: skip
