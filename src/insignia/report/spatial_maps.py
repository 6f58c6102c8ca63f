"""What all maps of tissue share: panels placed in inches, spots drawn to scale, outlines, and a bar that tells size."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from insignia.core import keys
from insignia.core.errors import MissingMetadata
from insignia.report import style

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "EXPRESSION",
    "FAILED",
    "UNCERTAINTY",
    "Frame",
    "Sheet",
    "colour_bar",
    "common_points",
    "depth",
    "draw_outline",
    "draw_spots",
    "limits",
    "pitch_um",
    "scale_bar",
    "shortened",
]

EXPRESSION: Final = "viridis"
UNCERTAINTY: Final = "YlOrBr"
FAILED: Final = style.DISTINCT[3]
"""Colour of what could not be registered."""

_MANY_SPOTS: Final = 3000
_OUTLINE_CELLS: Final = 140


@dataclass(frozen=True)
class Frame:
    """The rectangle that maps show, micrometres, y down."""

    left: float
    right: float
    top: float
    bottom: float

    @classmethod
    def around(cls, points_um: Iterable[np.ndarray], pad_um: float) -> "Frame":
        """Enclose points, and `pad_um` around them."""
        points = np.concatenate([np.asarray(part)[:, :2] for part in points_um])
        (left, top), (right, bottom) = points.min(axis=0) - pad_um, points.max(axis=0) + pad_um
        return cls(float(left), float(right), float(top), float(bottom))

    def with_aspect(self, aspect: float) -> "Frame":
        """Widen the frame about its middle until it has this height over width."""
        width, height = self.width, self.width * self.aspect
        wide, high = max(width, height / aspect), max(height, width * aspect)
        x, y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        return Frame(x - wide / 2, x + wide / 2, y - high / 2, y + high / 2)

    @property
    def width(self) -> float:
        """Micrometres from left to right."""
        return self.right - self.left

    @property
    def aspect(self) -> float:
        """Height over width."""
        return (self.bottom - self.top) / self.width

    def apply(self, ax: "Axes") -> None:
        """Let axes show this rectangle and no scales."""
        ax.set_xlim(self.left, self.right)
        ax.set_ylim(self.bottom, self.top)
        ax.set_aspect("equal")
        ax.set_xticks([])
        ax.set_yticks([])
        style.open_frame(ax, keep=())


@dataclass(frozen=True, eq=False)
class Sheet:
    """A figure on which things have their place in inches from the upper left corner."""

    figure: "Figure"
    width: float
    height: float

    @classmethod
    def of(cls, figure: "Figure | None", width: float, height: float) -> "Sheet":
        """Take a new figure, or the caller's empty one, which is resized."""
        if figure is None:
            figure = style.new_figure(width, height)
        figure.set_layout_engine("none")
        figure.set_size_inches(width, height)
        return cls(figure, width, height)

    def axes(self, left: float, top: float, width: float, height: float) -> "Axes":
        """Add axes whose upper left corner lies at (left, top)."""
        box = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)

    def text(self, left: float, top: float, words: str, **how: Any) -> Any:
        """Write words whose upper left corner, unless told otherwise, lies at (left, top)."""
        how = {"ha": "left", "va": "top", "fontsize": style.SMALL, "color": style.INK, **how}
        return self.figure.text(left / self.width, 1 - top / self.height, words, **how)


def common_points(adata: "AnnData") -> np.ndarray:
    """Positions of spots in the common frame, (spots, 3) micrometres.

    Raises
    ------
    MissingMetadata
        There are none, or the sections of the spots are not told.
    """
    for place, name, kind in ((adata.obsm, keys.SPATIAL_COMMON, "obsm"), (adata.obs, keys.SECTION, "obs")):
        if name not in place:
            raise MissingMetadata(
                f"adata has no {kind}[{name!r}], which ins.spatial.impute writes; {kind} holds: "
                f"{', '.join(map(str, list(place)[:8])) or 'nothing'}."
            )
    return np.asarray(adata.obsm[keys.SPATIAL_COMMON], dtype=np.float64)


def pitch_um(adata: "AnnData") -> float:
    """Distance between neighbouring spots: as recorded, else the median distance to the nearest of a section."""
    record = adata.uns.get(keys.IMPUTATION, {})
    if "pitch_um" in record:
        return float(record["pitch_um"])
    points = np.asarray(adata.obsm[keys.SPATIAL_COMMON], dtype=np.float64)[:, :2]
    sections = adata.obs.groupby(keys.SECTION, observed=True).indices.values()
    nearest = [cKDTree(points[rows]).query(points[rows], k=2)[0][:, 1] for rows in sections if len(rows) > 1]
    return float(np.median(np.concatenate(nearest))) if nearest else 100.0


def depth(z_um: float) -> str:
    """Say how deep a section lies."""
    return f"z = {z_um:,.0f}\u00a0µm"


def shortened(name: object, letters: int) -> str:
    """Leave out the middle of a long name: its end often tells it from others."""
    text = str(name)
    if len(text) > letters:
        tail = (letters - 1) // 2
        text = f"{text[: letters - 1 - tail].rstrip()}…{text[len(text) - tail :].lstrip()}"
    return style.plain(text)


def limits(values: np.ndarray, *, least_span: float = 0.0) -> tuple[float, float]:
    """Find ends of a colour scale that a few outliers do not stretch; it spans this share of its upper end at least."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, [2, 98])
    low, high = float(min(low, high - least_span * abs(high))), float(high)
    return low, high if high > low else low + max(abs(low), 1.0) * 1e-3


def draw_spots(
    ax: "Axes",
    points: np.ndarray,
    colours: Any,
    *,
    size: float,
    squash: float = 1.0,
    rings: np.ndarray | None = None,
) -> Any:
    """Draw spots as large as they are on the tissue.

    Parameters
    ----------
    points
        (spots, 2) in the units of the axes.
    colours
        One colour, or one for each spot.
    size
        Diameter in the units of the axes.
    squash
        Height over width, for planes that are seen from the side.
    rings
        (spots,) bool, which spots get a ring.
    """
    from matplotlib.collections import EllipseCollection

    n = len(points)
    edges = np.where(np.zeros(n, dtype=bool) if rings is None else rings, style.MUTED, "none")
    spots = EllipseCollection(
        np.full(n, size),
        np.full(n, size * squash),
        np.zeros(n),
        units="xy",
        offsets=points,
        offset_transform=ax.transData,
        facecolors=colours,
        edgecolors=edges.tolist(),
        linewidths=0.4,
        rasterized=n > _MANY_SPOTS,
    )
    ax.add_collection(spots, autolim=False)
    return spots


def draw_outline(ax: "Axes", points_um: np.ndarray, pitch_um: float, **how: Any) -> None:
    """Draw a smooth line around spots, at about a pitch from them."""
    frame = Frame.around([points_um], 2.5 * pitch_um)
    x = np.linspace(frame.left, frame.right, _OUTLINE_CELLS)
    y = np.linspace(frame.top, frame.bottom, _OUTLINE_CELLS)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    distance = cKDTree(points_um[:, :2]).query(grid.reshape(-1, 2))[0].reshape(grid.shape[:2])
    per_cell = frame.width / _OUTLINE_CELLS
    distance = gaussian_filter(np.minimum(distance, 2 * pitch_um), 0.4 * pitch_um / per_cell)
    ax.contour(x, y, distance, levels=[0.9 * pitch_um], **how)


def scale_bar(ax: "Axes", frame: Frame) -> None:
    """Draw a bar of a round length below a map, with its length; it needs 0.3 inches there."""
    room = 0.42 * frame.width
    power = 10.0 ** np.floor(np.log10(room))
    length = float(power * max(step for step in (1, 2, 5) if step * power <= room))
    start, stop = 0.02, 0.02 + length / frame.width
    (bar,) = ax.plot([start, stop], [-0.03, -0.03], color=style.INK, linewidth=2.0, solid_capstyle="butt")
    bar.set(transform=ax.transAxes, clip_on=False)
    words = f"{length / 1000:g}\u00a0mm" if length >= 1000 else f"{length:g}\u00a0µm"
    ax.annotate(
        words,
        (start, -0.03),
        xytext=(0, -3),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="left",
        va="top",
        fontsize=style.SMALL,
        color=style.INK,
        annotation_clip=False,
    )


def colour_bar(ax: "Axes", colours: Any, title: str) -> None:
    """Fill axes with a colour scale that stands upright, and its title above."""
    from matplotlib.ticker import MaxNLocator

    bar = style.figure_of(ax).colorbar(colours, cax=ax, ticks=MaxNLocator(4))
    bar.outline.set_visible(False)
    ax.tick_params(labelsize=style.SMALL - 0.5, length=2, color=style.MUTED)
    ax.set_title(title, fontsize=style.SMALL - 0.5, color=style.INK, loc="left", pad=6)
