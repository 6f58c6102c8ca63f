"""Figure of a stack seen from the side: sections lie above each other, with one value on all of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from insignia.core import keys
from insignia.core.errors import GeneMatchError, InputError
from insignia.report import style
from insignia.report.spatial_maps import (
    EXPRESSION,
    FAILED,
    UNCERTAINTY,
    Frame,
    colour_bar,
    common_points,
    depth,
    draw_spots,
    limits,
    pitch_um,
    shortened,
)

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["stack_3d_figure"]

_TURN: Final = np.deg2rad(-24.0)
_TILT: Final = np.deg2rad(33.0)
_APART: Final = 0.7
"""Distance of two planes on paper, a fraction of the height of one."""
_TALLEST: Final = 8.5
"""Inches that the planes may take together before they are drawn smaller."""
_SCENE, _LABELS, _SCALE = 2.8, 1.65, 0.75
"""Widths in inches of the planes, of their names, and of the colour scale."""


def stack_3d_figure(
    adata: "AnnData",
    value: str,
    *,
    layer: str | None = None,
    ax: "Axes | None" = None,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw one gene or score through the whole stack, seen from the side.

    The first section is on top. Sections are drawn further apart than they are, by the factor that the figure states;
    within a section everything is to scale.

    Parameters
    ----------
    adata
        Spots of several sections, in the layout that `insignia.spatial.impute` writes; ask it for ``sections="all"`` to
        see the known ones as well.
    value
        A gene, or a numeric column of `obs` such as a signature's score.
    layer
        Layer with the gene, e.g. ``"sd"``; `None` reads `X`.
    ax, figure
        Where to draw: axes, or an empty figure, which is resized. Neither makes a new figure.

    Raises
    ------
    MissingMetadata
        Positions in the common frame, or the sections, are not there.
    GeneMatchError
        Neither a gene nor a column is called `value`.
    InputError
        The column does not hold numbers.
    """
    points = common_points(adata)
    values, is_gene = _values(adata, value, layer)
    scene = _Scene.of(adata, points)
    inch = scene.width / float(np.clip(_TALLEST * scene.width / scene.height, 0.6 * _SCENE, _SCENE))
    across, down = scene.width + inch * (_LABELS + _SCALE), scene.height + 0.55 * inch
    down = max(down, 1.9 * inch)
    ax = style.canvas(ax, figure, width=across / inch + 0.1, height=down / inch + 0.5)
    low, high = limits(values)
    colours = _colours(low, high, UNCERTAINTY if layer == keys.SD else EXPRESSION)
    for plane in reversed(scene.planes):
        scene.draw(ax, plane, colours.to_rgba(values[plane.rows]))
    scene.draw_guides(ax)
    scene.draw_bar(ax)
    top = scene.bottom + scene.height + 0.05 * inch
    ax.set_xlim(scene.left - 0.05 * inch, scene.left - 0.05 * inch + across)
    ax.set_ylim(top - down, top)
    ax.set_aspect("equal", anchor="NW")
    ax.set_axis_off()
    ax.set_title(style.wrapped(value, 40, lines=2), loc="left", fontsize=style.TITLE, fontweight="bold", pad=6)
    bar = ax.inset_axes((1 - 0.68 * inch / across, 0.08 * inch / down, 0.1 * inch / across, 1.2 * inch / down))
    colour_bar(bar, colours, _unit(is_gene, layer))
    style.use_fonts(ax)
    return style.figure_of(ax)


@dataclass(frozen=True, eq=False)
class _Plane:
    """One section: its rows, its depth, and what is known of it."""

    name: str
    z_um: float
    rows: np.ndarray
    level: int
    is_known: bool
    is_placed: bool


@dataclass(frozen=True, eq=False)
class _Scene:
    """Sections as planes in parallel projection; lengths on paper are in micrometres of the x axis of the picture."""

    points: np.ndarray
    planes: list[_Plane]
    frame: Frame
    pitch_um: float
    apart: float

    @classmethod
    def of(cls, adata: "AnnData", points: np.ndarray) -> "_Scene":
        """Order the sections by depth, and set them apart."""
        pitch = pitch_um(adata)
        indices = adata.obs.groupby(keys.SECTION, observed=True).indices
        order = sorted(indices, key=lambda name: float(points[indices[name], 2].mean()))
        planes = []
        for level, name in enumerate(order):
            rows = np.asarray(indices[name])
            known, placed = (
                bool(adata.obs[column].to_numpy(dtype=bool)[rows].all()) if column in adata.obs else default
                for column, default in ((keys.IS_KNOWN, False), (keys.REG_OK, True))
            )
            planes.append(_Plane(str(name), float(points[rows, 2].mean()), rows, level, known, placed))
        points = _gathered(points, planes)
        frame = Frame.around([points], pitch)
        corners = _project(_corners(frame), frame, 0.0)
        return cls(points, planes, frame, pitch, _APART * float(np.ptp(corners[:, 1])))

    @property
    def corners(self) -> np.ndarray:
        """(4, 2) corners of the uppermost plane on paper: back left, back right, front right, front left."""
        return _project(_corners(self.frame), self.frame, 0.0)

    @property
    def left(self) -> float:
        return float(self.corners[:, 0].min())

    @property
    def width(self) -> float:
        return float(np.ptp(self.corners[:, 0]))

    @property
    def bottom(self) -> float:
        return float(self.corners[:, 1].min()) - self.apart * (len(self.planes) - 1)

    @property
    def height(self) -> float:
        return float(self.corners[:, 1].max()) - self.bottom

    def draw(self, ax: "Axes", plane: _Plane, colours: np.ndarray) -> None:
        """Draw a plane, its spots and its name."""
        from matplotlib.patches import Polygon

        drop = self.apart * plane.level
        edge = style.INK if plane.is_known else "#b5b5b5" if plane.is_placed else FAILED
        corners = self.corners - [0, drop]
        ax.add_patch(Polygon(corners, facecolor="none", edgecolor=edge, linewidth=0.9 if plane.is_known else 0.6))
        places = _project(self.points[plane.rows, :2], self.frame, drop)
        # from back to front, so that a nearer spot covers a farther one
        order = np.argsort(-places[:, 1], kind="stable")
        draw_spots(ax, places[order], colours[order], size=0.98 * self.pitch_um, squash=float(np.sin(_TILT)))
        self._name(ax, plane, corners[:, 0].max(), float(corners[np.argmax(corners[:, 0]), 1]))

    def _name(self, ax: "Axes", plane: _Plane, x: float, y: float) -> None:
        words = "not registered" if not plane.is_placed else "known" if plane.is_known else ""
        note = depth(plane.z_um) + (f", {words}" if words else "")
        colour = style.INK if plane.is_placed else FAILED
        for lift, text, size, shade in (
            (1.5, shortened(plane.name, 18), style.TEXT, colour),
            (-1.5, note, style.SMALL, style.MUTED if plane.is_placed else FAILED),
        ):
            ax.annotate(
                text,
                (x, y),
                xytext=(6, lift),
                textcoords="offset points",
                ha="left",
                va="bottom" if lift > 0 else "top",
                fontsize=size,
                color=shade,
                annotation_clip=False,
            )

    def draw_guides(self, ax: "Axes") -> None:
        """Join the corners of the planes that are seen, from the first to the last."""
        drop = self.apart * (len(self.planes) - 1)
        for corner in (self.corners[np.argmin(self.corners[:, 0])], self.corners[np.argmax(self.corners[:, 0])]):
            ax.plot([corner[0]] * 2, [corner[1], corner[1] - drop], color="#b5b5b5", linewidth=0.6, linestyle=":")

    def draw_bar(self, ax: "Axes") -> None:
        """Draw a bar of a round length along the front edge of the last plane, and say how depth is drawn."""
        corners = self.corners - [0, self.apart * (len(self.planes) - 1)]
        front_left, front_right = corners[3], corners[2]
        along = (front_right - front_left) / self.frame.width
        power = 10.0 ** np.floor(np.log10(0.42 * self.frame.width))
        length = float(power * max(step for step in (1, 2, 5) if step * power <= 0.42 * self.frame.width))
        start = front_left + np.array([0.0, -0.05 * self.width])
        stop = start + along * length
        ax.plot([start[0], stop[0]], [start[1], stop[1]], color=style.INK, linewidth=2.0, solid_capstyle="butt")
        words = f"{length / 1000:g}\u00a0mm" if length >= 1000 else f"{length:g}\u00a0µm"
        depths = [plane.z_um for plane in self.planes]
        spread = max(depths) - min(depths)
        if spread > 0:
            factor = self.apart * (len(self.planes) - 1) / np.cos(_TILT) / spread
            words += f"; depth × {factor:,.0f}" if factor >= 10 else f"; depth × {factor:.1f}"
        ax.annotate(
            words,
            (self.left, min(start[1], stop[1])),
            xytext=(0, -5),
            textcoords="offset points",
            ha="left",
            va="top",
            fontsize=style.SMALL,
            color=style.INK,
            annotation_clip=False,
        )


def _gathered(points: np.ndarray, planes: list[_Plane]) -> np.ndarray:
    """Put sections that have no place in the common frame in the middle of the others."""
    lost = [plane.rows for plane in planes if not plane.is_placed]
    placed = np.ones(len(points), dtype=bool)
    placed[[row for rows in lost for row in rows]] = False
    moved = points.copy()
    if placed.any():
        for rows in lost:
            moved[rows, :2] += points[placed, :2].mean(axis=0) - points[rows, :2].mean(axis=0)
    return moved


def _corners(frame: Frame) -> np.ndarray:
    return np.array(
        [[frame.left, frame.top], [frame.right, frame.top], [frame.right, frame.bottom], [frame.left, frame.bottom]]
    )


def _project(points: np.ndarray, frame: Frame, drop: float) -> np.ndarray:
    """Turn, tilt and lower points of the common frame; (points, 2) on paper, y up."""
    x = points[:, 0] - (frame.left + frame.right) / 2
    y = (frame.top + frame.bottom) / 2 - points[:, 1]
    across = x * np.cos(_TURN) - y * np.sin(_TURN)
    back = x * np.sin(_TURN) + y * np.cos(_TURN)
    return np.column_stack([across, back * np.sin(_TILT) - drop])


def _values(adata: "AnnData", value: str, layer: str | None) -> tuple[np.ndarray, bool]:
    """One number a spot, and whether they are of a gene."""
    if value in adata.var_names:
        column = adata[:, value].X if layer is None else adata[:, value].layers[layer]
        dense = column.toarray() if hasattr(column, "toarray") else column
        return np.asarray(dense, dtype=np.float64).ravel(), True
    if value not in adata.obs:
        raise GeneMatchError(
            f"There is no gene and no obs column {value!r}. Genes are like {list(adata.var_names[:5])}, columns are "
            f"{list(adata.obs.columns)}."
        )
    column = adata.obs[value]
    if column.dtype.kind not in "fiub":
        raise InputError(f"obs[{value!r}] holds {column.dtype}, and a colour scale needs numbers.")
    return column.to_numpy(dtype=np.float64), False


def _colours(low: float, high: float, name: str) -> Any:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(low, high), colormaps[name])


def _unit(is_gene: bool, layer: str | None) -> str:
    if not is_gene:
        return "score"
    return "ln share" if layer is None else layer
