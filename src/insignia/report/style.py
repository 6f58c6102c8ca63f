"""How figures look: colours that colour-blind readers can tell apart, sizes, and text that metadata cannot break."""

import textwrap
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from insignia.core.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "AREAS",
    "DISTINCT",
    "INK",
    "MARKERS",
    "MUTED",
    "PALE",
    "SMALL",
    "TEXT",
    "TITLE",
    "canvas",
    "count",
    "figure_of",
    "new_figure",
    "note_above",
    "open_frame",
    "p_value",
    "percent",
    "plain",
    "row_label",
    "save_figure",
    "swarm",
    "use_fonts",
    "wrapped",
]

DISTINCT: Final = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#999933",
    "#7A4B1E",
    "#6A3D9A",
    "#222222",
)
"""Okabe and Ito's colours and three more; they are always paired with `MARKERS`, so that shape tells them apart too."""

MARKERS: Final = ("o", "s", "^", "D", "v", "p", "*", "<", ">", "h")
AREAS: Final = {"*": 1.9, "D": 0.75, "p": 1.2}
"""What makes the markers look equally large."""

INK, MUTED, PALE = "#222222", "#6b6b6b", "#ececec"
TITLE, TEXT, SMALL = 10.5, 9.0, 7.5
"""Font sizes in points."""

_FALLBACK_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans",
    "Arial Unicode MS",
    "Hiragino Sans",
    "Yu Gothic",
)


def new_figure(width: float, height: float) -> "Figure":
    """Make a figure that belongs to no window, of `width` x `height` inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def canvas(ax: "Axes | None", figure: "Figure | None", *, width: float, height: float) -> "Axes":
    """Where to draw: the caller's axes; else the caller's empty figure, resized; else a new figure."""
    if ax is not None:
        return ax
    if figure is None:
        figure = new_figure(width, height)
    else:
        figure.set_size_inches(width, height)
    return figure.add_subplot()


def figure_of(ax: "Axes") -> "Figure":
    """Find the figure that axes belong to, also from within a subfigure."""
    from matplotlib.figure import Figure

    found: Any = ax.figure
    while not isinstance(found, Figure):
        found = found.figure
    return found


def row_label(ax: "Axes", row: float, name: str, note: str, *, color: str = INK) -> None:
    """Write a name left of a row of a plot, and a smaller note below it; the two are centred at the row."""
    from matplotlib.offsetbox import AnnotationBbox, TextArea, VPacker

    lines: list[Any] = [
        TextArea(name, textprops={"size": TEXT, "color": color, "linespacing": 1.05, "ha": "right"}),
        TextArea(note, textprops={"size": SMALL - 0.5, "color": MUTED}),
    ]
    block = VPacker(children=lines, align="right", pad=0, sep=1.5)
    place = (0, row)
    ax.add_artist(
        AnnotationBbox(
            block,
            place,
            xybox=(-6, 0),
            xycoords=ax.get_yaxis_transform(),
            boxcoords="offset points",
            box_alignment=(1, 0.5),
            frameon=False,
            pad=0,
            annotation_clip=False,
        )
    )


def note_above(ax: "Axes", words: str) -> None:
    """Write a small line between the title of the axes and their frame."""
    ax.annotate(
        words,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 6),
        textcoords="offset points",
        fontsize=SMALL,
        color=MUTED,
        va="bottom",
    )


def open_frame(ax: "Axes", *, keep: Iterable[str] = ("left", "bottom")) -> None:
    """Leave out the sides of the frame that carry no scale."""
    for side, spine in ax.spines.items():
        spine.set_visible(side in keep)
        spine.set_color(MUTED)
    ax.tick_params(labelsize=SMALL, color=MUTED, labelcolor=INK)


def plain(text: object) -> str:
    """Text from data, which matplotlib must not read as a formula."""
    return str(text).replace("$", r"\$")


def wrapped(text: object, width: int, *, lines: int = 3) -> str:
    """Break text into at most `lines` lines of `width` letters; what does not fit ends in an ellipsis."""
    return "\n".join(textwrap.wrap(plain(text), width, max_lines=lines, placeholder=" …")) or " "


def count(n: int, noun: str) -> str:
    """Say ``1 study`` or ``12 studies``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{n:,} {noun if n == 1 else plural}"


def percent(fraction: float) -> str:
    """Say a fraction as a percentage with two significant digits, ``no value`` for NaN."""
    if not np.isfinite(fraction):
        return "no value"
    digits = 0 if fraction in (0, 1) or 0.1 <= fraction <= 0.995 else 1 if fraction >= 0.01 else 2
    # the space does not break, so that number and sign stay on one line
    return f"{100 * fraction:.{digits}f}\u00a0%"


def p_value(p: float) -> str:
    """Say a p- or q-value with two digits: ``0.012``, ``3e-05``."""
    if not np.isfinite(p):
        return "-"
    return f"{p:.2g}" if p >= 1e-4 else f"{p:.0e}"


def swarm(values: np.ndarray, *, span: float, width: float = 0.34) -> np.ndarray:
    """Offsets that spread points with nearly equal values to both sides of their line, the same in every run.

    Parameters
    ----------
    values
        Positions along the line, (points,).
    span
        Length of the axis in the units of `values`.
    width
        Largest offset.
    """
    cells = np.round(values / (span / 70)).astype(np.int64) if span > 0 else np.zeros(len(values), dtype=np.int64)
    offsets = np.zeros(len(values))
    for cell in np.unique(cells):
        here = np.flatnonzero(cells == cell)
        here = here[np.argsort(values[here], kind="stable")]
        steps = (np.arange(here.size) + 1) // 2 * np.where(np.arange(here.size) % 2, 1, -1)
        offsets[here] = steps * min(0.13, width / max(1, here.size // 2))
    return offsets


@cache
def font_families() -> list[str]:
    """Matplotlib's own font, and installed ones with letters that it lacks."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _FALLBACK_FONTS if name in installed)]


def use_fonts(ax: "Axes") -> None:
    """Let every text of a plot fall back on fonts that have its letters."""
    from matplotlib.text import Text

    ax.get_xticklabels(), ax.get_yticklabels()  # makes them, so that they are found
    for text in ax.findobj(Text):
        assert isinstance(text, Text)
        text.set_fontfamily(font_families())


def save_figure(figure: "Figure", path: str | Path, *, dpi: int = 200) -> None:
    """Write a figure in the format of the file name, whole or not at all."""
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=dpi, bbox_inches="tight", format=Path(path).suffix.lstrip(".") or "png")
