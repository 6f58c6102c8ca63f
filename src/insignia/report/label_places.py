"""Names beside points, none of which covers another."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from insignia.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["name_points"]

# right, left, above, below and the corners; then the same farther away, with a line back to the point
_NEAR: Final = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
_STEPS: Final = (4.0, 11.0, 20.0)


def name_points(
    ax: "Axes",
    points: np.ndarray,
    names: Sequence[str],
    *,
    size: float = style.SMALL - 0.5,
    avoid: np.ndarray | None = None,
) -> list[str]:
    """Write names beside points, the first ones first; a name for which no free place is found is left out.

    The axes must have their limits and their place on the figure.

    Parameters
    ----------
    ax
        Where to write.
    points
        (names, 2) in data units.
    names
        One a point.
    size
        Of the letters, in points.
    avoid
        (others, 2) further points that names should not cover.

    Returns
    -------
    The names that were written.
    """
    scale = style.figure_of(ax).dpi / 72
    area = ax.get_window_extent()
    at = ax.transData.transform(np.asarray(points, dtype=float)) / scale
    others = at if avoid is None or not len(avoid) else np.vstack([at, ax.transData.transform(avoid) / scale])
    frame = np.array([area.x0, area.y0, area.x1, area.y1]) / scale
    taken: list[np.ndarray] = []
    written = []
    for place, name in zip(at, names, strict=True):
        box = _free_box(place, _width(name, size), 1.25 * size, frame, taken, others)
        if box is None:
            continue
        taken.append(box)
        written.append(name)
        _write(ax, place, box, name, size)
    return written


def _free_box(
    place: np.ndarray, width: float, height: float, frame: np.ndarray, taken: list[np.ndarray], points: np.ndarray
) -> np.ndarray | None:
    """Corners of the first free place for a name, in points: left, bottom, right, top."""
    best, fewest = None, np.inf
    for step in _STEPS:
        for x, y in _NEAR:
            middle = place + step * np.array([x, y]) + 0.5 * np.array([x * width, y * height])
            half = np.array([width / 2, height / 2])
            box = np.concatenate([middle - half, middle + half])
            inside = (box[:2] >= frame[:2] + 1).all() and (box[2:] <= frame[2:] - 1).all()
            if not inside or any(_meet(box, other) for other in taken):
                continue
            covered = int(((points > box[:2] - 1.5) & (points < box[2:] + 1.5)).all(axis=1).sum()) + 0.1 * step / 4
            if covered < fewest:
                best, fewest = box, covered
    return best


def _width(name: str, size: float) -> float:
    """Width of a name in points, with a little room."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), name, size=size, prop=FontProperties(family="DejaVu Sans")).get_extents().width) + 3


def _meet(first: np.ndarray, second: np.ndarray) -> bool:
    return bool((first[:2] < second[2:] + 1).all() and (second[:2] < first[2:] + 1).all())


def _write(ax: "Axes", place: np.ndarray, box: np.ndarray, name: str, size: float) -> None:
    middle = (box[:2] + box[2:]) / 2
    offset = middle - place
    line: dict[str, Any] | None = None
    nearest = np.clip(place, box[:2], box[2:])
    if float(np.linalg.norm(nearest - place)) > 6:
        line = {"arrowstyle": "-", "color": style.MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2}
    ax.annotate(
        style.plain(name),
        xy=tuple(ax.transData.inverted().transform(place * style.figure_of(ax).dpi / 72)),
        xytext=tuple(offset),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=size,
        color=style.INK,
        arrowprops=line,
        zorder=6,
    )
