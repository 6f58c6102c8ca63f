"""Figure of a stack: every section in the common frame, and all outlines before and after registration."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from insignia.report import style
from insignia.report.spatial_maps import FAILED, Frame, Sheet, depth, draw_outline, draw_spots, scale_bar, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from insignia.data import Section, SectionStack, Transform

__all__ = ["stack_figure"]

_SIDE, _GAP, _LEFT, _RIGHT, _TOP, _BAR = 1.75, 0.16, 0.2, 0.2, 0.45, 0.42
_HEAD: Final = 0.56
_PX: Final = 420
_DEPTHS: Final = "viridis"
_SPOT, _UNMEASURED = "#0b3d91", "#555555"
_SHOWN: Final = {"ncc": "NCC", "iou": "IoU"}


def stack_figure(
    stack: "SectionStack",
    *,
    columns: int = 5,
    with_spots: bool = True,
    figure: "Figure | None" = None,
) -> "Figure":
    """Draw a stack: every section with its spots in the common frame, then all outlines above each other.

    Filled rings are spots that were measured, pale ones spots that were not. The last two panels show the outlines of
    all sections, coloured by depth, as the sections were mounted and as registration placed them. What failed to be
    registered is named in red, and left out of the last panel. A stack without poses is shown as mounted.

    Parameters
    ----------
    stack
        Sections, registered or not.
    columns
        Panels in a row.
    with_spots
        Draw the spots on the pictures.
    figure
        An empty figure to draw in, which is resized; `None` makes one.
    """
    plan = _Plan(stack, max(2, columns), with_spots)
    return plan.draw(figure)


@dataclass(frozen=True, eq=False)
class _Plan:
    """Where everything goes, in inches."""

    stack: "SectionStack"
    columns: int
    with_spots: bool

    @property
    def overlays(self) -> int:
        """How many panels show all outlines: none of a single section, one as mounted, two with poses."""
        if len(self.stack) == 1:
            return 0
        return 1 + any(section.pose is not None for section in self.stack)

    def draw(self, figure: "Figure | None") -> "Figure":
        placed = [section for section in self.stack if _is_ok(section)] or list(self.stack)
        frame = Frame.around([_points(section) for section in placed], 1.5 * self.stack.pitch_um)
        mounted = Frame.around([_centred(section) for section in self.stack], 1.5 * self.stack.pitch_um)
        mounted = mounted.with_aspect(frame.aspect)
        panels = len(self.stack) + self.overlays
        rows = -(-panels // self.columns)
        columns = -(-panels // rows)
        step = _HEAD + _SIDE * frame.aspect + 0.06
        width = _LEFT + columns * _SIDE + (columns - 1) * _GAP + _RIGHT
        sheet = Sheet.of(figure, max(width, 4.2), _TOP + rows * step + _BAR)
        sheet.text(0.12, 0.1, self._title(), fontsize=style.TITLE, fontweight="bold")
        axes = [
            sheet.axes(_LEFT + column * (_SIDE + _GAP), _TOP + row * step + _HEAD, _SIDE, _SIDE * frame.aspect)
            for row in range(rows)
            for column in range(columns)
        ]
        for ax, section in zip(axes, self.stack, strict=False):
            self._section(ax, section, frame)
        if self.overlays:
            self._overlay(axes[len(self.stack)], mounted, "As mounted", is_placed=False)
            self._depths(sheet)
        if self.overlays > 1:
            self._overlay(axes[len(self.stack) + 1], frame, "Registered", is_placed=True)
        for ax in axes[panels:]:
            ax.set_axis_off()
        scale_bar(axes[(rows - 1) * columns], frame)
        for ax in sheet.figure.axes:
            style.use_fonts(ax)
        for text in sheet.figure.texts:
            text.set_fontfamily(style.font_families())
        return sheet.figure

    def _title(self) -> str:
        return style.wrapped(f"{self.stack.name}: {style.count(len(self.stack), 'section')}", 60, lines=1)

    def _section(self, ax: "Axes", section: "Section", frame: Frame) -> None:
        from insignia.data import Transform

        pose = section.pose
        transform = Transform.identity() if pose is None else pose.transform
        if section.image is not None:
            _picture(ax, section, transform)
        if self.with_spots and section.spots.n_obs:
            colour = _SPOT if section.is_measured else _UNMEASURED
            spots = draw_spots(ax, _points(section), "none", size=0.55 * self.stack.pitch_um)
            spots.set(edgecolor=colour, linewidth=0.55 if section.is_measured else 0.35, alpha=0.9)
        if _is_ok(section):
            frame.apply(ax)
        else:  # its pose means nothing, and so it is shown as a whole
            Frame.around([_points(section)], 1.5 * self.stack.pitch_um).with_aspect(frame.aspect).apply(ax)
        _heading(ax, section)

    def _overlay(self, ax: "Axes", frame: Frame, title: str, *, is_placed: bool) -> None:
        shown = [section for section in self.stack if (_is_ok(section) or not is_placed) and section.spots.n_obs]
        for section in shown:
            points = _points(section) if is_placed else _centred(section)
            colour = self._colours().to_rgba(section.z_um)
            draw_outline(ax, points, self.stack.pitch_um, colors=[colour], linewidths=1.0)
        frame.apply(ax)
        _words(ax, title, [f"{style.count(len(shown), 'outline')} by depth"], style.INK)

    def _colours(self) -> Any:
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        z_um = [section.z_um for section in self.stack]
        return ScalarMappable(Normalize(min(z_um), max(max(z_um), min(z_um) + 1)), colormaps[_DEPTHS])

    def _depths(self, sheet: Sheet) -> None:
        """Colours of depth, in the lower right corner."""
        width = 1.1
        left = sheet.width - _RIGHT - width - 0.45
        ax = sheet.axes(left, sheet.height - _BAR + 0.12, width, 0.08)
        sheet.figure.colorbar(self._colours(), cax=ax, orientation="horizontal", ticks=[])
        for spine in ax.spines.values():
            spine.set_visible(False)
        z_um = [section.z_um for section in self.stack]
        for place, align, value in ((-0.04, "right", min(z_um)), (1.04, "left", max(z_um))):
            words = f"depth {value:,.0f}" if align == "right" else f"{value:,.0f}\u00a0µm"
            ax.text(place, 0.5, words, transform=ax.transAxes, ha=align, va="center", fontsize=style.SMALL)


def _is_ok(section: "Section") -> bool:
    return section.pose is None or section.pose.is_ok


def _points(section: "Section") -> np.ndarray:
    return section.points_um if section.pose is None else section.common_um[:, :2]


def _centred(section: "Section") -> np.ndarray:
    """Spots as they were mounted, with the middle of the slide at the origin if there is a picture."""
    middle = section.points_um.mean(axis=0) if section.image is None else np.array(section.image.size_um) / 2
    return np.asarray(section.points_um - middle)


def _picture(ax: "Axes", section: "Section", transform: "Transform") -> None:
    """Draw the image where the transform carries it, at no more pixels than are seen."""
    from matplotlib.transforms import Affine2D

    assert section.image is not None
    width, height = section.image.size_um
    pixels = section.image.at(max(section.image.um_per_px, max(width, height) / _PX))
    across = pixels.shape[1] * max(section.image.um_per_px, max(width, height) / _PX)
    down = pixels.shape[0] * max(section.image.um_per_px, max(width, height) / _PX)
    drawn = ax.imshow(pixels, extent=(0, across, down, 0), interpolation="bilinear")
    matrix = np.vstack([transform.matrix, [0, 0, 1]])
    drawn.set_transform(Affine2D(matrix) + ax.transData)


def _heading(ax: "Axes", section: "Section") -> None:
    pose = section.pose
    if pose is None:
        _words(ax, section.name, [depth(section.z_um), _kind(section)], style.INK)
        return
    figures = {words: pose.quality.get(name, np.nan) for name, words in _SHOWN.items()}
    quality = " · ".join(f"{words} {value:.2f}" for words, value in figures.items() if np.isfinite(value))
    quality = quality.replace("-", "\u2212")
    status = "not registered" if not pose.is_ok else pose.status
    lines = [f"{depth(section.z_um)}, {_kind(section)}", quality or status]
    if not pose.is_ok:
        lines = [f"{depth(section.z_um)}, {_kind(section)}", status]
    _words(ax, section.name, lines, style.INK if pose.is_ok else FAILED)


def _kind(section: "Section") -> str:
    return "measured" if section.is_measured else "unmeasured"


def _words(ax: "Axes", title: str, lines: list[str], colour: str) -> None:
    """Write a name above a panel, and smaller lines below it."""
    ax.set_title(
        "\n".join(lines), loc="left", fontsize=style.SMALL, color=style.MUTED if colour == style.INK else colour, pad=3
    )
    above = 4 + len(lines) * style.SMALL * 1.28
    ax.annotate(
        shortened(title, 22),
        (0, 1),
        xytext=(0, above),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="left",
        va="bottom",
        fontsize=style.TEXT,
        fontweight="bold",
        color=colour,
        annotation_clip=False,
    )
