"""Figure of completeness: how far attributions miss what they explain."""

from typing import TYPE_CHECKING, Final

import numpy as np

from insignia.core import keys
from insignia.core.errors import InputError, MissingMetadata
from insignia.report import style

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["completeness_figure"]

_ACCEPTED_GAP: Final = 0.05


def completeness_figure(
    adata: "AnnData",
    *,
    key: str = keys.ATTRIBUTION,
    ax: "Axes | None" = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw how far the attributions of each cell miss the change of the score that they explain.

    Parameters
    ----------
    adata
        Attributed cells.
    key
        Name of the attribution layer.
    ax, figure
        Where to draw: axes, or an empty figure, which is resized. Neither makes a new figure.

    Raises
    ------
    MissingMetadata
        The cells have no completeness gap.
    InputError
        No cell has a gap that is a number.
    """
    column = keys.gap(key)
    if column not in adata.obs:
        raise MissingMetadata(
            f"adata.obs has no column {column!r}. Run ins.tl.attribute(adata, model, key_added={key!r}) first."
        )
    gaps = adata.obs[column].to_numpy(dtype=np.float64)
    known = gaps[np.isfinite(gaps)]
    if not known.size:
        raise InputError(f"None of the {gaps.size:,} cells has a completeness gap that is a number.")
    ax = style.canvas(ax, figure, width=5.4, height=3.1)
    edges = np.geomspace(*_gap_range(known), 41)
    ax.hist(
        np.clip(known, edges[0], edges[-1]),
        bins=edges.tolist(),
        color=style.DISTINCT[0],
        edgecolor="white",
        linewidth=0.3,
    )
    ax.axvline(_ACCEPTED_GAP, color=style.DISTINCT[3], linewidth=1.2)
    _label_gaps(ax, gaps, known)
    return style.figure_of(ax)


def _gap_range(known: np.ndarray) -> tuple[float, float]:
    """Find the ends of the axis: 5 % is always within it; smaller gaps than a millionth stand in the first bar."""
    positive = known[known > 0]
    low = positive.min() if positive.size else 1e-3
    return float(np.clip(low / 1.5, 1e-6, 1e-2)), float(max(known.max() * 1.5, 0.2))


def _label_gaps(ax: "Axes", gaps: np.ndarray, known: np.ndarray) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    style.open_frame(ax)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(numticks=8))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda gap, _: f"{100 * gap:g} %"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("Gap between the sum of attributions and the change of the score", fontsize=style.TEXT)
    ax.set_ylabel("Cells", fontsize=style.TEXT)
    within = float((known <= _ACCEPTED_GAP).mean())
    median = style.percent(float(np.median(known)))
    title = f"Completeness: median gap {median}, {style.percent(within)} of cells within 5 %"
    note = f"{known.size:,} cells"
    if known.size < gaps.size:
        note += f"; {gaps.size - known.size:,} more have no gap, as their score does not change"
    ax.set_title(title, loc="left", fontsize=style.TITLE, fontweight="bold", pad=20)
    style.note_above(ax, note)
    ax.annotate(
        "5 %",
        (_ACCEPTED_GAP, 1),
        xycoords=ax.get_xaxis_transform(),
        xytext=(4, -2),
        textcoords="offset points",
        fontsize=style.SMALL,
        color=style.DISTINCT[3],
        va="top",
    )
